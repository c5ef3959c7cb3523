"""Drives the launcher the way a user does, in folders of its own."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDER = Path(__file__).with_name("recorder.py")
PIPELINE_FILES = (
    "main.nf",
    "nextflow.config",
    "nextflow_schema.json",
    "bin",
    "conf",
    "lib",
    "linumpy_lib",
    "modules",
    "workflows",
)


def launcher() -> str | None:
    """Return the project's own launcher, else the one on PATH."""
    own = ROOT / ".venv" / "bin" / "nextflow"
    return str(own) if own.exists() else shutil.which("nextflow")


@dataclass
class Run:
    """What a launched command left behind."""

    status: int
    text: str
    folder: Path

    def tasks(self, output: str = "results") -> dict[str, str]:
        """Status of each task by name (without the workflow's), from the newest trace."""
        trace = max((self.folder / output / "pipeline_info").glob("trace_*.txt"))
        with trace.open() as stream:
            return {row["name"].split(":")[-1]: row["status"] for row in csv.DictReader(stream, delimiter="\t")}


class Nextflow:
    """A folder to launch from, with its own cache of finished tasks."""

    def __init__(self, folder: Path, project: Path = ROOT, tools: Path | None = None) -> None:
        self.folder = folder
        self.project = project
        self.calls = folder / "calls"
        folder.mkdir(parents=True, exist_ok=True)
        path = [str(tools)] if tools else []
        self.env = {
            **os.environ,
            "PATH": os.pathsep.join([*path, str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(project),
            "NXF_ANSI_LOG": "false",
            "NXF_OFFLINE": "true",
            "RECORDER_CALLS": str(self.calls),
        }

    def command(self, *words: str) -> Run:
        program = launcher()
        assert program is not None
        done = subprocess.run(
            [program, *words], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=900, check=False
        )
        return Run(done.returncode, done.stdout + done.stderr, self.folder)

    def run(self, *words: str) -> Run:
        return self.command("run", str(self.project / "main.nf"), *words)

    def start(self, *words: str, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Begin a run and go on; what it says goes to `started.log` in the folder."""
        program = launcher()
        assert program is not None
        with (self.folder / "started.log").open("wb") as log:
            return subprocess.Popen(
                [*prefix, program, "run", str(self.project / "main.nf"), *words],
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def digests(folder: Path, pattern: str = "*") -> dict[str, str]:
    """Digest of every file of the results that a pattern names, without what tells times and machines."""
    files = sorted(file for result in folder.glob(pattern) for file in [result, *result.rglob("*")] if file.is_file())
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if not re.search(r"_report\.\w+$|_metrics\.json$", file.name) and "pipeline_info" not in file.parts
    }


def copy_project(folder: Path) -> Path:
    """Copy what a run needs, so that a test may change it."""
    for name in PIPELINE_FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "setup"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def recording_tools(folder: Path) -> Path:
    """Make stand-ins for the step scripts that note how they are called and leave files of the right names."""
    folder.mkdir(parents=True, exist_ok=True)
    for script in (ROOT / "bin").glob("*.py"):
        tool = folder / script.name
        tool.write_text(f"#!{sys.executable}\n{RECORDER.read_text()}")
        tool.chmod(0o755)
    return folder


def schema_parameters() -> dict[str, dict[str, Any]]:
    """Return every declared parameter by name."""
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())
    return {name: item for group in schema["$defs"].values() for name, item in group["properties"].items()}


def wired_steps() -> set[str]:
    """Return the steps whose processes the entry workflow reaches, not those of modules that nothing includes yet."""
    scripts = [ROOT / "main.nf"]
    steps = set()
    for script in scripts:
        for target in re.findall(r"^include \{[^}]+\} from '([^']+)'", script.read_text(), re.MULTILINE):
            path = (script.parent / f"{target}.nf").resolve()
            if "modules" in path.relative_to(ROOT).parts:
                steps.add(path.stem)
            else:
                scripts.append(path)
    return steps
