"""Steps that align slices."""
