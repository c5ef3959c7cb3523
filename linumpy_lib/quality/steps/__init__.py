"""Steps about the quality of a run."""
