#!/usr/bin/env python3
"""Which views a recording holds, and what is done with them."""

from linumpy_lib.cli import run
from linumpy_lib.fusion.steps.discover_views import STEP

run(STEP)
