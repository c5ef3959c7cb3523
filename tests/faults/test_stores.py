"""Intermediate stores are damaged between two runs: noticed, made again, never used."""

from __future__ import annotations

import os
import time

import pytest
from support.faults import CHAIN, SMALL, Disturbed, Tally, Undisturbed, cut, flip, remove, rewrite
from support.nextflow_runs import Nextflow

SEEN = {"chunk file cut": cut, "chunk file gone": remove, "chunk file of zeros": rewrite}


@pytest.fixture(scope="module")
def finished(small: Undisturbed) -> Disturbed:
    """Return the run of the small profile, which is whole."""
    return Disturbed(Nextflow(small.folder), SMALL, "results", 30)


@pytest.mark.parametrize("kind", SEEN)
def test_damage_that_names_sizes_and_times_show(
    finished: Disturbed, small: Undisturbed, tally: Tally, kind: str
) -> None:
    run = finished
    chunks = [file for file in run.stores() if file.parent.name != "maps" and "/c/" in str(file)]
    SEEN[kind](run.random.choice(chunks), run.random)
    run.faults.clear()
    run.faults[kind] += 1
    run.finish(1)
    assert "the task runs again" in run.log()
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_damage_that_only_checksums_show(finished: Disturbed, small: Undisturbed, tally: Tally) -> None:
    """The step that reads the chunk refuses it, and the next run makes the store again."""
    run = finished
    run.faults.clear()
    chunk = next(file for file in run.stores() if "/fibres.ome.zarr/0/c/" in str(file))
    flip(chunk, run.random)
    run.faults["bytes of a chunk flipped, size and time kept"] += 1
    # A changed parameter, so that it is read again.
    changed = run.nextflow.run(*SMALL, "-resume", "--anisotropy_rho", "3")
    assert changed.status == 1
    assert "corrupt chunk" in changed.text
    assert "with -resume, it is made again" in changed.text
    run.finish(1)
    tally.settle(run.faults, run.results, small.digests, small.sizes)


def test_tables_and_stores_of_the_whole_chain(chain: Undisturbed, tally: Tally) -> None:
    """Every kind of damage, to stores of random tasks and to a table, before one resumed run."""
    run = Disturbed(Nextflow(chain.folder), CHAIN, "results", 32)
    chunks = [file for file in run.stores() if "/c/" in str(file)]
    victims = run.random.sample(chunks, 4)
    for kind, file in zip(SEEN, victims, strict=False):
        SEEN[kind](file, run.random)
        run.faults[kind] += 1
    cut(next(run.work.glob("??/*/shifts/shifts_xy.csv")), run.random)
    run.faults["table cut"] += 1
    late = victims[3]
    os.utime(late, (time.time() + 9e5,) * 2)
    run.faults["time of a chunk moved"] += 1
    run.finish(2)
    tally.settle(run.faults, run.results, chain.digests, chain.sizes)


def test_published_results_are_mended(finished: Disturbed, small: Undisturbed, tally: Tally) -> None:
    run = finished
    run.faults.clear()
    published = sorted(file for file in run.results.rglob("*") if file.is_file() and "/c/" in str(file))
    for kind, file in zip(SEEN, run.random.sample(published, len(SEEN)), strict=True):
        SEEN[kind](file, run.random)
        run.faults[f"published {kind}"] += 1
    run.finish(1)
    tally.settle(run.faults, run.results, small.digests, small.sizes)
