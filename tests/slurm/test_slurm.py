"""The pipeline on a real Slurm cluster of one node: same bytes as without it, through killed jobs and interruptions."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nextflow_runs import ROOT, Nextflow, digests
from support.one_node_slurm import OneNodeSlurm, missing_programs, wait_for

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"),
]
QUICK = str(ROOT / "tests" / "slurm" / "quick.config")
# What the node has: a request for more would wait for ever.
ROOM = ("--slurm_max_cpus", str(os.cpu_count()), "--slurm_max_memory", "4 GB")
ON_CLUSTER = ("-c", QUICK, "-profile", "test,slurm,cpu", *ROOM)


@pytest.fixture(scope="module")
def cluster() -> Iterator[OneNodeSlurm]:
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = OneNodeSlurm(Path(folder), cards=2)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the results of a run without Slurm."""
    nextflow = Nextflow(tmp_path_factory.mktemp("local"))
    run = nextflow.run("-profile", "test,cpu")
    assert run.status == 0, run.text
    found = digests(nextflow.folder / "test_results")
    assert len(found) > 10
    return found


@pytest.fixture
def nextflow(cluster: OneNodeSlurm, tmp_path: Path) -> Nextflow:
    nextflow = Nextflow(tmp_path / "a run")
    nextflow.env |= {**cluster.env, "PATH": os.pathsep.join([nextflow.env["PATH"], "/usr/sbin", "/sbin"])}
    return nextflow


def job_headers(nextflow: Nextflow) -> dict[str, str]:
    """The lines for Slurm in each task's job script, by task name."""
    found = {}
    for script in (nextflow.folder / "work").rglob(".command.run"):
        text = script.read_text()
        name = re.search(r"^### name: '(.+)'$", text, re.MULTILINE)
        if name:
            found[name[1].split(":")[-1]] = "\n".join(re.findall(r"^#SBATCH.*$", text, re.MULTILINE))
    return found


def running(cluster: OneNodeSlurm, step: str) -> list[str]:
    return [job for job, name in cluster.jobs().items() if step in name]


def writing(nextflow: Nextflow) -> bool:
    """Whether some task has begun to write a store."""
    return any((nextflow.folder / "work").glob("??/*/*/*.ome.zarr*/**/c"))


def test_a_run_on_the_cluster_has_the_bytes_of_a_run_without(nextflow: Nextflow, undisturbed: dict[str, str]) -> None:
    run = nextflow.run(*ON_CLUSTER, "--slurm_max_time", "1 h")
    assert run.status == 0, run.text
    assert digests(nextflow.folder / "test_results") == undisturbed
    headers = job_headers(nextflow)
    assert headers
    assert all("-t 01:00:00" in header for header in headers.values()), headers


def test_a_job_killed_while_it_writes_is_run_again(
    cluster: OneNodeSlurm, nextflow: Nextflow, undisturbed: dict[str, str]
) -> None:
    process = nextflow.start(*ON_CLUSTER)
    wait_for(lambda: writing(nextflow) and bool(cluster.jobs()), 120, "a store to be written")
    killed = dict(cluster.jobs())
    for job in killed:
        cluster.kill(job)
    assert process.wait(300) == 0, (nextflow.folder / "started.log").read_text()
    assert "Execution is retried" in (nextflow.folder / "started.log").read_text()
    assert killed
    assert digests(nextflow.folder / "test_results") == undisturbed


def test_an_interrupted_run_cancels_its_jobs_and_resumes(
    cluster: OneNodeSlurm, nextflow: Nextflow, undisturbed: dict[str, str]
) -> None:
    process = nextflow.start(*ON_CLUSTER)
    wait_for(lambda: writing(nextflow) and bool(cluster.jobs()), 120, "a store to be written")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(120) != 0
    wait_for(lambda: not cluster.jobs(), 60, "the jobs to be cancelled")
    run = nextflow.run(*ON_CLUSTER, "-resume")
    assert run.status == 0, run.text
    assert "CACHED" in run.tasks("test_results").values()
    assert digests(nextflow.folder / "test_results") == undisturbed


def test_requests_reach_slurm_as_the_parameters_say(nextflow: Nextflow) -> None:
    requests = ("--slurm_queue", "main", "--slurm_gpu_queue", "cards", "--slurm_account", "lab")
    run = nextflow.run("-c", QUICK, "-profile", "test,slurm,gpu", "-stub", "--device", "cpu", *ROOM, *requests)
    assert run.status == 0, run.text
    headers = job_headers(nextflow)
    with_card = {name for name, header in headers.items() if "--gres=gpu:1" in header}
    assert any(name.startswith("COMPUTE_ANISOTROPY") for name in with_card)
    assert not any(name.startswith("SIMULATE") for name in with_card)
    for name, header in headers.items():
        assert f"-p {'cards' if name in with_card else 'main'}" in header
        assert "--account=lab" in header
        assert "--mem 4096M" in header


def test_many_tasks_of_a_step_are_one_array(nextflow: Nextflow, cluster: OneNodeSlurm) -> None:
    run = nextflow.run(
        *ON_CLUSTER, "-stub", "--anisotropy_slabs", "3", "--slurm_array", "3", "--simulate_shape", "300,16,16"
    )
    assert run.status == 0, run.text
    done = subprocess.run(
        ["scontrol", "show", "job", "--oneliner"],
        env={**os.environ, **cluster.env},
        capture_output=True,
        text=True,
        check=True,
    )
    arrays = re.findall(r"ArrayTaskId=\S+ JobName=\S*COMPUTE_ANISOTROPY\S*", done.stdout)
    assert arrays, done.stdout
