#!/usr/bin/env python3
"""Even out the beam's sensitivity along depth."""

from linumpy_lib.cli import run
from linumpy_lib.intensity.steps.correct_beam_profile import STEP

run(STEP)
