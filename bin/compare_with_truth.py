#!/usr/bin/env python3
"""A reconstructed volume against the truth of its simulation."""

from linumpy_lib.cli import run
from linumpy_lib.simulation.steps.compare_with_truth import STEP

run(STEP)
