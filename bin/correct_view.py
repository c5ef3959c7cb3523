#!/usr/bin/env python3
"""One view of a camera, cropped, turned, freed of dead pixels and segmented."""

from linumpy_lib.cli import run
from linumpy_lib.fusion.steps.correct_view import STEP

run(STEP)
