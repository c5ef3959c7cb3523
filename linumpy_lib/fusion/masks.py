"""Masks of views: joined, and freed of small objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from linumpy_lib.errors import InputError, ParameterError

Mask = npt.NDArray[np.uint8]


def apply_bwareaopen(mask: npt.NDArray[Any], fraction: float = 1e-5) -> Mask:
    """Drop small objects from a mask.

    Parameters
    ----------
    mask : ndarray
        Mask (z, y, x), not zero in the foreground.
    fraction : float
        Objects of fewer voxels than this share of the volume are dropped; 0 keeps all. Voxels that touch at a face, an
        edge or a corner belong to one object.

    Returns
    -------
    ndarray of uint8
        1 in the foreground that is left, 0 elsewhere.

    Examples
    --------
    >>> mask = np.zeros((4, 5, 5), np.uint8)
    >>> mask[0, 0, 0] = mask[2, 2:4, 2:4] = 1
    >>> int(apply_bwareaopen(mask, 0.03).sum())
    4
    """
    from scipy import ndimage

    inside = np.asarray(mask) != 0
    least = int(np.floor(inside.size * fraction + 0.5))
    if least <= 1:
        return np.asarray(inside, np.uint8)
    objects, _ = ndimage.label(inside, np.ones((3,) * inside.ndim, bool))
    sizes = np.bincount(objects.reshape(-1))
    keep = sizes >= least
    keep[0] = False
    return np.asarray(keep[objects], np.uint8)


def combine_masks(mask1: npt.NDArray[Any], mask2: npt.NDArray[Any], mode: int = 1) -> Mask:
    """Join two masks.

    Parameters
    ----------
    mask1, mask2 : ndarray
        Masks of one shape, not zero in the foreground.
    mode : {0, 1}
        0 foreground is where both have it, 1 where either has it.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    InputError
        If their shapes differ.
    ParameterError
        For any other mode.

    Examples
    --------
    >>> combine_masks(np.array([0, 1, 1]), np.array([0, 0, 1]), 0).tolist()
    [0, 0, 1]
    """
    first, second = np.asarray(mask1) != 0, np.asarray(mask2) != 0
    if first.shape != second.shape:
        raise InputError(f"combine_masks: shapes {first.shape} and {second.shape} differ; crop the views alike")
    if mode not in (0, 1):
        raise ParameterError(f"mode = {mode}: choose 0 (both) or 1 (either)")
    return np.asarray(first | second if mode else first & second, np.uint8)
