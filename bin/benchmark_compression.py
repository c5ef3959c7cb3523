#!/usr/bin/env python3
"""Which file format and codec suits a view."""

from linumpy_lib.cli import run
from linumpy_lib.fusion.steps.benchmark_compression import STEP

run(STEP)
