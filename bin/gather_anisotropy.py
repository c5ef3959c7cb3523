#!/usr/bin/env python3
"""Join the slabs of one volume's anisotropy results."""

from linumpy_lib.anisotropy.steps.gather_anisotropy import STEP
from linumpy_lib.cli import run

run(STEP)
