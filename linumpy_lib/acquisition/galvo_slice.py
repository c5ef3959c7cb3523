"""Decide for a whole slice whether its galvo return is displaced, from a sample of its tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.acquisition.direct_reading import DirectReader
from linumpy_lib.acquisition.galvo import find_band, find_return, log_brightness, shows_edge
from linumpy_lib.acquisition.raw_tile import RawTile, read_frames
from linumpy_lib.acquisition.tile_image import camera_shift

Array = npt.NDArray[Any]

MAX_TILES = 9
_BSCANS = 48
_READINGS = 6


@dataclass(frozen=True)
class GalvoDecision:
    """What was found in a slice, and what is done about it.

    Attributes
    ----------
    shift_px : int
        A-lines by which every B-scan of the slice is rolled; 0 leaves it as it is.
    confidence : float
        Confidence of the finding, 0 to 1.
    found_shift_px : int
        Roll that the finding asks for, whether applied or not.
    width_px : int
        A-lines of the band.
    tiles : int
        Tiles that were examined.
    agreeing : int
        Tiles that report the same band.
    method : {'none', 'return', 'band'}
        ``return``: known width (n_extra); ``band``: unknown width; ``none``: not examined.
    reason : str
        The decision in words.
    """

    shift_px: int
    confidence: float
    found_shift_px: int
    width_px: int
    tiles: int
    agreeing: int
    method: str
    reason: str

    @property
    def applied(self) -> bool:
        """Whether B-scans are rolled."""
        return self.shift_px != 0

    def as_json(self) -> dict[str, Any]:
        """Plain JSON form for metadata."""
        return {**asdict(self), "confidence": round(self.confidence, 6)}


NOT_EXAMINED = GalvoDecision(0, 0.0, 0, 0, 0, 0, "none", "not examined (fix_galvo_shift is false)")


def sample_tiles(tiles: Sequence[RawTile], count: int = MAX_TILES) -> list[RawTile]:
    """Choose tiles evenly from the middle 60 % of a slice, where the tissue is.

    Parameters
    ----------
    tiles : sequence of RawTile
        Tiles of a slice in order.
    count : int
        Largest number to choose.
    """
    n = len(tiles)
    low, high = (int(0.2 * n), max(int(0.2 * n), math.ceil(0.8 * n) - 1)) if n > count else (0, n - 1)
    return [tiles[k] for k in sorted({round(i) for i in np.linspace(low, high, min(count, high - low + 1))})]


def sample_aip(tile: RawTile, bscans: int = _BSCANS, *, camera: bool = False) -> Array:
    """Depth-average evenly spaced B-scans of a tile, galvo return included.

    Parameters
    ----------
    tile : RawTile
        Tile to read.
    bscans : int
        Largest number of B-scans to read.
    camera : bool
        Undo the camera's late start first (legacy data).

    Returns
    -------
    ndarray of float32, shape (n, nx + n_extra)
    """
    reader = DirectReader(tile.info.frame_bytes * tile.repeats)
    with ThreadPoolExecutor(_READINGS, thread_name_prefix="sample") as readers:
        aip = np.stack(list(_averages(tile, bscans, reader, readers)))
    return np.roll(aip, -camera_shift(tile), axis=1) if camera else aip


def _averages(tile: RawTile, bscans: int, reader: DirectReader, readers: ThreadPoolExecutor) -> Iterator[Array]:
    """Start to read and average B-scans of a tile; the disk takes longer than the averages."""

    def average(row: int) -> Array:
        scan = read_frames(tile, reader, row * tile.repeats, tile.repeats)
        scan = scan.view(np.float32).reshape(tile.repeats, *tile.info.frame_shape)
        mean: Array = (scan[0] if tile.repeats == 1 else scan.mean(axis=0, dtype=np.float32)).mean(axis=1)
        return mean

    rows = sorted({round(i) for i in np.linspace(0, tile.info.ny - 1, min(bscans, tile.info.ny))})
    return readers.map(average, rows)


def decide(aips: Sequence[Array], width: int, threshold: float) -> GalvoDecision:
    """Decide from the depth-averaged B-scans of several tiles.

    All tiles of a slice share one displacement, so their B-scans are examined together. The confidence is multiplied by
    the root of the fraction of tiles that show an edge of the band where the others do.

    Parameters
    ----------
    aips : sequence of ndarray, shape (n_bscans, n_alines)
        One array for each tile.
    width : int
        A-lines of the galvo return; 0 if unknown.
    threshold : float
        Confidence from which on the correction is applied.

    Returns
    -------
    GalvoDecision
    """
    usable = [log_brightness(aip) for aip in aips if float(np.abs(aip).max(initial=0)) > 0]
    method = "return" if width > 0 else "band"
    if not usable:
        return GalvoDecision(0, 0.0, 0, width, len(aips), 0, method, "the examined tiles are empty")
    together = np.concatenate(usable)
    band = find_return(together, width) if width > 0 else find_band(together)
    agreeing = sum(shows_edge(logs, band) for logs in usable) if band.confidence > 0 else 0
    confidence = band.confidence * math.sqrt(agreeing / len(usable))
    if confidence >= threshold and width == 0 and agreeing < 2:
        confidence = threshold / 2
    if confidence == 0:
        reason = "no displaced galvo return is visible"
    elif confidence < threshold:
        reason = f"confidence {confidence:.3f} is below galvo_confidence_threshold {threshold:g}"
    elif band.shift == 0:
        reason = "the galvo return lies at the end of the B-scans, where it belongs"
    else:
        reason = f"the galvo return starts at A-line {band.start} instead of {band.length - band.width}"
    shift = band.shift if confidence > 0 and confidence >= threshold else 0
    found = band.shift if confidence > 0 else 0
    return GalvoDecision(shift, confidence, found, band.width, len(usable), agreeing, method, reason)


def examine_slice(tiles: Sequence[RawTile], threshold: float, *, camera: bool = False) -> GalvoDecision:
    """Read a sample of a slice's tiles and decide.

    Parameters
    ----------
    tiles : sequence of RawTile
        Tiles of one slice in order.
    threshold : float
        Confidence from which on the correction is applied.
    camera : bool
        Undo the camera's late start first (legacy data).
    """
    chosen = sample_tiles(tiles)
    reader = DirectReader(max(tile.info.frame_bytes * tile.repeats for tile in chosen))
    with ThreadPoolExecutor(_READINGS, thread_name_prefix="sample") as readers:
        under_way = [_averages(tile, _BSCANS, reader, readers) for tile in chosen]
        aips = [np.stack(list(averages)) for averages in under_way]
    if camera:
        aips = [np.roll(aip, -camera_shift(tile), axis=1) for aip, tile in zip(aips, chosen, strict=True)]
    return decide(aips, tiles[0].info.n_extra, threshold)
