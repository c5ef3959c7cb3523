"""Compiled kernels go to a folder of the user's own, with or without a home, never to one that others can change."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from linumpy_lib.kernel_cache import kernel_cache


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's temporary folder, and a user without a home, as in a container."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/no/home")
    return folder


def find() -> Path:
    kernel_cache.cache_clear()
    try:
        return kernel_cache()
    finally:
        kernel_cache.cache_clear()


def test_it_is_below_the_cache_folder(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert find() == tmp_path / "cache" / "linumpy-pipeline"
    assert not list(temporary.iterdir())


def test_without_a_home_tasks_share_a_private_one(temporary: Path) -> None:
    place = find()
    assert place == temporary / f"linumpy-pipeline-{os.getuid()}"
    assert place.stat().st_mode & 0o777 == 0o700
    assert find() == place


def test_a_folder_that_others_can_change_is_not_used(temporary: Path) -> None:
    place = temporary / f"linumpy-pipeline-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    assert find().parent == temporary
    assert find() != place
    place.rmdir()
    place.symlink_to(temporary)
    assert find() != place
