"""From slices to one volume: positions, registration, stacking, and the atlas."""
