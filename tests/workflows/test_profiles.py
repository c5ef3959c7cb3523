"""Profiles combine without losing a setting, in whatever order they are given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.nextflow_runs import ROOT, Nextflow

from linumpy_lib import __version__

BASE = {
    "process.'withLabel:process_medium'.cpus": "{ (params.processes as int) ?: 6 }",
    "process.'withLabel:process_medium'.time": "{ 8.h * task.attempt }",
    "process.maxRetries": "2",
    "env.PYTHONNOUSERSITE": "1",
}
EXPECTED = {
    "cpu": {"params.device": "'cpu'"},
    "mps": {"params.device": "'mps'", "process.'withLabel:.*gpu'.maxForks": "1"},
    "gpu": {
        "params.device": "'cuda'",
        "process.'withLabel:.*gpu'.accelerator": "1",
        "apptainer.envWhitelist": "'CUDA_VISIBLE_DEVICES'",
        "docker.envWhitelist": "'CUDA_VISIBLE_DEVICES'",
    },
    "slurm": {
        "process.executor": "'slurm'",
        "process.'withName:.*'.maxForks": "0",
        "process.resourceLimits": "[cpus:1024, memory:'16 TB', time:'30 d']",
    },
    "apptainer": {
        "apptainer.enabled": "true",
        "docker.enabled": "false",
        "process.container": f"'{ROOT}/containers/linumpy-pipeline-{__version__}.sif'",
        "process.beforeScript": "''",
    },
    "docker": {
        "docker.enabled": "true",
        "apptainer.enabled": "false",
        "process.container": f"'linumpy-pipeline:{__version__}'",
        "process.beforeScript": "''",
    },
    "demo": {
        "params.workflow": "'preprocess,reconstruct,anisotropy'",
        "params.input": "'simulate'",
        "params.output": "'demo_results'",
    },
    "test": {"params.workflow": "'anisotropy'", "params.input": "'simulate'", "params.simulate_shape": "'32,40,48'"},
    "debug": {"cleanup": "false", "process.debug": "true"},
    "conservative": {"params.stack_accumulate_translations": "false", "params.transform_confidence_high": "0.6"},
    "aggressive": {"params.use_expected_z_overlap": "false", "params.stack_max_pairwise_translation": "50"},
    "minimal": {"params.apply_pairwise_transforms": "false", "params.stack_smooth_window": "0"},
    "anisotropy_seed": {
        "params.anisotropy_gradient": "'sobel'",
        "params.anisotropy_rho": "1.0",
        "params.anisotropy_normalization": "'seed'",
    },
}


def flat(nextflow: Nextflow, profiles: str) -> dict[str, str]:
    run = nextflow.command("config", "-flat", "-profile", profiles, str(ROOT))
    assert run.status == 0, run.text
    return dict(re.findall(r"^(\S.*?) = (.*)$", run.text, re.MULTILINE))


@pytest.mark.parametrize(
    "profiles",
    [
        "standard",
        "mps",
        "cpu,slurm",
        "cpu,slurm,apptainer",
        "gpu,docker",
        "gpu,apptainer",
        "gpu,slurm,apptainer",
        "slurm,gpu",
        "demo,cpu",
        "test,cpu,docker",
        "test,gpu,slurm,debug",
        "cpu,anisotropy_seed",
        "gpu,slurm,apptainer,aggressive",
        "cpu,conservative",
        "demo,cpu,minimal",
    ],
)
def test_a_combination_holds_what_each_profile_sets(nextflow: Nextflow, profiles: str) -> None:
    found = flat(nextflow, profiles)
    wanted = dict(BASE)
    for profile in profiles.split(","):
        wanted.update(EXPECTED.get(profile, {}))
    assert {name: found.get(name) for name in wanted} == wanted


def test_the_output_directory_of_a_profile_holds_its_reports(nextflow: Nextflow) -> None:
    found = flat(nextflow, "demo")
    for report in ("trace", "timeline", "report", "dag"):
        assert found[f"{report}.file"].startswith("'demo_results/pipeline_info/")


def test_versions_agree() -> None:
    config = (ROOT / "nextflow.config").read_text()
    assert f"version = '{__version__}'" in config


def test_profiles_use_blocks_only() -> None:
    for path in sorted((ROOT / "conf").glob("*.config")):
        dotted = re.findall(
            r"^\s*(?:process|params|docker|apptainer|executor|env)\.\S+ *=", path.read_text(), re.MULTILINE
        )
        assert dotted == [], Path(path).name
