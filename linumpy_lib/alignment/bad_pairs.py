"""Which registered pairs are unlike the rest, and which runs of them discredit the slices that they place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from linumpy_lib.alignment.pair_folder import PairRecord

Floats = npt.NDArray[np.float64]

LOW_CORRELATION = "consecutive_low_z_corr"
OUTLIER = "outlier_cluster"
REASONS = (LOW_CORRELATION, OUTLIER)
"""Why `exclude_clusters` marks slices."""

# Differences that mean nothing, however alike all other pairs are.
_LEAST_CORRELATION_SPREAD = 0.05
_LEAST_TRANSLATION_SPREAD_PX = 2.0
_SIGMAS = 3.0


@dataclass(frozen=True)
class JudgedPair:
    """A pair and what became of it.

    Attributes
    ----------
    fixed_id, moving_id : int
        The slices.
    correlation, translation_px : float or None
        Of the registration; None if nobody measured it, or one of the slices was interpolated.
    cluster : int or None
        Cluster of like pairs, -1 for pairs like no others; None if not compared.
    reason : str
        Why the pair is bad, one of `REASONS`; empty if it is not.
    excluded : bool
        Whether the moving slice is marked, as part of a run of bad pairs.
    """

    fixed_id: int
    moving_id: int
    correlation: float | None
    translation_px: float | None
    cluster: int | None = None
    reason: str = ""
    excluded: bool = False


def neighbours_only(records: Sequence[PairRecord]) -> list[PairRecord]:
    """Of the pairs of each moving slice, keep the one with the nearest fixed slice; ascending."""
    nearest: dict[int, PairRecord] = {}
    for record in records:
        known = nearest.get(record.moving_id)
        if known is None or record.fixed_id > known.fixed_id:
            nearest[record.moving_id] = record
    return [nearest[k] for k in sorted(nearest)]


def judge_pairs(
    records: Sequence[PairRecord],
    interpolated: set[int],
    *,
    min_correlation: float,
    consecutive: int,
    radius: float,
    min_samples: int,
) -> list[JudgedPair]:
    """Find bad pairs and the runs of them.

    Parameters
    ----------
    records : sequence of PairRecord
        Pairs of neighbours.
    interpolated : set of int
        Slices that were made from their neighbours: their pairs tell nothing.
    min_correlation : float
        Correlation below which a pair is bad.
    consecutive : int
        Length of a run from which its slices are marked.
    radius, min_samples : float, int
        Of DBSCAN (Ester et al. 1996) over correlation and translation, both in units of three robust standard
        deviations. Pairs outside the main cluster that are less alike, or lie further away, than anything in it are
        bad. A radius of 0 leaves DBSCAN out.

    Returns
    -------
    list of JudgedPair
        Ascending by moving slice. A pair of which nothing is known ends a run.
    """
    judged = []
    for record in neighbours_only(records):
        unknown = bool({record.fixed_id, record.moving_id} & interpolated) or record.source.startswith("manual")
        judged.append(
            JudgedPair(
                record.fixed_id,
                record.moving_id,
                None if unknown else record.correlation,
                None if unknown else record.translation_px,
            )
        )
    judged = _clustered(judged, radius, min_samples)
    judged = [
        replace(pair, reason=LOW_CORRELATION)
        if pair.correlation is not None and pair.correlation < min_correlation
        else pair
        for pair in judged
    ]
    return _marked(judged, consecutive)


def _clustered(judged: list[JudgedPair], radius: float, min_samples: int) -> list[JudgedPair]:
    known = [k for k, pair in enumerate(judged) if pair.correlation is not None]
    if radius <= 0 or len(known) < min_samples:
        return judged
    from sklearn.cluster import DBSCAN

    figures: Floats = np.array([(judged[k].correlation, judged[k].translation_px or 0.0) for k in known], np.float64)
    least = np.array([_LEAST_CORRELATION_SPREAD, _LEAST_TRANSLATION_SPREAD_PX])
    middle = np.median(figures, axis=0)
    unit = np.maximum(_SIGMAS * 1.4826 * np.median(np.abs(figures - middle), axis=0), least)
    labels = DBSCAN(eps=radius, min_samples=min_samples).fit(figures / unit).labels_
    found = [replace(judged[k], cluster=int(label)) for k, label in zip(known, labels, strict=True)]
    sizes = {int(label): int((labels == label).sum()) for label in set(labels.tolist()) if label >= 0}
    # the pairs that are most alike, of those groups that are no handful: many bad pairs must not become the norm
    usable = [label for label, size in sizes.items() if size >= max(min_samples, len(known) / 4)]
    if usable:
        main = max(usable, key=lambda label: float(np.median(figures[labels == label, 0])))
        inside = figures[labels == main]
        worst = float(inside[:, 0].min()), float(inside[:, 1].max())
        found = [
            replace(pair, reason=OUTLIER) if pair.cluster != main and (one[0] < worst[0] or one[1] > worst[1]) else pair
            for pair, one in zip(found, figures.tolist(), strict=True)
        ]
    result = list(judged)
    for k, pair in zip(known, found, strict=True):
        result[k] = pair
    return result


def _marked(judged: list[JudgedPair], consecutive: int) -> list[JudgedPair]:
    runs: list[list[int]] = [[]]
    for k, pair in enumerate(judged):
        if not pair.reason:
            runs.append([])
        elif runs[-1] and judged[k - 1].moving_id != pair.fixed_id:
            runs.append([k])
        else:
            runs[-1].append(k)
    marked = {k for run in runs if len(run) >= consecutive for k in run}
    return [replace(pair, excluded=k in marked) for k, pair in enumerate(judged)]


def longest_run(judged: Sequence[JudgedPair]) -> int:
    """Length of the longest run of bad pairs."""
    longest = length = 0
    last = -1
    for pair in judged:
        length = (length if last == pair.fixed_id else 0) + 1 if pair.reason else 0
        longest, last = max(longest, length), pair.moving_id
    return longest
