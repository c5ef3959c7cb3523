"""Intensity corrections of volumes: bias field, z profile, normalisation."""
