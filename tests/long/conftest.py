from __future__ import annotations

from pathlib import Path

import pytest
from support.nextflow_runs import launcher


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = pytest.mark.skip(reason="no nextflow: neither .venv/bin/nextflow (make setup) nor one on PATH")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.long)
            if launcher() is None:
                item.add_marker(absent)
