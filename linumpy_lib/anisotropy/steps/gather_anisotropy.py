"""Step: join the slabs of one volume's anisotropy results, byte for byte what one task would have written."""

from __future__ import annotations

import json
from pathlib import Path

from linumpy_lib.anisotropy.steps import results
from linumpy_lib.anisotropy.steps.export_npz import export_npz
from linumpy_lib.anisotropy.steps.parameters import GatherAnisotropyParameters
from linumpy_lib.cli import Input, Step, Task
from linumpy_lib.errors import InputError
