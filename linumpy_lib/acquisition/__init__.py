"""Raw serial-section OCT acquisitions: tiles, galvo mirror, stage positions, mosaic grids."""
