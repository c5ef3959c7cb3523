"""Step functions of linumpy-pipeline: 3-D microscopy from raw acquisitions to volumes and quantitative maps."""

__version__ = "0.1.0"
