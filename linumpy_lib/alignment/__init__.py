"""Slices into one volume: re-homing, common space, interpolation, registration of neighbours, stacking, atlas."""
