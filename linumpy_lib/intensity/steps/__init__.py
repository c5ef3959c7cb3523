"""Steps that correct intensities."""
