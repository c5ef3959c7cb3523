#!/usr/bin/env python3
"""Masks of several views in one."""

from linumpy_lib.cli import run
from linumpy_lib.fusion.steps.join_masks import STEP

run(STEP)
