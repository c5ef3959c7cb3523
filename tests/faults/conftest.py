"""Runs that nothing disturbs, to compare with, and the count that closes the suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.faults import CHAIN, FUSION, SMALL, Tally, Undisturbed
from support.nextflow_runs import ROOT, launcher

TALLY = Tally()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = pytest.mark.skip(reason="no nextflow: neither .venv/bin/nextflow (make setup) nor one on PATH")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if launcher() is None:
                item.add_marker(absent)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.injected:
        terminalreporter.section("faults")
        for line in TALLY.lines():
            terminalreporter.write_line(line)
        place = ROOT / "bench" / "results" / "faults.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(TALLY.as_json() + "\n")


@pytest.fixture(scope="session")
def tally() -> Tally:
    return TALLY


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.of(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.of(tmp_path_factory.mktemp("chain"), CHAIN)


@pytest.fixture(scope="session")
def fusion(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.of(tmp_path_factory.mktemp("fusion"), FUSION)
