"""Mosaics with known positions in a folder of the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.cut_mosaic import CutMosaic, MakeMosaic, cut_mosaic


@pytest.fixture
def make_mosaic(tmp_path: Path) -> MakeMosaic:
    def make(*args: Any, name: str = "mosaic.ome.zarr", **options: Any) -> CutMosaic:
        return cut_mosaic(tmp_path / name, *args, **options)

    return make
