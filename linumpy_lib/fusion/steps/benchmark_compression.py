"""Step: which file format and codec suits a view."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from linumpy_lib.io import Volume
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

TABLE = "{name}_compression.csv"
TEXT = "{name}_compression.md"
PLOT = "{name}_compression.png"
SCRATCH = "{name}_scratch"


def _words(value: object) -> str:
    text = ",".join(str(word) for word in value) if isinstance(value, list | tuple) else str(value or "")
    return ",".join(word for word in text.replace(",", " ").split())


class BenchmarkCompressionParameters(Parameters):
    """What `benchmark_compression` lets a user choose."""

    benchmark_methods: Annotated[
        str,
        BeforeValidator(_words),
        Field(description="Methods to compare, by the names of the table, separated by commas; empty compares all"),
    ] = ""
    benchmark_planes: Annotated[
        int,
        Field(
            description="Planes in the middle of the view that are used; 0 uses all",
            ge=0,
            json_schema_extra={"unit": "planes"},
        ),
    ] = 0
    benchmark_repeat: Annotated[int, Field(description="Repetitions; the fastest counts", ge=1, le=100)] = 1


def benchmark_compression(*, input: Volume, parameters: BenchmarkCompressionParameters, task: Task) -> None:  # noqa: A002
    """Write and read the view in every format, and tell what it costs."""
    import shutil

    from linumpy_lib.blocks import Progress
    from linumpy_lib.errors import InputError
    from linumpy_lib.fusion.compression_benchmark import (
        COLUMNS,
        PlanesSource,
        as_markdown,
        benchmark_compression,
        choose_methods,
        plot,
    )
    from linumpy_lib.io import LazyArray
    from linumpy_lib.io.csv_file import write_rows

    if input.axes != "zyx":
        raise InputError(f"{input.name}: has axes '{input.axes}'; give a view (z, y, x)")
    methods = choose_methods(parameters.benchmark_methods.split(",") if parameters.benchmark_methods else ())
    array = input.array
    wanted = parameters.benchmark_planes
    if 0 < wanted < array.shape[0]:
        first = (array.shape[0] - wanted) // 2
        array = LazyArray(PlanesSource(array.source, first, wanted))
    scratch = task.path(SCRATCH)
    scratch.mkdir()
    with Progress(len(methods), "methods", shown=task.progress) as bar:
        costs = benchmark_compression(
            array,
            scratch,
            methods=methods,
            repeat=parameters.benchmark_repeat,
            threads=task.threads,
            advance=bar.advance,
        )
    shutil.rmtree(scratch)
    rows = [cost.as_row() for cost in costs]
    write_rows(task.path(TABLE), list(COLUMNS), rows)
    task.path(TEXT).write_text(as_markdown(rows, array.shape, array.dtype), encoding="utf-8")
    plot(rows, task.path(PLOT), f"{task.name}: {' x '.join(map(str, array.shape))} voxels of {array.dtype}")
    smallest = max(rows, key=lambda row: float(row["ratio"]))
    fastest = max(rows, key=lambda row: float(row["read_gb_per_s"]))
    task.metric("best_ratio", float(smallest["ratio"]))
    task.metric("best_ratio_method", smallest["method"])
    task.metric("fastest_reading", float(fastest["read_gb_per_s"]), "GB/s")
    task.metric("fastest_reading_method", fastest["method"])


STEP = Step(
    name="benchmark_compression",
    function=benchmark_compression,
    parameters=BenchmarkCompressionParameters,
    summary="Which file format and codec suits a view",
    description="Writes and reads a view as KLB, TIFF and Zarr with several codecs, levels and layouts, checks that "
    "the voxels come back, and tells seconds, size and speed. See docs/fusion-compression.md.",
    inputs=(Input("input", "view (z, y, x)", digest=False),),
    outputs={
        TABLE: "seconds, size, ratio and speed of each method",
        TEXT: "the same as Markdown tables",
        PLOT: "ratio against speed",
    },
)
