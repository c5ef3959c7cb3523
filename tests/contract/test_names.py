"""One name for a step everywhere, scripts that hold nothing else, and imports that wait until they are used."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from linumpy_lib.generate import steps
from linumpy_lib.params import RunParameters

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "bin").glob("*.py"))
# Scripts that are no steps: the launcher's check, and a viewer for people.
PROGRAMS = {"check_run", "view_anisotropy"}
HEAVY = {
    "matplotlib",
    "numba",
    "torch",
    "cupy",
    "SimpleITK",
    "skimage",
    "sklearn",
    "pywt",
    "napari",
    "tensorstore",
    "nibabel",
    "nrrd",
}
STEPS = {step.name: step for step in steps()}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_an_import_and_a_call(script):
    body = ast.parse(script.read_text()).body
    assert script.read_text().startswith("#!/usr/bin/env python3\n")
    assert script.stat().st_mode & 0o111
    assert isinstance(body[0], ast.Expr), "a docstring comes first"
    *imports, call = body[1:]
    assert imports
    assert all(isinstance(node, ast.ImportFrom) for node in imports)
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert script.stem in PROGRAMS or script.stem in STEPS


@pytest.mark.parametrize("name", sorted(STEPS))
def test_one_name(name):
    step = STEPS[name]
    assert step.function.__name__ == name
    module = Path(*step.function.__module__.split(".")).with_suffix(".py")
    assert module.parts[0] == "linumpy_lib"
    assert module.parts[2:] == ("steps", f"{name}.py")
    assert (ROOT / module).is_file()
    assert (ROOT / "bin" / f"{name}.py").is_file()
    process = ROOT / "modules" / module.parts[1] / f"{name}.nf"
    assert process.is_file()
    assert f"process {name.upper()} {{" in process.read_text()
    call = re.search(rf"\b{name}\.py\b", process.read_text())
    assert call
    assert any(name in path.read_text() for path in (ROOT / "tests" / "unit").rglob("test_*.py"))


def test_every_parameter_has_one_owner_and_a_description():
    owners: dict[str, str] = dict.fromkeys(RunParameters.model_fields, "run")
    for step in STEPS.values():
        for name, field in step.parameters.model_fields.items():
            assert name not in owners, f"{name} belongs to {owners.get(name)} and {step.name}"
            owners[name] = step.name
            assert field.description
            assert len(field.description) > 10
            assert field.default is not None, f"{name} needs a default"


def test_every_module_has_a_step():
    modules = {path.stem for path in (ROOT / "modules").rglob("*.nf")}
    assert modules == set(STEPS)


def test_steps_start_without_heavy_imports():
    """What a task loads before its first read decides how long thousands of tasks take to start."""
    code = "import sys; from linumpy_lib.generate import steps; steps(); print(*{m.split('.')[0] for m in sys.modules})"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert HEAVY.isdisjoint(answer.stdout.split())
