"""The step on real volumes: axons are fibre-like along z, cement is isotropic, polymer fibres lie along y."""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


@cache
def gallery() -> ModuleType:
    """The script behind docs/gallery.md."""
    spec = importlib.util.spec_from_file_location("real_volumes", ROOT / "docs" / "tutorials" / "real_volumes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["axons", "cement", "polymer"])
def named(request, tmp_path_factory):
    name = request.param
    file = DATA / {"polymer": "quanfima_polymer/polymer3d_8bit_128x128x128.raw"}.get(name, "qim3d")
    if not file.exists():
        pytest.skip(f"real volumes are not part of the project: {file} is absent")
    return name, gallery().investigate(name, DATA, tmp_path_factory.mktemp(name))


def check_axons(found):
    # tubes: as a whole, and seen at the scale of a tube, fibre-like along z; their walls alone are sheets
    assert found.whole["cp"] > 0.65
    assert found.whole["cp"] > 3 * max(found.whole["cl"], found.whole["cs"])
    assert found.whole["fa"] == pytest.approx(0.5**0.5, abs=0.1)
    for statistics in (found.fine, found.coarse):
        assert found.axis(statistics)[0] < 15
        assert found.order(statistics) > 0.75
        assert found.shares(statistics)["blob"] < 0.02
    assert found.order(found.coarse) > 0.95
    assert found.shares(found.coarse)["fibre"] > 0.7
    assert found.shares(found.fine)["sheet"] > 0.85


def check_cement(found):
    assert found.whole["cs"] > 0.9
    assert found.whole["fa"] < 0.05
    assert found.order(found.fine) < 0.1
    assert found.shares(found.coarse)["blob"] > 0.95


def check_polymer(found):
    for statistics in (found.fine, found.coarse):
        assert found.axis(statistics)[1] < 10
        assert 0.5 < found.order(statistics) < 0.75
    assert found.shares(found.coarse)["fibre"] > found.shares(found.fine)["fibre"]


CHECKS = {"axons": check_axons, "cement": check_cement, "polymer": check_polymer}


def test_the_sample_is_what_it_is_known_to_be(named):
    name, found = named
    CHECKS[name](found)


def test_the_gallery_quotes_these_numbers(named):
    name, found = named
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    block = re.search(rf"^```text\n({name}\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert block[1].rstrip("\n").splitlines() == gallery().describe(name, found)
