"""From the tiles of a mosaic to one slice: positions, blending weights, assembly."""
