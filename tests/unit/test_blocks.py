from __future__ import annotations

import io
import sys
import threading
import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from linumpy_lib import blocks

SHAPE = (20, 30, 25)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block", [(7, 11, 13), (20, 30, 25), (1, 30, 2)])
def test_halo_makes_blocks_invisible(values, threads, block):
    out = np.full(SHAPE, np.nan)
    blocks.stream(
        blocks.grid(SHAPE, block),
        values.__getitem__,
        lambda part: gaussian_filter(part, 1, truncate=3),
        out.__setitem__,
        halo=3,
        shape=SHAPE,
        threads=threads,
        progress=False,
    )
    assert np.allclose(out, gaussian_filter(values, 1, truncate=3), atol=1e-12)


def test_results_of_several_arrays_are_cropped(values):
    found = {}
    blocks.stream(
        blocks.grid(SHAPE, (10, 10, 10)),
        values.__getitem__,
        lambda part: {"a": part, "b": (np.stack([part, part]), None)},
        lambda region, result: found.update({str(region): result}),
        halo=(1, 2, 0),
        shape=SHAPE,
        progress=False,
    )
    first = found[str((slice(10, 20), slice(0, 10), slice(20, 25)))]
    assert np.array_equal(first["a"], values[10:20, 0:10, 20:25])
    assert first["b"][0].shape == (2, 10, 10, 5)
    assert first["b"][1] is None


def test_writes_come_in_order_and_memory_is_bounded():
    order, alive, most, lock = [], 0, 0, threading.Lock()

    def read(region):
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return region

    def compute(region):
        time.sleep(0.002 * (region[0].start % 3))
        return region

    def write(region, result):
        nonlocal alive
        assert region is result
        order.append(region[0].start)
        with lock:
            alive -= 1

    blocks.stream(blocks.grid((60,), (1,)), read, compute, write, threads=4, queue=2, progress=False)
    assert order == list(range(60))
    assert most <= 4 + 2


@pytest.mark.parametrize("where", ["read", "compute", "write"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_errors_stop_the_rest(where, error):
    reads = []

    def fail(name, region):
        if name == where and region[0].start == 5:
            raise error

    def read(region):
        reads.append(region)
        fail("read", region)
        return region

    def compute(region):
        fail("compute", region)
        return region

    with pytest.raises(error):
        blocks.stream(
            blocks.grid((1000,), (1,)),
            read,
            compute,
            lambda region, _: fail("write", region),
            threads=2,
            progress=False,
        )
    assert len(reads) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("read", "compute"))]


def test_halo_needs_a_shape():
    with pytest.raises(ValueError, match="needs the shape"):
        blocks.stream([(slice(0, 1),)], lambda region: region, halo=1, progress=False)


def test_no_regions():
    blocks.stream([], lambda region: region, halo=1)


def test_log_lines_without_a_terminal(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    blocks.stream(blocks.grid((40,), (1,)), lambda region: region, description="maps")
    lines = text.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "maps: 100 % (40 of 40)"
    assert "\r" not in text.getvalue()
    assert "\x1b" not in text.getvalue()
    text.truncate(0)
    text.seek(0)
    blocks.stream(blocks.grid((40,), (1,)), lambda region: region, progress=False)
    assert text.getvalue() == ""


def test_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    text = Terminal()
    monkeypatch.setattr(sys, "stderr", text)
    blocks.stream(blocks.grid((40,), (1,)), lambda region: region, description="maps")
    assert "maps: 100%" in text.getvalue()


def test_expand_is_clipped():
    outer, inner = blocks.expand((slice(0, 4), slice(4, 8)), (2, 3), (8, 9))
    assert outer == (slice(0, 6), slice(1, 9))
    assert inner == (slice(0, 4), slice(3, 7))
