"""Full and read-only disks, folders without permission, and the clocks of several machines."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.faults import SMALL, Disturbed, Tally, Undisturbed, may_mount, obeying_permissions, small_disk, wait_for
from support.nextflow_runs import Nextflow

SCALE = 0.6
"""Part of what a run needs that there is room for at first."""


@pytest.fixture
def mountable(tmp_path: Path) -> Path:
    place = tmp_path / "disk"
    if not may_mount(place):
        pytest.skip("this user may not mount a file system")
    return place


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / (1 << 20)


@pytest.mark.parametrize("full", ["work", "results"])
def test_a_disk_that_is_full(tmp_path: Path, mountable: Path, small: Undisturbed, tally: Tally, full: str) -> None:
    nextflow = Nextflow(tmp_path / "run")
    # what Nextflow itself tells of a run is no result: it goes missing with a warning
    needed = {"work": small.folder / "work", "results": small.folder / "results" / "anisotropy"}[full]
    with small_disk(mountable, SCALE * megabytes(needed)) as change:
        words = {"work": ("-w", str(mountable)), "results": ("--output", str(mountable / "results"))}[full]
        run = Disturbed(nextflow, (*SMALL, *words), "results", 7)
        process = run.start()
        assert process.wait(600) != 0, run.log()
        run.process = None
        run.faults[f"disk full ({full})"] += 1
        change("size=1g")
        run.finish(2)
        results = mountable / "results" if full == "results" else run.results
        tally.settle(run.faults, results, small.digests, small.sizes)


def test_a_limit_on_the_size_of_files(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    nextflow = Nextflow(tmp_path / "run")
    limited = nextflow.folder / "limited.config"
    limited.write_text(
        'process { beforeScript = { "export PATH=\\"${projectDir}/.venv/bin:\\$PATH\\"; '
        "if [ ! -e '" + str(nextflow.folder / "lifted") + "' ]; then ulimit -f 8; fi\" } }\n"
    )
    run = Disturbed(nextflow, ("-c", str(limited), *SMALL), "results", 8)
    process = run.start()
    assert process.wait(600) != 0, run.log()
    run.process = None
    run.faults["quota on files"] += 1
    (nextflow.folder / "lifted").touch()
    run.finish(2)
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_an_output_that_is_read_only(tmp_path: Path, mountable: Path, small: Undisturbed, tally: Tally) -> None:
    nextflow = Nextflow(tmp_path / "run")
    with small_disk(mountable, 200) as change:
        run = Disturbed(nextflow, (*SMALL, "--output", str(mountable)), "results", 9)
        change("ro")
        assert run.start().wait(600) != 0
        run.process = None
        assert "is not writable" in run.log()
        run.faults["output read-only from the start"] += 1
        change("rw")
        run.finish(2)
        tally.settle(run.faults, mountable, small.digests, small.sizes)


@pytest.mark.parametrize("place", ["results/anisotropy", "work"])
def test_permissions_that_are_taken_away(tmp_path: Path, small: Undisturbed, tally: Tally, place: str) -> None:
    nextflow = Nextflow(tmp_path / "run")
    prefix = obeying_permissions()
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("no setpriv, without which root passes every permission")
    run = Disturbed(nextflow, SMALL, "results", 10)
    folder = nextflow.folder / place
    if place != "work":
        folder.mkdir(parents=True)
    process = run.start(prefix)
    wait_for(lambda: run.finished() >= 1, "a finished task", process)
    folder.chmod(0o500)
    status = process.wait(600)
    run.process = None
    folder.chmod(0o700)
    assert status != 0, run.log()
    run.faults["permission taken away (" + place + ")"] += 1
    run.finish(2)
    tally.settle(run.faults, run.results, small.digests, small.sizes)


@pytest.mark.parametrize("shift_s", [-400 * 86400, 3 * 86400])
def test_times_of_files_from_a_machine_with_another_clock(
    tmp_path: Path, small: Undisturbed, tally: Tally, shift_s: int
) -> None:
    run = Disturbed(Nextflow(tmp_path / "run"), SMALL, "results", 11)
    run.hit_head("SIGKILL of Nextflow", signal.SIGKILL, after=2)
    for file in run.work.rglob("*"):
        if file.is_file() and not file.is_symlink():
            os.utime(file, (time.time() + shift_s,) * 2)
    run.faults["times of files moved to " + ("the past" if shift_s < 0 else "the future")] += 1
    run.finish(2)
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_a_clock_that_jumps_between_runs(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not library:
        pytest.skip("no libfaketime")
    nextflow = Nextflow(tmp_path / "run")
    run = Disturbed(nextflow, SMALL, "results", 12)
    for shift in ("+300d", "-2d"):
        nextflow.env |= {"LD_PRELOAD": library[0], "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        run.hit_head("SIGKILL of Nextflow", signal.SIGKILL, after=run.finished() + 1)
        run.faults["a clock that jumps"] += 1
    for name in ("LD_PRELOAD", "FAKETIME"):
        del nextflow.env[name]
    run.finish(2)
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_mounts_are_gone(tmp_path: Path) -> None:
    mounts = subprocess.run(["mount"], capture_output=True, text=True, check=False).stdout
    assert str(tmp_path.parent) not in mounts
