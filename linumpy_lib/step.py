"""What a step is: a function, its parameters, what it reads and writes, and the task that it runs in."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from linumpy_lib.errors import OutputError
from linumpy_lib.params import Parameters
from linumpy_lib.usage import Usage

Status = Literal["ok", "warning", "error", "info"]
STUB_SIZE = 16
"""Voxels along each axis that a stub run works on."""


@dataclass(frozen=True)
class Input:
    """One input of a step, given as ``--<name>``.

    Parameters
    ----------
    name : str
        Name of the option and of the keyword that the function receives.
    help : str
        What it is, in one line.
    kind : {'volume', 'path', 'paths'}
        A volume is opened before the step runs; a path is handed over as it is.
    required : bool
        An absent optional input arrives as None.
    digest : bool
        Whether the provenance of the results holds the volume's content digest.
    positional : bool
        Given without its name, as ``<script> <path>``; it is then required.
    """

    name: str
    help: str
    kind: Literal["volume", "path", "paths"] = "volume"
    required: bool = True
    digest: bool = True
    positional: bool = False


@dataclass(frozen=True)
class Step:
    """A step of the pipeline: a function, its parameters, what it reads and what it writes.

    Parameters
    ----------
    name : str
        The one name of function, script, process and tests.
    function : callable
        Called as ``function(<inputs by name>, parameters=..., task=...)``.
    parameters : type of Parameters
        The parameters it owns.
    summary : str
        First line of its help.
    description : str
        What it does and how to read its results.
    inputs : tuple of Input
        What it reads.
    outputs : dict of str to str
        File name patterns (``"{name}_mask.ome.zarr"``) and what each holds.
    devices : tuple of str
        Computing devices that it can use.
    slabs : bool
        Whether several tasks can share one volume (``--slab I/N``).
    place : callable, optional
        Folder and name of the results when a user names none, from the path of the first input.
    """

    name: str
    function: Callable[..., None]
    parameters: type[Parameters]
    summary: str
    description: str
    inputs: tuple[Input, ...]
    outputs: dict[str, str]
    devices: tuple[str, ...] = ("cpu",)
    slabs: bool = False
    place: Callable[[Path], tuple[Path, str]] | None = None


@dataclass
class Task:
    """What a step may know of its surroundings, and where its results go.

    Results are written below a hidden folder and take their final names together, when the step has succeeded.
    """

    step: str
    name: str
    output: Path
    device: str
    threads: int
    provenance: dict[str, Any]
    slab: tuple[int, int] = (0, 1)
    progress: bool = True
    stub: bool = False
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    _staging: Path | None = None

    @property
    def staging(self) -> Path:
        """Hidden folder on the output's file system that holds unfinished results."""
        if self._staging is None:
            self._staging = self.output / f".{self.name}.{self.step}.{os.getpid()}.unfinished"
            try:
                self._staging.mkdir(parents=True)
            except OSError as error:
                raise OutputError(
                    f"{self.output}: cannot create the output folder ({error.strerror}); choose a folder that you may "
                    "write to with --output"
                ) from None
        return self._staging

    def path(self, pattern: str) -> Path:
        """Return the place to write a result to, from its file name pattern in the step's declaration."""
        return self.staging / pattern.format(name=self.name)

    def note(self, text: str) -> None:
        """Tell the user something they should know; it is logged and kept in the metrics and the report."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"note: {text}", file=sys.stderr, flush=True)

    def metric(
        self,
        name: str,
        value: float | int | str | None,
        unit: str = "",
        *,
        status: Status = "info",
        thresholds: dict[str, float] | None = None,
        description: str = "",
    ) -> None:
        """Record one figure about the result; ``linumpy_lib.quality.thresholds.judge`` gives the last three."""
        plain: Any = getattr(value, "item", lambda: value)()  # a plain number for a scalar of NumPy
        if isinstance(plain, float) and not math.isfinite(plain):
            plain = str(plain)  # JSON has no word for it
        self.metrics[name] = {
            "value": plain,
            "unit": unit,
            "description": description,
            "status": status,
            "thresholds": thresholds or {},
        }

    def summary(self) -> dict[str, Any]:
        """Describe the task: its figures and their worst status, what to know, what it cost, where it came from."""
        found: dict[str, list[str]] = {"warning": [], "error": []}
        for name, figure in self.metrics.items():
            if figure["status"] in found:
                bounds = ", ".join(f"{word} {bound:g}" for word, bound in figure["thresholds"].items())
                text = f"{name} is {figure['value']} {figure['unit']}".rstrip()
                found[figure["status"]].append(f"{text} ({bounds})" if bounds else text)
        return {
            "step": self.step,
            "name": self.name,
            "device": self.device,
            "overall_status": "error" if found["error"] else "warning" if found["warning"] else "ok",
            "metrics": self.metrics,
            "warnings": found["warning"],
            "errors": found["error"],
            "notes": self.notes,
            "resources": {**self.usage.so_far(), "threads": self.threads, "device": self.device},
            "provenance": {**self.provenance, "libraries": libraries()},
        }

    def finish(self) -> list[Path]:
        """Give every result its final name; return them."""
        file = self.path(f"{{name}}_{self.step}_metrics.json")
        file.write_text(json.dumps(self.summary(), indent=1, sort_keys=True) + "\n")
        results = []
        for unfinished in sorted(self.staging.iterdir()):
            final = self.output / unfinished.name
            if final.is_dir() and not final.is_symlink():
                shutil.rmtree(final)
            os.replace(unfinished, final)
            results.append(final)
        self.staging.rmdir()
        if Path(".command.run").exists():
            note_results(results)
        return results

    def discard(self) -> None:
        """Remove unfinished results."""
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)


def note_results(results: list[Path]) -> None:
    """Note names, sizes and times of the results in the directory of a Nextflow task, the current one.

    ``-resume`` holds them against what is there then (``lib/FinishedTasks.groovy``).
    """
    lines = []
    for result in results:
        for file in sorted(result.rglob("*")) if result.is_dir() else [result]:
            if file.is_file():
                state = file.stat()
                lines.append(f"{file}\t{state.st_size}\t{state.st_mtime_ns // 1_000_000}\n")
    unfinished = Path(".results.tsv.part")
    unfinished.write_text("".join(lines), encoding="utf-8")
    unfinished.replace(".results.tsv")


def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide on results; for metrics, never for stores."""
    names = ("numpy", "scipy", "numba", "zarr", "numcodecs", "tifffile")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
