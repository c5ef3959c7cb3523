#!/usr/bin/env python3
"""Plan a run and list what stands in its way."""

from linumpy_lib.check import main

main()
