"""Ways to disturb a run that is going on, and the count of how many it survived."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from support.nextflow_runs import Nextflow, digests

WAIT = 600
"""Seconds that anything expected may take; the machine may be busy."""


SMALL = ("-profile", "test,cpu", "--output", "results")
CHAIN = (
    *("-profile", "cpu", "--workflow", "preprocess,reconstruct,anisotropy", "--input", "simulate"),
    *("--output", "results", "--processes", "1", "--simulate_oct_slices", "3", "--simulate_oct_tiles_x", "2"),
    *("--simulate_oct_tiles_y", "2", "--simulate_oct_tile_shape", "48,40,40", "--simulate_oct_interval_um", "100"),
)
FUSION = (
    *("-profile", "cpu", "--workflow", "fusion", "--input", "simulate", "--output", "results", "--processes", "1"),
    *("--simulate_multiview_shape", "24,48,48", "--simulate_multiview_timepoints", "1"),
)


class Tally:
    """How many faults of each kind were injected, how many a run survived, and how many bytes of results were lost."""

    def __init__(self) -> None:
        self.injected: Counter[str] = Counter()
        self.survived: Counter[str] = Counter()
        self.lost_bytes = 0

    def settle(self, faults: Counter[str], folder: Path, undisturbed: dict[str, str], sizes: dict[str, int]) -> None:
        """Count the faults of a run, held against the results of an undisturbed one."""
        self.injected += faults
        found = digests(folder)
        wrong = sorted(name for name in found.keys() | undisturbed.keys() if found.get(name) != undisturbed.get(name))
        self.lost_bytes += sum(sizes.get(name, 0) for name in wrong)
        assert not wrong, f"after {dict(faults)}, these differ from an undisturbed run: {wrong[:8]}"
        self.survived += faults

    def lines(self) -> list[str]:
        lines = [f"  {kind:60s} {self.survived[kind]:3d} of {n:3d}" for kind, n in sorted(self.injected.items())]
        total = f"{self.injected.total()} injected, {self.survived.total()} survived, {self.lost_bytes} bytes lost"
        return [*lines, total]

    def as_json(self) -> str:
        return json.dumps(
            {"injected": self.injected, "survived": self.survived, "lost_bytes": self.lost_bytes}, indent=1
        )


def sizes(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_size for file in folder.rglob("*") if file.is_file()}


@dataclass(frozen=True)
class Undisturbed:
    """Digests and sizes of the results of a run that nothing disturbed."""

    digests: dict[str, str]
    sizes: dict[str, int]
    folder: Path

    @classmethod
    def of(cls, folder: Path, words: tuple[str, ...]) -> Undisturbed:
        nextflow = Nextflow(folder)
        run = nextflow.run(*words)
        assert run.status == 0, run.text
        results = folder / "results"
        return cls(digests(results), sizes(results), folder)


def wait_for(condition: Callable[[], object], what: str, run: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait until a condition holds; return whether it did before the run ended."""
    end = time.monotonic() + WAIT
    while not condition():
        if run is not None and run.poll() is not None:
            return False
        assert time.monotonic() < end, f"{what}: did not happen within {WAIT} s"
        time.sleep(0.05)
    return True


