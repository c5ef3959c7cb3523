"""Flat field and focal curvature of tiles."""
