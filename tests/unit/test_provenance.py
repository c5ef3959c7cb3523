"""Code hashes: they follow imports, also lazy ones, and change only with code that a step depends on."""

from pathlib import Path

import pytest

from linumpy_lib.provenance import code_hash, imported_files, provenance


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "bin/step.py": "from linumpy_lib.domain.step import STEP\nfrom linumpy_lib.cli import run\nrun(STEP)\n",
        "linumpy_lib/__init__.py": "",
        "linumpy_lib/cli.py": "import os\n",
        "linumpy_lib/domain/__init__.py": "",
        "linumpy_lib/domain/step.py": "def f():\n    from linumpy_lib.domain import (\n        lazy as n,  #\n    )\n",
        "linumpy_lib/domain/lazy.py": "import linumpy_lib.deep.leaf\n",
        "linumpy_lib/deep/__init__.py": "",
        "linumpy_lib/deep/leaf.py": "",
        "linumpy_lib/unrelated.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_import_closure(project):
    found = list(imported_files(project / "bin" / "step.py", project))
    assert found == [
        "bin/step.py",
        "linumpy_lib/__init__.py",
        "linumpy_lib/cli.py",
        "linumpy_lib/deep/__init__.py",
        "linumpy_lib/deep/leaf.py",
        "linumpy_lib/domain/__init__.py",
        "linumpy_lib/domain/lazy.py",
        "linumpy_lib/domain/step.py",
    ]


def test_hash_changes_with_dependencies_only(project):
    script = project / "bin" / "step.py"
    before = code_hash(script, project)
    (project / "linumpy_lib" / "unrelated.py").write_text("x = 1\n")
    assert code_hash(script, project) == before
    (project / "linumpy_lib" / "deep" / "leaf.py").write_text("x = 1\n")
    assert code_hash(script, project) != before


def test_provenance_is_sorted_and_has_no_clock():
    entry = provenance("s", {"b": 1, "a": 2}, code="c", inputs={"z": "1", "y": "2"}, device="cpu")
    assert list(entry["parameters"]) == ["a", "b"]
    assert list(entry["inputs"]) == ["y", "z"]
    assert set(entry) == {"software", "version", "code", "step", "parameters", "inputs", "device", "seeds"}
