#!/usr/bin/env python3
"""A serial-section OCT acquisition whose truth is known."""

from linumpy_lib.cli import run
from linumpy_lib.simulation.steps.simulate_oct import STEP

run(STEP)
