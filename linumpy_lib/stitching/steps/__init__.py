"""Steps of stitching."""
