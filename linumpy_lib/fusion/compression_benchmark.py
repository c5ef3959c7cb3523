"""Which file format and codec suits a view: seconds, size and speed of KLB, TIFF and Zarr."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib.errors import OutputError, ParameterError
from linumpy_lib.fusion.codec_methods import METHODS, Method
from linumpy_lib.io.lazy import Array, Region, Source
from linumpy_lib.io.volume import as_source

SLAB = 10
COLUMNS = (
    "table",
    "method",
    "codec",
    "level",
    "sharded",
    "write_s",
    "read_s",
    "megabytes",
    "ratio",
    "reduction_percent",
    "write_gb_per_s",
    "read_gb_per_s",
)


@dataclass(frozen=True)
class Cost:
    """What a method costs; seconds are those of the fastest of the repetitions.

    Attributes
    ----------
    method : Method
        Format, codec and layout.
    write_s, read_s : float
        Wall seconds.
    n_bytes : int
        Size of all files.
    raw_bytes : int
        Size of the voxels.
    """

    method: Method
    write_s: float
    read_s: float
    n_bytes: int
    raw_bytes: int

    def as_row(self) -> dict[str, str]:
        """Return the columns of the table."""
        ratio = self.raw_bytes / self.n_bytes
        return {
            "table": self.method.table,
            "method": self.method.name,
            "codec": self.method.codec,
            "level": "" if self.method.level is None else str(self.method.level),
            "sharded": {None: "", True: "yes", False: "no"}[self.method.sharded],
            "write_s": f"{self.write_s:.3f}",
            "read_s": f"{self.read_s:.3f}",
            "megabytes": f"{self.n_bytes / 1e6:.2f}",
            "ratio": f"{ratio:.2f}",
            "reduction_percent": f"{max(100 - 100 / ratio, 0.0):.1f}",
            "write_gb_per_s": f"{self.raw_bytes / self.write_s / 1e9:.3f}",
            "read_gb_per_s": f"{self.raw_bytes / self.read_s / 1e9:.3f}",
        }


class PlanesSource:
    """Some planes of a volume (z, y, x), as a source."""

    def __init__(self, inner: Source, first: int, count: int) -> None:
        self._inner, self._first = inner, first
        self.shape: tuple[int, ...] = (count, *inner.shape[1:])
        self.dtype: np.dtype[Any] = inner.dtype
        self.chunks: tuple[int, ...] | None = inner.chunks

    def read(self, region: Region) -> Array:
        """Read a box."""
        planes = slice(region[0].start + self._first, region[0].stop + self._first)
        return self._inner.read((planes, *region[1:]))


def choose_methods(names: Iterable[str] = ()) -> list[Method]:
    """Return methods by name; all if none is named.

    Raises
    ------
    ParameterError
        If there is no method of that name.
    """
    wanted = list(names)
    known = {method.name: method for method in METHODS}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ParameterError(f"benchmark_methods: {', '.join(unknown)}: choose among {', '.join(known)}")
    return [known[name] for name in wanted] if wanted else list(METHODS)


def benchmark_compression(
    volume: Any,
    folder: Path,
    *,
    methods: Sequence[Method] | None = None,
    repeat: int = 1,
    threads: int = 1,
    advance: Callable[[], object] = lambda: None,
) -> list[Cost]:
    """Write and read a volume in several formats.

    Parameters
    ----------
    volume : array_like
        View (z, y, x); NumPy, or anything lazy. Slabs of ten planes are held.
    folder : Path
        Where files are made; each is removed once it was measured.
    methods : sequence of Method, optional
        By default all of `METHODS`: the two tables of the acquisition's users, single chunks of (10, 128, 128) with and
        without shards, and chunks of one frame in shards of ten beside KLB and TIFF.
    repeat : int
        Repetitions.
    threads : int
        Threads of those formats that use several.
    advance : callable
        Called after each method.

    Returns
    -------
    list of Cost

    Raises
    ------
    OutputError
        If what was read is not what was written, or the disk is full.

    Notes
    -----
    The system keeps written files in memory, so reading measures decoding, not the disk. The seconds that reading the
    volume itself takes are not counted.
    """
    source = as_source(volume)
    depth = source.shape[0]
    spans = [(first, min(first + SLAB, depth)) for first in range(0, depth, SLAB)]
    raw_bytes = math.prod(source.shape) * source.dtype.itemsize
    costs = []
    for method in METHODS if methods is None else methods:
        path = Path(folder) / method.file_name
        best_write = best_read = math.inf
        n_bytes = 1
        for _ in range(repeat):
            best_write = min(best_write, method.write(path, source, spans, threads))
            n_bytes = _size(path)
            best_read = min(best_read, _check(method, path, source, spans, threads))
            _remove(path)
        costs.append(Cost(method, best_write, best_read, n_bytes, raw_bytes))
        advance()
    return costs


def _read(source: Any, first: int, last: int) -> Any:
    return source.read((slice(first, last), *(slice(0, n) for n in source.shape[1:])))


def _check(method: Method, path: Path, source: Any, spans: Sequence[tuple[int, int]], threads: int) -> float:
    began = time.perf_counter()
    reader = method.reader(path, threads)
    seconds = time.perf_counter() - began
    for first, last in spans:
        began = time.perf_counter()
        planes = reader(first, last)
        seconds += time.perf_counter() - began
        if not np.array_equal(planes, _read(source, first, last)):
            raise OutputError(f"{path}: {method.name} gave other voxels back in planes {first} to {last - 1}")
    return seconds


def _size(path: Path) -> int:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return sum(p.stat().st_size for p in files)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def as_markdown(rows: Sequence[dict[str, str]], shape: Sequence[int], dtype: Any) -> str:
    """Return the tables as Markdown text."""
    size = math.prod(shape) * np.dtype(dtype).itemsize / 1e6
    lines = [f"{' x '.join(map(str, shape))} voxels of {np.dtype(dtype)}, {size:.2f} MB uncompressed", ""]
    columns = COLUMNS[1:]
    for table in dict.fromkeys(row["table"] for row in rows):
        lines += [f"## {table}", "", "| " + " | ".join(c.replace("_", " ") for c in columns) + " |"]
        lines += ["|" + "|".join(["---"] * 4 + ["---:"] * (len(columns) - 4)) + "|"]
        lines += ["| " + " | ".join(row[c] for c in columns) + " |" for row in rows if row["table"] == table]
        lines.append("")
    return "\n".join(lines)


def plot(rows: Sequence[dict[str, str]], path: Path, title: str) -> None:
    """Draw ratio and speeds of all methods as bars, one colour for each table."""
    from matplotlib.figure import Figure

    tables = list(dict.fromkeys(row["table"] for row in rows))
    figure = Figure(figsize=(12, 1.8 + 0.27 * len(rows)), dpi=100, layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, 3, sharey=True)
    for axis, column, name in zip(
        panels,
        ("ratio", "write_gb_per_s", "read_gb_per_s"),
        ("uncompressed / compressed size", "writing [GB/s, uncompressed]", "reading [GB/s, uncompressed]"),
        strict=True,
    ):
        for number, table in enumerate(tables):
            own = [(k, float(row[column])) for k, row in enumerate(rows) if row["table"] == table]
            bars = axis.barh([k for k, _ in own], [max(v, 1e-4) for _, v in own], color=f"C{number}", label=table)
            axis.bar_label(bars, [f"{v:.3g}" for _, v in own], padding=2, fontsize=7)
        axis.set_xlabel(name)
        axis.grid(visible=True, axis="x", alpha=0.3)
        axis.margins(x=0.15)
        if column != "ratio":
            axis.set_xscale("log")
    panels[0].set_yticks(range(len(rows)), [row["method"] for row in rows], fontsize=8)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(tables), fontsize=8)
    figure.savefig(path)
