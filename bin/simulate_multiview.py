#!/usr/bin/env python3
"""A multi-view light-sheet recording whose truth is known."""

from linumpy_lib.cli import run
from linumpy_lib.simulation.steps.simulate_multiview import STEP

run(STEP)
