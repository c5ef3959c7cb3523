"""Pipeline steps of the anisotropy workflow, one module for each script in bin/."""
