"""Tasks and the launcher are killed, stopped and starved; nodes vanish. The results have the bytes of a run without."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from support.faults import CHAIN, FUSION, SIGNALS, SMALL, Disturbed, Tally, Undisturbed, kill_family, starve
from support.nextflow_runs import Nextflow
from support.pretend_slurm import PretendSlurm

BLOWS = {
    "SIGKILL of a step": lambda step: step.kill(),
    "SIGKILL of a task with its wrapper": kill_family,
    "SIGTERM of a step": lambda step: step.terminate(),
    "SIGINT of a step": lambda step: step.send_signal(signal.SIGINT),
    "no more memory for a step": starve,
}


@pytest.mark.parametrize("seed", [1, 2])
def test_tasks_and_launcher_of_the_whole_chain(tmp_path: Path, chain: Undisturbed, tally: Tally, seed: int) -> None:
    run = Disturbed(Nextflow(tmp_path / "run"), CHAIN, "results", seed)
    kinds = list(BLOWS)
    run.random.shuffle(kinds)
    run.start()
    for kind in kinds:
        if run.process is None or run.process.poll() is not None:
            run.start()
        run.hit_step(kind, BLOWS[kind], after=run.finished() + run.random.randrange(3))
    for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"):
        if run.process is not None and run.process.poll() is not None:
            run.process = None
        run.hit_head(f"{name} of Nextflow", SIGNALS[name], after=run.finished() + run.random.randrange(1, 4))
    run.finish()
    tally.settle(run.faults, run.results, chain.digests, chain.sizes)


def test_tasks_and_launcher_of_fusion(tmp_path: Path, fusion: Undisturbed, tally: Tally) -> None:
    run = Disturbed(Nextflow(tmp_path / "run"), FUSION, "results", 3)
    run.start()
    for kind in ("SIGKILL of a step", "SIGKILL of a task with its wrapper"):
        run.hit_step(kind, BLOWS[kind], after=run.finished() + run.random.randrange(2))
    run.hit_head("SIGKILL of Nextflow", signal.SIGKILL, after=run.finished() + 1)
    run.finish()
    tally.settle(run.faults, run.results, fusion.digests, fusion.sizes)


def test_a_launcher_killed_again_and_again(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    run = Disturbed(Nextflow(tmp_path / "run"), SMALL, "results", 4)
    for _ in range(4):
        run.hit_head("SIGKILL of Nextflow", signal.SIGKILL, after=run.finished())
    run.finish()
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_the_limit_of_time(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    nextflow = Nextflow(tmp_path / "run")
    limits = nextflow.folder / "limits.config"
    # The first try of each may take two seconds, which none of them can hold.
    limits.write_text(
        "process { withName: 'SIMULATE_FIBRES|COMPUTE_ANISOTROPY' { time = { task.attempt == 1 ? 200.ms : 1.h } } }\n"
    )
    run = Disturbed(nextflow, ("-c", str(limits), *SMALL), "results", 5)
    run.finish()
    retried = run.log().count("Execution is retried")
    assert retried
    run.faults["SIGTERM at the limit of time"] = retried
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_nodes_that_vanish_from_a_cluster(tmp_path: Path, small: Undisturbed, tally: Tally) -> None:
    """A job gone as a whole leaves no exit status, and the scheduler no longer knows it."""
    slurm = PretendSlurm(tmp_path / "slurm")
    nextflow = Nextflow(tmp_path / "run", tools=slurm.tools)
    quick = str(Path(__file__).parents[1] / "slurm" / "quick.config")
    words = ("-c", quick, *SMALL[:1], "test,slurm,cpu", *SMALL[2:], "--slurm_max_cpus", str(os.cpu_count()))
    run = Disturbed(nextflow, (*words, "--slurm_max_memory", "4 GB"), "results", 6)
    run.start()
    for _ in range(3):
        run.hit_step("a node that vanishes", lambda step: slurm.vanish(step.pid), after=run.finished())
    run.finish()
    assert run.faults["a node that vanishes"]
    told = "".join(log.read_text(errors="replace") for log in nextflow.folder.glob(".nextflow.log*"))
    assert "terminated for an unknown reason" in told
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_nothing_is_left_running(small: Undisturbed) -> None:
    here = small.folder.parent
    left = [
        process.info for process in psutil.process_iter(["cwd", "cmdline"]) if str(here) in (process.info["cwd"] or "")
    ]
    assert left == []
