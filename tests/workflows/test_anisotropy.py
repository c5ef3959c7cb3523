"""The anisotropy workflow on real tasks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from support.nextflow_runs import ROOT, Nextflow, Run, digests

from linumpy_lib.io import open_volume

STORES = ("measures", "principal_dir", "fibre_dir", "mask", "eigenvalues")
VALIDATOR = ROOT.parent / "shared" / "checks" / "validate_ngff.py"


def validate(store: Path) -> None:
    if not VALIDATOR.exists():
        pytest.skip(reason="../shared/checks/validate_ngff.py is not beside this checkout")
    done = subprocess.run([sys.executable, str(VALIDATOR), str(store)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Run:
    nextflow = Nextflow(tmp_path_factory.mktemp("stub"))
    return nextflow.run("-profile", "test,cpu", "-stub", "--anisotropy_npz", "--anisotropy_eigenvalues")


def test_a_stub_run_makes_every_declared_output(stub: Run) -> None:
    assert stub.status == 0, stub.text
    folder = stub.folder / "test_results" / "anisotropy"
    names = {path.name for path in folder.iterdir()}
    files = {"anisotropy.npz", "preview.png", "statistics.json", "anisotropy_report.html"}
    files |= {f"quality_report.{kind}" for kind in ("html", "txt", "json")}
    made = ("compute_anisotropy", "export_npz", "report_anisotropy", "quality_generate_report")
    steps = {f"{step}_metrics.json" for step in made}
    assert names == {f"fibres_{ending}" for ending in files | steps | {f"{store}.ome.zarr" for store in STORES}}


@pytest.mark.parametrize("store", STORES)
def test_the_stores_of_a_stub_run_are_valid(stub: Run, store: str) -> None:
    path = stub.folder / "test_results" / "anisotropy" / f"fibres_{store}.ome.zarr"
    validate(path)
    assert open_volume(path).shape[-3:] == (16, 16, 16)


def test_a_run_records_itself(stub: Run) -> None:
    names = sorted(path.name.split("_")[0] for path in (stub.folder / "test_results" / "pipeline_info").iterdir())
    assert names == [".lock", "dag", "params.json", "report", "timeline", "trace", "versions.json"]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Nextflow:
    """Two volumes whose names the shell would trip over, one of them tall enough for three slabs."""
    nextflow = Nextflow(tmp_path_factory.mktemp("real") / "it's a run")
    rng = np.random.default_rng(3)
    folder = nextflow.folder / "my volumes"
    folder.mkdir()
    tifffile.imwrite(folder / "tall (one).tif", rng.integers(0, 255, (300, 12, 14), dtype=np.uint8))
    tifffile.imwrite(folder / "flat.tif", rng.integers(0, 255, (24, 20, 28), dtype=np.uint16))
    return nextflow


def test_slabs_and_links_give_the_same_bytes(volumes: Nextflow) -> None:
    call = ("-profile", "cpu", "--workflow", "anisotropy")
    whole = volumes.run(*call, "--input", "my volumes/*.tif", "--output", "whole results")
    assert whole.status == 0, whole.text
    assert set(whole.tasks("whole results")) == {
        *("COMPUTE_ANISOTROPY (flat)", "REPORT_ANISOTROPY (flat)"),
        *("COMPUTE_ANISOTROPY (tall_one)", "REPORT_ANISOTROPY (tall_one)"),
        "GENERATE_REPORT (run)",
    }
    call += ("--input", "my volumes/tall*", "--anisotropy_slabs", "3", "--publish_mode", "link")
    slabs = volumes.run(*call, "--output", "slabs", "-resume")
    assert slabs.status == 0, slabs.text
    for pattern in ("tall*.ome.zarr", "tall*_statistics.json"):
        first = digests(volumes.folder / "whole results" / "anisotropy", pattern)
        second = digests(volumes.folder / "slabs" / "anisotropy", pattern)
        assert first
        assert first == second
    assert not any(path.is_symlink() for path in (volumes.folder / "slabs").rglob("*"))


def test_a_truncated_input_fails_with_one_clear_block_and_publishes_nothing_of_it(nextflow: Nextflow) -> None:
    whole = nextflow.folder / "good.tif"
    tifffile.imwrite(whole, np.random.default_rng(1).integers(0, 255, (32, 32, 32), dtype=np.uint8))
    (nextflow.folder / "cut.tif").write_bytes(whole.read_bytes()[:20000])
    run = nextflow.run("-profile", "cpu", "--workflow", "anisotropy", "--input", "*.tif")
    assert run.status == 1
    block = run.text.split("The run has failed.")[1]
    assert "step    ANISOTROPY:COMPUTE_ANISOTROPY (cut)" in block
    assert f"input   {nextflow.folder / 'cut.tif'}" in block
    assert "reason  error: " in block
    assert "-resume" in block
    assert not any(path.name.startswith("cut") for path in (nextflow.folder / "results" / "anisotropy").glob("*"))
