#!/usr/bin/env python3
"""Slices whose registrations are bad."""

from linumpy_lib.alignment.steps.exclude_clusters import STEP
from linumpy_lib.cli import run

run(STEP)
