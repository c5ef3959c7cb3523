#!/usr/bin/env python3
"""A fibre phantom whose directions are known."""

from linumpy_lib.cli import run
from linumpy_lib.simulation.steps.simulate_fibres import STEP

run(STEP)
