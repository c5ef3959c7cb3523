"""Steps of the preprocess workflow."""
