"""Steps of the domain."""
