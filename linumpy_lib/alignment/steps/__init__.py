"""Steps of the alignment domain."""
