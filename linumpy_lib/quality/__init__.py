"""Previews, reports and viewers."""
