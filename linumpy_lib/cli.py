"""What surrounds every step, once: command line, reading, device, threads, progress, provenance, atomic results.

A script of `bin/` imports a :class:`Step` and hands it to :func:`run`. The step's function receives its inputs, one
frozen parameter object and a :class:`Task`, which names the places for its results.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from linumpy_lib import __version__
from linumpy_lib.errors import InputError, OutputError, ParameterError, PipelineError
from linumpy_lib.params import as_json, fields, suggest, to_text, unit
from linumpy_lib.provenance import code_hash, provenance
from linumpy_lib.step import STUB_SIZE, Step, Task
from linumpy_lib.threads import available_threads
from linumpy_lib.usage import Usage

VOLUME_ENDINGS = (
    *(".ome.zarr.zip", ".ome.zarr", ".zarr.zip", ".zarr"),
    *(".ome.tiff", ".ome.tif", ".tiff", ".tif", ".nii.gz", ".nii", ".nrrd", ".klb"),
)
EXIT_ERROR = 1
EXIT_OUT_OF_MEMORY = 137
EXIT_TERMINATED = 143


def _parser(step: Step) -> argparse.ArgumentParser:
    outputs = "\n".join(f"  {pattern.format(name='NAME'):42s} {text}" for pattern, text in step.outputs.items())
    parser = argparse.ArgumentParser(
        prog=f"{step.name}.py",
        description=f"{step.summary}\n\n{step.description}",
        epilog=f"results in the output folder:\n{outputs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    files = parser.add_argument_group("input and output")
    for item in step.inputs:
        if item.positional:
            files.add_argument(item.name, help=item.help)
            continue
        files.add_argument(
            f"--{item.name}",
            metavar="PATH",
            required=item.required,
            nargs="+" if item.kind == "paths" else None,
            help=item.help,
        )
    here = "beside what it is about" if step.place else "here"
    files.add_argument("--output", metavar="FOLDER", help=f"folder for the results (default: {here})")
    files.add_argument("--name", help="name of the results (default: from the first input)")
    if step.slabs:
        files.add_argument(
            "--slab", metavar="I/N", default="1/1", help="work on part I of N along z only; gather the parts afterwards"
        )
    own = parser.add_argument_group("parameters of this step")
    for name, info in fields(step.parameters):
        text = f"{info.description} (default: {to_text(info.default) or 'empty'}"
        text += f"; unit: {unit(info)})" if unit(info) else ")"
        own.add_argument(f"--{name}", metavar="VALUE", help=text.replace("%", "%%"))
    place = parser.add_argument_group("computing")
    if len(step.devices) > 1:
        place.add_argument(
            "--device",
            default="auto",
            choices=["auto", *step.devices],
            help="computing device; auto takes the best one present (default: auto)",
        )
    place.add_argument(
        "--processes",
        metavar="N",
        type=int,
        default=0,
        help="threads; 0 takes all cores (default: 0)",
    )
    place.add_argument("--quiet", action="store_true", help="no progress bar")
    place.add_argument("--stub", action="store_true", help="work on a tiny corner of the input, to try the wiring")
    place.add_argument("--code", metavar="HASH", help="stop unless the installed library has this content hash")
    parser.add_argument("--version", action="version", version=f"linumpy-pipeline {__version__}")
    return parser


def _slab(text: str) -> tuple[int, int]:
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise ParameterError(f"parameter 'slab': '{text}' is not allowed: give I/N, for example 2/4") from None
    if not 1 <= index <= count:
        raise ParameterError(f"parameter 'slab': '{text}' is not allowed: I goes from 1 to N")
    return index - 1, count


def default_name(path: Path) -> str:
    """Name results after an input: its file name without the endings of volumes."""
    name = path.name
    for ending in (
        ".ome.zarr.zip",
        ".ome.zarr",
        ".zarr",
        ".ome.tiff",
        ".ome.tif",
        ".tiff",
        ".tif",
        ".nii.gz",
        ".nii",
        ".nrrd",
        ".klb",
    ):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _open_inputs(step: Step, options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    from linumpy_lib.io import content_digest, open_volume

    values: dict[str, Any] = {}
    digests: dict[str, str] = {}
    for item in step.inputs:
        given = getattr(options, item.name)
        if given is None:
            values[item.name] = None
            continue
        paths = [Path(entry) for entry in (given if item.kind == "paths" else [given])]
        for path in paths:
            if not path.exists():
                raise InputError(f"{path}: no such file or folder; check the path given with --{item.name}")
        if item.kind == "volume":
            volume = open_volume(paths[0])
            values[item.name] = volume.corner(STUB_SIZE) if options.stub else volume
            if item.digest:
                digests[item.name] = content_digest(paths[0])
        else:
            values[item.name] = paths if item.kind == "paths" else paths[0]
    return values, digests


def _refuse_overwriting_inputs(step: Step, options: argparse.Namespace, name: str) -> None:
    results = {(Path(options.output) / pattern.format(name=name)).resolve() for pattern in step.outputs}
    for item in step.inputs:
        given = getattr(options, item.name)
        for path in given if isinstance(given, list) else [given]:
            if path is not None and Path(path).resolve() in results:
                raise OutputError(
                    f"{path}: is the input and would be overwritten by a result of the same name; choose another "
                    "--output or --name"
                )


@contextlib.contextmanager
def _terminate_cleanly() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that unfinished results are removed."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(EXIT_TERMINATED)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def execute(step: Step, argv: Sequence[str] | None = None) -> list[Path]:
    """Run a step with command-line words and return its results.

    Parameters
    ----------
    step : Step
        What to run.
    argv : sequence of str, optional
        Words of the command line without the program's name.

    Raises
    ------
    PipelineError
        For anything the user can mend; nothing is left under a final name then.
    """
    usage = Usage()
    parser = _parser(step)
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        known = [action.option_strings[0].lstrip("-") for action in parser._actions if action.option_strings]
        raise ParameterError(
            "; ".join(f"unknown option '{word}'{suggest(word.lstrip('-'), known)}" for word in unknown)
        )
    given = {name: getattr(options, name) for name, _ in fields(step.parameters) if getattr(options, name) is not None}
    parameters = step.parameters.parse(given)
    script = Path(sys.argv[0]).resolve()
    code = code_hash(script) if script.name == f"{step.name}.py" else ""
    if options.code and code and options.code != code:
        raise ParameterError(
            f"parameter 'code': the installed library has hash {code}, not {options.code}; the container or "
            "the environment differs from the pipeline: run 'make setup' or build the image again"
        )
    device = "cpu"
    chosen, before = None, 0
    if len(step.devices) > 1:
        from linumpy_lib.device import get_device
        from linumpy_lib.gpus import claim_gpu

        if options.device in ("auto", "cuda"):
            claim_gpu()
        chosen = get_device(options.device)
        if chosen.name not in step.devices:
            chosen = get_device("cpu")
        device = chosen.name
        before = chosen.shortages
        print(f"device: {device}", file=sys.stderr, flush=True)
    if options.processes < 0:
        raise ParameterError(f"parameter 'processes': {options.processes} is not allowed: 0 or more")
    first = next((getattr(options, item.name) for item in step.inputs if getattr(options, item.name)), None)
    first = first[0] if isinstance(first, list) else first
    folder, name = step.place(Path(first)) if step.place and first else (Path(), "")
    options.output = options.output or str(folder)
    name = options.name or name or (default_name(Path(first)) if first else step.name)
    _refuse_overwriting_inputs(step, options, name)
    inputs, digests = _open_inputs(step, options)
    task = Task(
        step=step.name,
        name=name,
        output=Path(options.output),
        device=device,
        threads=options.processes or available_threads(),
        provenance=provenance(step.name, as_json(parameters), code=code, inputs=digests, device=device),
        slab=_slab(options.slab) if step.slabs else (0, 1),
        progress=not options.quiet,
        stub=options.stub,
        usage=usage,
    )
    try:
        step.function(**inputs, parameters=parameters, task=task)
        if chosen is not None and chosen.shortages > before:
            task.note(
                f"the memory of device {device} ran out {chosen.shortages - before} times; the work went on in smaller "
                "blocks, or on the CPU where it cannot be cut"
            )
        return task.finish()
    finally:
        task.discard()


def run(step: Step, argv: Sequence[str] | None = None) -> None:
    """Run a step as a program: results on success, one clear line and a non-zero status otherwise."""
    # Steps thread by themselves; threads of the linear algebra under them, which start with NumPy, would only compete.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("linumpy_lib").setLevel(logging.INFO)
    try:
        with _terminate_cleanly():
            for result in execute(step, argv):
                print(result)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    except MemoryError:
        print("error: out of memory; give the task more memory or fewer threads (--processes)", file=sys.stderr)
        sys.exit(EXIT_OUT_OF_MEMORY)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"error: {where}{error.strerror or error}; check the path, its permissions and the free space",
            file=sys.stderr,
        )
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written under a final name", file=sys.stderr)
        sys.exit(130)
