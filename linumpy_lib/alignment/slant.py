"""What tissue moves by from the deepest plane of one slice to the first of another, where planes between are missing.

Structures that run obliquely lie elsewhere at the other side of a gap, each in its own direction, and would pull a
registration along. How far they move per plane is seen inside the slices, whose planes need no registration: the
optical flow from plane to plane, averaged over both sides, tells what the moving picture looked like at the depth of
the fixed one. That picture is registered.
"""

from __future__ import annotations

import numpy as np

from linumpy_lib.alignment.planar import Image, content_box, even_details, resample, score
from linumpy_lib.alignment.plane_match import binning, mean_plane
from linumpy_lib.alignment.refinement import polish
from linumpy_lib.alignment.rigid import Rigid
from linumpy_lib.io.volume import Volume

_FEWEST_PLANES = 3
# Planes between which flow is seen, parts of the gap: nearer ones are noisier, farther ones show another slant.
_SPANS = (0.5, 0.75)
# Radius of the window within which tissue moves as one, and steps of the flow; pixels of the binned pictures.
_RADIUS_PX = 5
_WARPS = 10


def without_slant(
    fixed: Volume, moving: Volume, motion: Rigid, gap: tuple[int, float], first_plane: int, *, rotate: bool
) -> Rigid:
    """Take out of a motion across a gap what the tissue itself moves by in that depth, as far as the slices show it.

    Parameters
    ----------
    fixed, moving : Volume
        The slices (z, y, x).
    motion : Rigid
        What registration found between the planes at the gap.
    gap : (int, float)
        Planes that each picture averages, and planes that the two pictures are apart.
    first_plane : int
        First plane of the moving slice to use.
    rotate : bool
        Whether the motion may turn.

    Returns
    -------
    Rigid
        The motion as it was where the slices are too thin to tell, or where what they tell makes the pictures no more
        alike.

    References
    ----------
    Lucas and Kanade (1981) An iterative image registration technique with an application to stereo vision. IJCAI
    81:674-679.
    """
    count, apart = gap
    spans = sorted({max(_FEWEST_PLANES, round(part * apart)) for part in _SPANS})
    last = fixed.shape[0] - count
    bottom, above = _looks(fixed, last, [last - span for span in spans], count)
    top, below = _looks(moving, first_plane, [first_plane + span for span in spans], count)
    whole = slice(0, bottom.shape[0]), slice(0, bottom.shape[1])
    drifts = []
    if above:
        drifts.append(np.mean([_flow(other, bottom) / np.float32(step) for other, step in above], axis=0))
    if below:
        drift = np.mean([_flow(top, other) / np.float32(step) for other, step in below], axis=0)
        turned = np.tensordot(motion.matrix().T.astype(np.float32), drift, 1)
        drifts.append(np.stack([resample(part, motion, whole) for part in turned]))
    if not drifts:
        return motion
    target, seen = even_details(bottom), resample(top, motion, whole)
    straight = even_details(_moved(seen, np.stack(drifts).mean(axis=0, dtype=np.float32) * np.float32(apart)))
    boxes = content_box(bottom), content_box(seen)
    still = Rigid(centre=motion.centre)
    change = polish(target, straight, still, boxes, rotate=rotate)
    better = score(target, straight, change, boxes) > score(target, even_details(seen), still, boxes)
    return motion.after(change) if better else motion


def _looks(volume: Volume, start: int, others: list[int], count: int) -> tuple[Image, list[tuple[Image, int]]]:
    """Average `count` planes from `start`, and from other planes that are not too near, these with their distance."""
    places = sorted({min(max(z, 0), volume.shape[0] - count) for z in others})
    seen = [(z, abs(z - start)) for z in places if abs(z - start) >= _FEWEST_PLANES]
    pictures = [(mean_plane(volume, range(z, z + count)), distance) for z, distance in seen]
    return mean_plane(volume, range(start, start + count)), pictures


def _flow(first: Image, second: Image) -> Image:
    """Where (2, y, x) the second picture shows what the first shows, from there, pixels."""
    from scipy import ndimage
    from skimage.registration import optical_flow_ilk

    factor = binning(first.shape)
    pictures = [even_details(_binned(picture, factor)) for picture in (first, second)]
    flow = optical_flow_ilk(*pictures, radius=_RADIUS_PX, gaussian=True, num_warp=_WARPS)
    if factor == 1:
        result: Image = flow.astype(np.float32)
        return result
    places = [(np.arange(n) + 0.5) / factor - 0.5 for n in first.shape]
    grid = np.meshgrid(*places, indexing="ij")
    return np.stack([ndimage.map_coordinates(part, grid, order=1, mode="nearest") for part in flow * factor])


def _binned(picture: Image, factor: int) -> Image:
    height, width = (n // factor for n in picture.shape)
    cut = picture[: height * factor, : width * factor]
    result: Image = cut.reshape(height, factor, width, factor).mean(axis=(1, 3), dtype=np.float32)
    return result


def _moved(picture: Image, drift: Image) -> Image:
    from scipy import ndimage

    grid = np.indices(picture.shape, dtype=np.float32)
    result: Image = ndimage.map_coordinates(picture, grid + drift, order=1).astype(np.float32)
    return result
