"""Pipeline steps that simulate acquisitions, one module for each script in bin/."""
