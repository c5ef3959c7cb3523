"""What has to hold of every module, read from its text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "modules").glob("*/*.nf"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_holds_the_process_of_its_name(module: Path) -> None:
    assert re.findall(r"^process (\w+) \{", module.read_text(), re.MULTILINE) == [module.stem.upper()]
    assert (ROOT / "bin" / f"{module.stem}.py").exists()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_stub_runs_the_same_command(module: Path) -> None:
    script, stub = re.findall(r'"""\n(.*?)"""', module.read_text(), re.DOTALL)
    assert stub.replace(f"{module.stem}.py --stub", f"{module.stem}.py") == script


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_reads_no_parameter_of_the_run(module: Path) -> None:
    text = module.read_text()
    assert "params." not in text
    assert "publishDir" not in text
    assert re.search(r"^    tag ", text, re.MULTILINE)
    assert re.search(r"^    label 'process_", text, re.MULTILINE)
    outputs = text.split("    output:\n")[1].split("\n\n")[0].splitlines()
    assert all("emit: " in line for line in outputs)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_has_a_test(module: Path) -> None:
    assert (ROOT / "tests" / "modules" / module.parent.name / f"{module.stem}.nf.test").exists()


def test_json_is_parsed_in_one_place() -> None:
    """The parser's own maps are filled when first read: two operators that share one lose pairs of views."""
    parsers = [path.name for path in sorted((ROOT / "lib").glob("*.groovy")) if "JsonSlurper" in path.read_text()]
    assert parsers == ["Json.groovy"]
