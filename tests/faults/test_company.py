"""Several runs that get in each other's way: one output, one work directory, one session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from support.faults import SMALL, Disturbed, Tally, Undisturbed
from support.nextflow_runs import Nextflow


@contextlib.contextmanager
def held(run: Disturbed) -> Iterator[None]:
    """Hold a run at the step that it is at, so that it cannot end before the other one has begun."""
    step = run.wait_for_step()
    assert step is not None, run.log()
    step.suspend()
    try:
        yield
    finally:
        step.resume()


def test_two_runs_into_one_output(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    """The second is refused as long as the first goes on; neither harms the other's results."""
    output = ("--output", str(tmp_path / "common"))
    first = Disturbed(Nextflow(tmp_path / "first"), (*SMALL, *output), "results", 20)
    second = Disturbed(Nextflow(tmp_path / "second"), (*SMALL, *output), "results", 21)
    process = first.start()
    with held(first):
        assert second.start().wait(600) == 1
    assert "another run is writing into" in second.log()
    second.process = None
    first.faults["a second run into the same output"] += 1
    assert process.wait(600) == 0, first.log()
    tally.settle(first.faults, tmp_path / "common", small.digests, small.sizes)
    second.finish(1)
    tally.settle(second.faults, tmp_path / "common", small.digests, small.sizes)


def test_two_runs_in_one_work_directory(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    nextflow = Nextflow(tmp_path / "run")
    other = Nextflow(tmp_path / "other")
    work = ("-w", str(nextflow.folder / "work"))
    runs = [Disturbed(nextflow, (*SMALL, *work), "results", 22), Disturbed(other, (*SMALL, *work), "results", 23)]
    processes = [run.start() for run in runs]
    assert [process.wait(900) for process in processes] == [0, 0], runs[0].log() + runs[1].log()
    for run in runs:
        run.faults["two runs in one work directory"] += 1
        tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_one_session_resumed_twice_at_once(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    nextflow = Nextflow(tmp_path / "run")
    run = Disturbed(nextflow, SMALL, "results", 24)
    run.start()
    with held(run):
        twin = nextflow.run(*SMALL, "-resume")
    assert twin.status == 1, twin.text
    run.faults["a session resumed while it runs"] += 1
    run.finish()
    tally.settle(run.faults, run.results, small.digests, small.sizes)
