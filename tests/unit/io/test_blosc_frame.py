"""Frames that are written without Blosc are read by it, bit for bit, and are as small."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numcodecs import blosc

from linumpy_lib.io.blosc_frame import BLOCK, HEADER, encode_frame, frame_capacity

SIZES = (1, 2, 7, 8, 13, 64, 65, 127, 128, 129, 1000, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 8, 2 * BLOCK + 40, 3 * BLOCK)


def frame_of(chunk: np.ndarray) -> bytes:
    out = np.full(frame_capacity(chunk.size), 0xAB, np.uint8)
    return out[: encode_frame(chunk, out)].tobytes()


def kinds(size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(size)
    return {
        "zero": np.zeros(size, np.float32),
        "noise": rng.integers(0, 2**32, size, dtype=np.uint32),
        "normal": rng.standard_normal(size, dtype=np.float32),
        "speckle": 1000 * rng.standard_exponential(size, dtype=np.float32),
        "few": rng.integers(0, 3, size).astype(np.float32),
        "ramp": np.arange(size, dtype=np.float32),
        "periodic": (np.arange(size) % 37).astype(np.uint32),
    }


@pytest.mark.parametrize("size", SIZES)
def test_blosc_reads_the_frames(size: int) -> None:
    for name, chunk in kinds(size).items():
        frame = frame_of(chunk)
        assert len(frame) <= frame_capacity(size)
        np.testing.assert_array_equal(
            np.frombuffer(blosc.decompress(frame), np.uint32), chunk.view(np.uint32), err_msg=name
        )


def test_frames_are_as_small_as_those_of_blosc() -> None:
    for name, chunk in kinds(3 * BLOCK).items():
        if name != "noise":
            assert len(frame_of(chunk)) < 1.02 * len(blosc.compress(chunk, b"lz4", 1, blosc.BITSHUFFLE, 0)), name


def test_noise_is_kept_as_it_is() -> None:
    chunk = kinds(3 * BLOCK)["noise"]
    assert frame_of(chunk)[HEADER:] == chunk.tobytes()


def test_a_frame_needs_room() -> None:
    chunk = np.zeros((4, 5), np.float32)
    with pytest.raises(ValueError, match="does not fit"):
        encode_frame(chunk, np.empty(frame_capacity(20) - 1, np.uint8))
    with pytest.raises(ValueError, match="does not fit"):
        encode_frame(chunk[:, ::2], np.empty(1000, np.uint8))


def test_machine_code_is_kept_and_needs_no_numba() -> None:
    frame_of(np.zeros(1, np.float32))
    code = (
        "import sys, numpy as np\n"
        "from linumpy_lib.io.blosc_frame import encode_frame\n"
        "print(encode_frame(np.zeros(64, np.float32), np.empty(999, np.uint8)), 'numba' in sys.modules)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert printed == [str(len(frame_of(np.zeros(64, np.float32)))), "False"]
