#!/usr/bin/env python3
"""Look at anisotropy results in napari."""

from linumpy_lib.quality.viewer import main

main()
