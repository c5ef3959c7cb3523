#!/usr/bin/env python3
"""Two registered views in one volume."""

from linumpy_lib.cli import run
from linumpy_lib.fusion.steps.fuse_views import STEP

run(STEP)
