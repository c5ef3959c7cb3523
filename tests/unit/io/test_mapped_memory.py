"""Reading a memory-mapped file leaves no more of it in memory than the box that was asked for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).resolve().parents[3]
READER = """
import sys
from linumpy_lib.blocks import grid
from linumpy_lib.io import open_volume
volume = open_volume(sys.argv[1])
volume.read((slice(0, 1), slice(0, 8), slice(0, 8)))
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before, most = resident(), 0
for box in grid(volume.shape, (32, 256, 256)):
    volume.read(box)
    most = max(most, resident() - before)
print(most)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to tell the resident memory")
def test_resident_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "v.tif"
    tifffile.imwrite(path, np.ones((512, 256, 512), np.uint8))
    answer = subprocess.run(
        [sys.executable, "-c", READER, path], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert path.stat().st_size > 64e6
    assert int(answer.stdout) < 20e6
