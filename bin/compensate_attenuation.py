#!/usr/bin/env python3
"""Make up for the light that tissue takes on its way."""

from linumpy_lib.cli import run
from linumpy_lib.intensity.steps.compensate_attenuation import STEP

run(STEP)
