"""Find the galvo mirror's return inside B-scans, dark or bright, wherever it lies.

The mirror sweeps `nx` A-lines and records `n_extra` more while it returns; those belong at the end of every B-scan.
When the trigger is late the return lies elsewhere, circularly. Two detectors answer two questions: `find_return` knows
the width of the return (raw tiles), `find_band` does not (tiles whose `info.txt` does not tell it, assembled mosaics).

Both look at the steps of the logarithm of the brightness from one A-line to the next: tissue changes gradually and
differently in each B-scan, the return begins and ends within one A-line and at the same place in all of them. The
logarithm makes dark and bright bands, bright tissue and dim agarose count alike, whatever the units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Weights of the consistency, significance and depth of the band's edges, the relative step that counts as
# significant and the one that counts as full depth (reference, section 2.2).
_WEIGHTS = (0.40, 0.35, 0.25)
_SIGNIFICANT, _FULL = 0.10, 0.30
# Full confidence needs both edges to be this much steeper than the steepest other place.
_SHARP = 1.5
MIN_WIDTH = 5
MAX_FRACTION = 0.2
# Logarithms of brightness stop here, as a fraction of the mean, so that black A-lines do not drown the rest.
_FLOOR = 0.02
# A-lines on both sides of an edge whose means are compared in a single B-scan.
_FLANK = 3
_GROUPS = 8


@dataclass(frozen=True)
class Band:
    """A run of A-lines that looks like the galvo return.

    Attributes
    ----------
    start : int
        First A-line of the band (circular).
    width : int
        A-lines it takes.
    length : int
        A-lines of a B-scan.
    confidence : float
        From 0 to 1.
    """

    start: int
    width: int
    length: int
    confidence: float

    @property
    def shift(self) -> int:
        """A-lines to roll by so that the band becomes the last `width` A-lines, in [0, length)."""
        return (self.length - self.width - self.start) % self.length


def log_brightness(aip: Array) -> Array:
    """Logarithm of depth-averaged B-scans relative to their mean, from log 0.02 up.

    Parameters
    ----------
    aip : ndarray, shape (n_bscans, n_alines)
        Depth-averaged B-scans of one tile.
    """
    values = aip.astype(np.float64)
    level = float(np.abs(values).mean())
    return np.log(np.maximum(values / level, _FLOOR)) if level > 0 else np.zeros_like(values)


def steps(logs: Array) -> Array:
    """Steepness in front of each A-line, the circle closed.

    Parameters
    ----------
    logs : ndarray, shape (n_bscans, n_alines)
        From `log_brightness`, B-scans of one or several tiles.

    Returns
    -------
    ndarray, shape (n_alines,)
        Mean over groups of neighbouring B-scans of the absolute step of their mean; a group averages the speckle, the
        groups let a band be darker than one tissue and brighter than another.
    """
    groups = np.array_split(logs, min(_GROUPS, len(logs)))
    means = np.stack([group.mean(axis=0) for group in groups])
    steep: Array = np.abs(means - np.roll(means, 1, axis=1)).mean(axis=0)
    return steep


def find_return(logs: Array, width: int) -> Band:
    """Find a galvo return of known width: the two steps at that distance whose product is largest.

    Parameters
    ----------
    logs : ndarray, shape (n_bscans, n_alines)
        From `log_brightness` of raw tiles, galvo return included.
    width : int
        A-lines of the return, `n_extra`.

    Returns
    -------
    Band
        With confidence 0 if nothing was found.
    """
    length = logs.shape[1]
    steep = steps(logs)
    evidence = steep * np.roll(steep, -width)
    start = int(evidence.argmax())
    if not 0 < width < length or evidence[start] == 0:
        return Band((length - width) % length, width, length, 0.0)
    return Band(start, width, length, band_confidence(logs, start, width))


def find_band(logs: Array) -> Band:
    """Find a band of unknown width, from 5 A-lines to a fifth of the B-scan.

    Parameters
    ----------
    logs : ndarray, shape (n_bscans, n_alines)
        From `log_brightness`.

    Returns
    -------
    Band
        With confidence 0 if nothing was found.
    """
    length = logs.shape[1]
    steep = steps(logs)
    widths = range(MIN_WIDTH, int(MAX_FRACTION * length) + 1)
    if not widths:
        return Band(0, 0, length, 0.0)
    evidence = np.stack([np.minimum(steep, np.roll(steep, -width)) for width in widths])
    row, start = (int(k) for k in np.unravel_index(evidence.argmax(), evidence.shape))
    return Band(start, widths[row], length, band_confidence(logs, start, widths[row]))


def band_confidence(logs: Array, start: int, width: int) -> float:
    """How sure it is that A-lines `start` to `start + width` are a galvo return.

    For each of the two edges three terms are formed over the B-scans: the fraction that steps the usual way, the
    fraction that steps by more than a tenth, and the mean step (full at 0.3). Their weighted sum is multiplied by the
    sharpness: how much steeper the flatter edge is than any other place.

    Parameters
    ----------
    logs : ndarray, shape (n_bscans, n_alines)
        From `log_brightness`.
    start, width : int
        The band, circular.

    Returns
    -------
    float
        From 0 to 1; 0 for bands narrower than 5 A-lines or wider than a third of the B-scan.
    """
    if width < MIN_WIDTH or 3 * width > logs.shape[1]:
        return 0.0
    terms = np.mean([_edge_terms(logs, start), _edge_terms(logs, start + width)], axis=0)
    return float(np.dot(_WEIGHTS, terms)) * _sharpness(steps(logs), start, width)


def _edge_terms(logs: Array, edge: int) -> tuple[float, float, float]:
    turned = np.roll(logs, _FLANK - edge, axis=1)
    change = turned[:, _FLANK : 2 * _FLANK].mean(axis=1) - turned[:, :_FLANK].mean(axis=1)
    share = float((change > 0).mean())
    return (
        max(share, 1 - share),
        float((np.abs(change) > _SIGNIFICANT).mean()),
        min(float(np.abs(change).mean()) / _FULL, 1.0),
    )


def _sharpness(steep: Array, start: int, width: int) -> float:
    """Flatter edge of the band over the steepest other place: 0 if it is not steeper, 1 from a ratio of 1.5."""
    length = len(steep)
    edges = min(steep[start % length], steep[(start + width) % length])
    others = np.delete(steep, [(edge + near) % length for edge in (start, start + width) for near in (-1, 0, 1)])
    rest = float(others.max())
    if rest == 0:
        return 1.0 if edges > 0 else 0.0
    return float(np.clip((edges / rest - 1) / (_SHARP - 1), 0, 1))


def shows_edge(logs: Array, band: Band) -> bool:
    """Whether one tile's steepest or second steepest place is an edge of the band."""
    top = np.argsort(steps(logs))[-2:]
    return any(edge % band.length in top for edge in (band.start, band.start + band.width))
