"""Runs inside the images: the bytes of a run outside. `make test-containers`, where an engine and an image are there.

LINUMPY_CONTAINER_CONFIG may name a Nextflow configuration with what the engine needs besides on a machine,
LINUMPY_APPTAINER_OPTIONS hold options for an image that is run by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.nextflow_runs import ROOT, Nextflow, digests, launcher

from linumpy_lib import __version__

pytestmark = [
    pytest.mark.containers,
    pytest.mark.nextflow,
    pytest.mark.skipif(launcher() is None, reason="no nextflow: make setup"),
]
FILE = ROOT / "containers" / f"linumpy-pipeline-{__version__}.sif"
NAME = f"linumpy-pipeline:{__version__}"
SITE = os.environ.get("LINUMPY_CONTAINER_CONFIG")
APPTAINER_WORDS = os.environ.get("LINUMPY_APPTAINER_OPTIONS", "").split()


def labels(engine: str) -> dict[str, str]:
    """Return the labels of the image, or skip the test with what is missing."""
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} on PATH")
    if engine == "apptainer":
        if not FILE.exists():
            pytest.skip(f"no {FILE.relative_to(ROOT)}: make apptainer")
        words = ["apptainer", "inspect", "--json", str(FILE)]
    else:
        words = ["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", NAME]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no {NAME}: make image ({done.stderr.strip()})")
    found = json.loads(done.stdout)
    return found["data"]["attributes"]["labels"] if engine == "apptainer" else found


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    nextflow = Nextflow(tmp_path_factory.mktemp("outside"))
    run = nextflow.run("-profile", "test,cpu")
    assert run.status == 0, run.text
    return digests(nextflow.folder / "test_results")


@pytest.mark.parametrize("engine", ["apptainer", "docker"])
def test_a_run_inside_has_the_bytes_of_a_run_outside(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found = labels(engine)
    assert found["org.opencontainers.image.version"] == __version__
    lock = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    assert found["linumpy-pipeline.lock.sha256"] == lock, "the image is of another lock: build it again"
    wanted = request.getfixturevalue("outside")
    nextflow = Nextflow(tmp_path / "a run")
    site = ("-c", SITE) if SITE else ()
    run = nextflow.run(*site, "-profile", f"test,cpu,{engine}")
    assert run.status == 0, run.text
    assert digests(nextflow.folder / "test_results") == wanted
    versions = json.loads((nextflow.folder / "test_results" / "pipeline_info" / "versions.json").read_text())
    assert (FILE.name if engine == "apptainer" else NAME) in str(versions["container"])


@pytest.mark.parametrize("engine", ["apptainer", "docker"])
def test_it_runs_as_the_user_who_starts_it(engine: str) -> None:
    """By hand: nobody in Docker, oneself in Apptainer; never root of an image that was made as root."""
    labels(engine)
    words = (
        ["apptainer", "exec", *APPTAINER_WORDS, str(FILE)] if engine == "apptainer" else ["docker", "run", "--rm", NAME]
    )
    done = subprocess.run([*words, "id", "-u"], capture_output=True, text=True, check=True)
    assert int(done.stdout) == (os.getuid() if engine == "apptainer" else 65534)
