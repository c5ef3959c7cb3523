"""Profiles combine without losing a setting, in whatever order they are given."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from support.nextflow_runs import ROOT, Nextflow, launcher

from linumpy_lib import __version__

BASE = {
    "process.'withLabel:process_medium'.cpus": "{ (params.processes as int) ?: 6 }",
    "process.'withLabel:process_medium'.time": "{ 8.h * task.attempt }",
    "process.maxRetries": "2",
    "env.PYTHONNOUSERSITE": "1",
}
# Closures, shown as they are written: what they come to is in tests/containers.
APPTAINER_OPTIONS = (
    """{ "--bind '${projectDir}/linumpy_lib:${projectDir}/linumpy_lib:ro'${task.accelerator ? ' --nv' : ''}" }"""
)
DOCKER_OPTIONS = (
    """{ "-v '${projectDir}/linumpy_lib:${projectDir}/linumpy_lib:ro'${task.accelerator ? ' --gpus all' : ''}" }"""
)
EXPECTED: dict[str, dict[str, str]] = {
    "cpu": {"params.device": "'cpu'"},
    "mps": {"params.device": "'mps'", "process.'withLabel:.*gpu'.maxForks": "1"},
    "gpu": {
        "params.device": "'cuda'",
        "process.'withLabel:.*gpu'.accelerator": "1",
        "apptainer.envWhitelist": "'CUDA_VISIBLE_DEVICES'",
        "docker.envWhitelist": "'CUDA_VISIBLE_DEVICES'",
        "process.'withLabel:.*gpu'.maxForks": "1",
    },
    "slurm": {
        "process.executor": "'slurm'",
        "process.'withName:.*'.maxForks": "0",
        "process.resourceLimits": "[cpus:1024, memory:'16 TB', time:'30 d']",
    },
    "apptainer": {
        "apptainer.enabled": "true",
        "docker.enabled": "false",
        "process.containerOptions": APPTAINER_OPTIONS,
        "process.beforeScript": "''",
        "env.PYTHONPATH": f"'{ROOT}'",
    },
    "docker": {
        "docker.enabled": "true",
        "docker.runOptions": "'-u $(id -u):$(id -g)'",
        "docker.temp": "'/tmp'",
        "apptainer.enabled": "false",
        "process.containerOptions": DOCKER_OPTIONS,
        "process.beforeScript": "''",
        "env.PYTHONPATH": f"'{ROOT}'",
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


DEVICES, CONTAINERS = ("cpu", "gpu", "mps"), ("apptainer", "docker")
CHOICES = ("conservative", "aggressive", "minimal", "anisotropy_seed")
ANY_TIME = re.compile(r"^(trace|timeline|report|dag)\.file$")


def combinations() -> list[str]:
    """Return what has to fit together.

    Settings are lost between two profiles: all pairs in both orders, of the profiles that open the same blocks; then
    whole chains, and each profile that only sets parameters on top of the longest one.
    """
    pairs = [*product(DEVICES, ["slurm"]), *product(DEVICES, CONTAINERS), *product(["slurm"], CONTAINERS)]
    found = [list(pair) for a, b in pairs for pair in ((a, b), (b, a))]
    found += [[device, "slurm", container] for device in ("cpu", "gpu") for container in CONTAINERS]
    found += [["apptainer", "slurm", "gpu"], ["gpu", "slurm", "docker", "debug"], ["debug", "apptainer", "gpu"]]
    found += [["gpu", "slurm", "apptainer", name] for name in CHOICES]
    found += [
        ["demo", "cpu"],
        ["cpu", "demo"],
        ["cpu", "conservative"],
        ["demo", "cpu", "minimal"],
        ["test", "cpu", "docker"],
        ["demo", "cpu", "apptainer"],
        ["demo", "cpu", "slurm"],
        ["demo", "slurm", "gpu", "apptainer", "debug"],
        ["test", "gpu", "slurm", "debug"],
    ]
    return sorted({",".join(names) for names in found})


def documented() -> set[str]:
    """Return the combinations that the documentation shows."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    words = re.findall(r"-profile[ =]([a-z_]+(?:,[a-z_]+)*)", "\n".join(page.read_text() for page in pages))
    return set(words)


def flat_text(text: str) -> dict[str, str]:
    pairs = re.findall(r"^(\S.*?) = (.*)$", text, re.MULTILINE)
    return {name: value for name, value in pairs if not ANY_TIME.match(name)}


Resolve = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolve:
    """Return the settings of a combination; all are resolved at once."""
    if launcher() is None:
        pytest.skip("no nextflow: make setup")
    folder = tmp_path_factory.mktemp("profiles")
    runner = Nextflow(folder / "run")
    (folder / "combinations").write_text(
        "\n".join(sorted({*combinations(), *documented(), *EXPECTED, "standard"})), encoding="utf-8"
    )
    script = Path(__file__).parents[1] / "support" / "resolve_profiles.nf"
    words = ["--combinations", str(folder / "combinations"), "--project", str(ROOT), "--folder", str(folder)]
    run = runner.command("-q", "run", str(script), *words)
    assert run.status == 0, run.text
    return lambda profiles: flat_text((folder / f"{profiles}.txt").read_text(encoding="utf-8"))


def test_resolving_at_once_is_what_nextflow_config_shows(nextflow: Nextflow, resolved: Resolve) -> None:
    run = nextflow.command("config", "-flat", "-profile", "gpu,slurm,apptainer", str(ROOT))
    assert run.status == 0, run.text
    assert flat_text(run.text) == resolved("gpu,slurm,apptainer")


def test_a_profile_sets_what_it_promises(resolved: Resolve) -> None:
    for profile, wanted in {"standard": {}, **EXPECTED}.items():
        found = resolved(profile)
        assert {name: found.get(name) for name in {**BASE, **wanted}} == {**BASE, **wanted}, profile


def test_every_combination_holds_what_each_of_its_profiles_sets(resolved: Resolve) -> None:
    """Nothing that a profile sets is lost beside others, in any order, and nothing else changes."""
    alone = resolved("standard")
    sets = {}
    for name in EXPECTED:
        found, text = resolved(name), (ROOT / "conf" / f"{name}.config").read_text()
        # what is set to its default is set all the same: another profile may change it
        block = re.search(r"^params \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
        named = {f"params.{key}" for key in re.findall(r"^    (\w+) =", block[1] if block else "", re.MULTILINE)}
        sets[name] = {key: value for key, value in found.items() if alone.get(key) != value or key in named}
    for combination in combinations():
        wanted = dict(alone)
        for profile in combination.split(","):
            wanted.update(sets[profile])
        assert resolved(combination) == wanted, combination


def test_the_documentation_shows_profiles_that_exist(resolved: Resolve) -> None:
    known = {*EXPECTED, "standard"}
    assert documented(), "no -profile in the documentation"
    for combination in documented():
        assert set(combination.split(",")) <= known, combination
        assert resolved(combination)["env.PYTHONNOUSERSITE"] == "1"
    table = (ROOT / "docs" / "running.md").read_text()
    assert {name for name in known - {"standard"} if f"`{name}`" not in table} == set()


def test_the_output_directory_of_a_profile_holds_its_reports(nextflow: Nextflow) -> None:
    run = nextflow.command("config", "-flat", "-profile", "demo", str(ROOT))
    found = dict(re.findall(r"^(\S.*?) = (.*)$", run.text, re.MULTILINE))
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
