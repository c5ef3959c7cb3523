"""Measure a function in a fresh process: wall seconds, CPU seconds (user + system, with children) and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linumpy_lib.usage import cpu_seconds, peak_rss_mb

_CHILD = "import sys; from bench.measure import _child; _child(*sys.argv[1:])"


@dataclass(frozen=True)
class Measurement:
    """Cost of one call with the start of the interpreter and imports; each figure is the minimum of the repetitions."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    result: Any = None


def measure(target: str, arguments: dict[str, Any] | None = None, repeat: int = 3) -> Measurement:
    """Call ``module:function`` with JSON `arguments` in fresh processes.

    Parameters
    ----------
    target : str
        ``"bench.bench_storage:write_own"``; the function's JSON-able return value is kept.
    arguments : dict, optional
        Keyword arguments.
    repeat : int
        Processes to run.
    """
    runs = [_run(target, arguments or {}) for _ in range(repeat)]
    return Measurement(
        min(run.wall_s for run in runs),
        min(run.cpu_s for run in runs),
        min(run.peak_mb for run in runs),
        runs[-1].result,
    )


def measure_inside(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of a call in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def fastest(function: Callable[[], Any], repeat: int) -> float:
    """Wall seconds of the fastest of `repeat` calls, after one that compiles and allocates."""
    function()
    return min(measure_inside(function)[0] for _ in range(repeat))


def _run(target: str, arguments: dict[str, Any]) -> Measurement:
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, target, json.dumps(arguments)],
        env=environment,
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate()
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{target} failed with status {process.returncode}")
    report = json.loads(output.splitlines()[-1])
    return Measurement(wall, report["cpu_s"], report["peak_mb"], report["result"])


def _child(target: str, arguments: str) -> None:
    import importlib

    module, _, name = target.partition(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print(json.dumps({"cpu_s": cpu_seconds(), "peak_mb": peak_rss_mb(), "result": result}))


def write_json(path: str | Path, rows: list[dict[str, Any]]) -> None:
    """Write a table of results as JSON."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(rows, indent=2, default=asdict) + "\n", encoding="utf-8")
