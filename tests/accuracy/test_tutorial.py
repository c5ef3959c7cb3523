"""The tutorial's script runs, and prints what the page quotes."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def quoted(page: str) -> list[str]:
    """Blocks of program output in a page."""
    return re.findall(r"^```text\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("tutorial")
    ran = subprocess.run(
        [sys.executable, "-W", "error", DOCS / "tutorials" / "where_is_it_anisotropic.py", folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, folder


def test_the_page_quotes_what_the_script_prints(tutorial):
    printed, _ = tutorial
    blocks = quoted("tutorial.md")
    assert len(blocks) == 10
    for block in blocks:
        assert block in printed


def test_every_part_of_the_script_is_shown():
    script = (DOCS / "tutorials" / "where_is_it_anisotropic.py").read_text(encoding="utf-8")
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    parts = re.findall(r"^# \[(\w+)\]$", script, re.MULTILINE)
    assert parts == re.findall(r'^:start-after: "# \[(\w+)\]"$', page, re.MULTILINE)
    assert parts == re.findall(r'^:end-before: "# \[/(\w+)\]"$', page, re.MULTILINE)


def test_the_page_shows_the_figures_that_the_script_draws(tutorial):
    _, folder = tutorial
    drawn = {path.name for path in folder.glob("*.png")}
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    assert drawn == set(re.findall(r"\(images/([\w.]+)\)", page))
    for name in drawn:
        made, kept = (folder / name).read_bytes(), (DOCS / "images" / name).read_bytes()
        # the pixels depend on the version of matplotlib, the size should not
        assert struct.unpack(">II", made[16:24]) == struct.unpack(">II", kept[16:24]), name
        assert len(kept) < 300_000, name


def test_conclusion_repeats_the_numbers(tutorial):
    printed, _ = tutorial
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    conclusion = page.split("## Conclusion")[1]
    found = re.search(r"largest eigenvalue at \(z, y, x\): (\(.*\))", printed)
    tilt = re.search(r"(\d+) degrees from the z axis", printed)
    assert found is not None
    assert tilt is not None
    assert found[1] in conclusion
    assert f"leaning by {tilt[1]} degrees" in conclusion