class Disturbed:
    """A run that is started and resumed as often as it takes, with faults between; the moments come from a seed."""

    def __init__(self, nextflow: Nextflow, words: tuple[str, ...], output: str, seed: int) -> None:
        self.nextflow, self.words, self.output = nextflow, words, output
        self.random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def work(self) -> Path:
        return self.nextflow.folder / "work"

    @property
    def results(self) -> Path:
        return self.nextflow.folder / self.output

    def start(self, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start or resume, by a command that takes the run's command where one is given."""
        resume = ("-resume",) if (self.nextflow.folder / ".nextflow" / "history").exists() else ()
        self.process = self.nextflow.start(*self.words, *resume, prefix=prefix)
        return self.process

    def log(self) -> str:
        return (self.nextflow.folder / "started.log").read_text(errors="replace")

    def finish(self, times: int = 4) -> None:
        """Go on, resuming what stopped, until the run ends well."""
        for _ in range(times):
            process = self.process or self.start()
            status = process.wait(WAIT)
            self.process = None
            if status == 0:
                return
        raise AssertionError(self.log())

    def steps(self) -> list[psutil.Process]:
        """Step scripts that are running below this work directory."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                inside = Path(process.cwd()).is_relative_to(self.work)
                if inside and len(words) > 1 and "python" in words[0] and words[1].endswith(".py"):
                    found.append(process)
        return found

    def finished(self) -> int:
        return len(list(self.work.glob("??/*/.exitcode")))

    def wait_for_step(self, after: int = 0) -> psutil.Process | None:
        """Wait for a step that runs once so many tasks have ended, and a while longer; None if the run ended."""
        if not wait_for(lambda: self.finished() >= after and self.steps(), "a running step", self.process):
            return None
        time.sleep(self.random.uniform(0, 1.5))
        steps = self.steps()
        return self.random.choice(steps) if steps else self.wait_for_step(after)

    def hit_step(self, kind: str, blow: Callable[[psutil.Process], object], after: int = 0) -> None:
        """Do something to a running step; what ended before the blow came does not count."""
        while step := self.wait_for_step(after):
            try:
                blow(step)
            except (psutil.Error, ProcessLookupError):
                continue
            self.faults[kind] += 1
            return

    def hit_head(self, kind: str, number: int, after: int) -> None:
        """Stop Nextflow itself with a signal once so many tasks have ended."""
        process = self.process or self.start()
        if wait_for(lambda: self.finished() >= after, "finished tasks", process):
            time.sleep(self.random.uniform(0, 2))
        if process.poll() is None:
            os.kill(launcher_of(process), number)
            process.wait(WAIT)
            self.faults[kind] += 1
        self.process = None

    def stores(self) -> list[Path]:
        """Files of stores that finished tasks hold, not those of links to others."""
        return sorted(
            file
            for task in self.work.glob("??/*")
            if (task / ".exitcode").exists()
            for file in task.rglob("*")
            if file.is_file() and ".ome.zarr" in str(file.parent) and not linked(file, task)
        )


def linked(file: Path, task: Path) -> bool:
    return any(parent.is_symlink() for parent in file.parents if parent.is_relative_to(task)) or file.is_symlink()


def launcher_of(process: subprocess.Popen[bytes]) -> int:
    """Number of the Java process that a launcher became or started."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return next((one.pid for one in family if "java" in one.name()), process.pid)


def kill_family(step: psutil.Process) -> None:
    """Kill a task with its wrapper, as when its node vanishes: nobody is left to write an exit status."""
    wrapper = step
    while (parent := wrapper.parent()) and ".command" in " ".join(parent.cmdline()):
        wrapper = parent
    family = [wrapper, *wrapper.children(recursive=True)]
    for one in family:
        one.suspend()
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()


def starve(step: psutil.Process) -> None:
    """Let the next piece of memory that a step asks for be refused."""
    step.rlimit(psutil.RLIMIT_AS, (1 << 20, 1 << 20))


def cut(file: Path, random: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: random.randrange(len(content))])


def flip(file: Path, random: random.Random) -> None:
    """Change bytes; size and time stay, as when a disk loses bits."""
    state = file.stat()
    content = bytearray(file.read_bytes())
    for place in random.sample(range(len(content)), min(8, len(content))):
        content[place] ^= 0xFF
    file.write_bytes(bytes(content))
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def rewrite(file: Path, random: random.Random) -> None:
    """Put zeros in the place of a file's bytes."""
    file.write_bytes(bytes(file.stat().st_size))


def remove(file: Path, random: random.Random) -> None:
    file.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: float) -> Iterator[Callable[[str], None]]:
    """Mount a file system of a size; yields what changes its options (``size=40m``, ``ro``, ``rw``)."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={int(megabytes * 1024)}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True, capture_output=True)
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def may_mount(folder: Path) -> bool:
    """Whether this user may mount a file system."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=False, capture_output=True)
    if done.returncode:
        return False
    subprocess.run(["umount", str(folder)], check=False)
    return True


def obeying_permissions() -> list[str]:
    """Words before a command that make root obey permissions like any user; none for other users."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]


SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP}
