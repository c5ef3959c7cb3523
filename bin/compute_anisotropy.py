#!/usr/bin/env python3
"""Structure tensor, anisotropy measures and directions of a volume."""

from linumpy_lib.anisotropy.steps.compute_anisotropy import STEP
from linumpy_lib.cli import run

run(STEP)
