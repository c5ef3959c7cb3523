"""Joining two registered views: along a transition, by wavelets, by their mean, or by their quality."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Method = Literal["adaptive_blending", "geometric", "wavelet", "average", "quality_weighted"]
METHODS: tuple[Method, ...] = ("adaptive_blending", "geometric", "wavelet", "average", "quality_weighted")


def transition_weights(places: npt.NDArray[Any], topology: npt.NDArray[Any], blending_range: int) -> Floats:
    """Weight of the view that is better at low indices.

    Parameters
    ----------
    places : ndarray
        Indices along the axis, from 0, broadcast against `topology`.
    topology : ndarray
        Index where the views meet, from 1; 0 is none (weight 0.5).
    blending_range : int
        Planes b on each side: weights fall from 1 to 0.5 over b planes up to the transition and from 0.5 to 0 over the
        b planes behind it. Ranges 0 and 1 cut hard.

    Returns
    -------
    ndarray of float32
        Weights 0 to 1.
    """
    b = int(blending_range)
    meet = np.asarray(topology, np.float32)
    # Place of each voxel in the transition: ..., -1 is the last plane before it, 0 the first behind.
    step = np.asarray(places, np.float32) - meet
    if b <= 1:
        weight = np.where(step < 0, 1.0, 0.0)
    else:
        front = 1 - 0.5 * (step + b) / (b - 1)
        back = 0.5 - 0.5 * step / (b - 1)
        weight = np.clip(np.where(step < 0, front, back), 0.0, 1.0)
    return np.where(meet > 0, weight, 0.5).astype(np.float32)


def blend_adaptive(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    topology: npt.NDArray[Any],
    *,
    axis: int,
    blending_range: int,
    first_is_low: bool = True,
    start: int = 0,
) -> Floats:
    """Hand over from one view to the other around a topology.

    Parameters
    ----------
    first, second : ndarray
        Registered views (z, y, x), or a part of them.
    topology : ndarray of int
        Place along `axis` for each column, from 1; 0 is none. Such columns take the brighter view.
    axis : {0, 2}
        Axis along which the views hand over.
    blending_range : int
        Planes on each side of the transition.
    first_is_low : bool
        Whether the first view is the better one at low indices.
    start : int
        Index of the part's first voxel along `axis`.
    """
    places = np.arange(start, start + first.shape[axis]).reshape([-1 if k == axis else 1 for k in range(3)])
    columns = np.expand_dims(topology, axis)
    weight = transition_weights(places, columns, blending_range)
    low, high = (first, second) if first_is_low else (second, first)
    low, high = low.astype(np.float32, copy=False), high.astype(np.float32, copy=False)
    # Weights of 0 and 1 leave a view's values as they are.
    blended = np.where(weight == 1, low, np.where(weight == 0, high, weight * low + (1 - weight) * high))
    return np.where(columns > 0, blended, np.maximum(low, high)).astype(np.float32)


def blend_wavelet(
    first: npt.NDArray[Any], second: npt.NDArray[Any], wavelet: str = "db4", wavelet_level: int = 5
) -> Floats:
    """Join each plane's wavelet coefficients: the mean of the coarse ones, the stronger of the details.

    Parameters
    ----------
    first, second : ndarray
        Registered views (z, y, x) with whole planes.
    wavelet : str
        Name of a wavelet of PyWavelets.
    wavelet_level : int
        Scales; fewer where planes are too small for them.

    Returns
    -------
    ndarray of float32
        Kept between the smaller and the larger of all values of the two planes.
    """
    import pywt

    out = np.empty(first.shape, np.float32)
    shortest = min(first.shape[1:])
    level = min(wavelet_level, max(1, pywt.dwt_max_level(shortest, pywt.Wavelet(wavelet).dec_len)))
    for k in range(first.shape[0]):
        a, b = np.asarray(first[k], np.float32), np.asarray(second[k], np.float32)
        one = pywt.wavedec2(a, wavelet, "symmetric", level)
        two = pywt.wavedec2(b, wavelet, "symmetric", level)
        joined: list[Any] = [(one[0] + two[0]) / 2]
        for details, others in zip(one[1:], two[1:], strict=True):
            joined.append(tuple(np.where(np.abs(p) >= np.abs(q), p, q) for p, q in zip(details, others, strict=True)))
        # A plane with an odd side comes back one pixel longer.
        plane = pywt.waverec2(joined, wavelet, "symmetric")[: a.shape[0], : a.shape[1]]
        out[k] = np.clip(plane, min(a.min(), b.min()), max(a.max(), b.max()))
    return out


def blend_average(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Floats:
    """Mean of two views, computed in floating point."""
    total = first.astype(np.float32) + second.astype(np.float32)
    return (total * np.float32(0.5)).astype(np.float32)


def blend_views(
    views: Any,
    masks: Any = None,
    method: Method = "adaptive_blending",
    blending_range: int = 20,
    transition_plane: int | None = None,
    wavelet: str = "db4",
    wavelet_level: int = 5,
    front_flag: int = 1,
    *,
    mode: Literal["camera", "channel"] = "camera",
) -> npt.NDArray[Any]:
    """Join two registered views.

    Parameters
    ----------
    views : sequence of two ndarray
        Registered views (z, y, x) of one shape and dtype, background subtracted where there is one.
    masks : ndarray, or sequence of two ndarray, optional
        A topology with places from 1, 0 is none ((y, x) for cameras, (z, y) for channels); or the two views' foreground
        (z, y, x), from which it is made. By default the middle everywhere.
    method : {"adaptive_blending", "geometric", "wavelet", "average", "quality_weighted"}
        How they are joined.
    blending_range : int
        Planes on each side of the transition; at most what fits.
    transition_plane : int, optional
        Place of the transition of ``geometric``, from 1; by default the middle.
    wavelet, wavelet_level : str, int
        Wavelet and scales of ``wavelet``.
    front_flag : {1, 2}
        View that is the better one at low indices.
    mode : {"camera", "channel"}
        Views meet along z, or along x.

    Returns
    -------
    ndarray
        Fused view of the views' dtype, rounded and clipped; never beyond the range of the two views.

    Raises
    ------
    ValueError
        If there are not two views of one shape, or the method is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> near, far = np.full((8, 2, 2), 10.0), np.full((8, 2, 2), 20.0)
    >>> blend_views((near, far), blending_range=2)[:, 0, 0].tolist()
    [10.0, 10.0, 10.0, 15.0, 15.0, 20.0, 20.0, 20.0]
    """
    first, second = (np.asarray(v) for v in views)
    if first.shape != second.shape or first.ndim != 3:
        raise ValueError(
            f"views have the shapes {first.shape} and {second.shape}; two of one shape (z, y, x) are needed"
        )
    axis = 0 if mode == "camera" else 2
    extent = first.shape[axis]
    reach = max(0, min(int(blending_range), (extent - 1) // 2))
    if method == "average":
        fused = blend_average(first, second)
    elif method == "wavelet":
        fused = blend_wavelet(first, second, wavelet, wavelet_level)
    elif method == "quality_weighted":
        from linumpy_lib.fusion.quality_model import estimate_quality
        from linumpy_lib.fusion.quality_weighting import blend_quality

        quality = estimate_quality(first, second, first_is_low=front_flag == 1)
        fused = blend_quality(first.astype(np.float32), second.astype(np.float32), quality)
    elif method in ("adaptive_blending", "geometric"):
        plane = transition_plane if transition_plane is not None else int(np.floor(extent / 2 + 0.5))
        columns = tuple(n for k, n in enumerate(first.shape) if k != axis)
        topology = np.full(columns, plane) if method == "geometric" else _topology(masks, columns, plane, mode, reach)
        fused = blend_adaptive(first, second, topology, axis=axis, blending_range=reach, first_is_low=front_flag == 1)
    else:
        raise ValueError(f"method '{method}' is unknown; there are {', '.join(METHODS)}")
    return as_dtype(fused, first.dtype, float(min(first.min(), second.min())), float(max(first.max(), second.max())))


def _topology(masks: Any, columns: tuple[int, ...], plane: int, mode: Any, reach: int) -> npt.NDArray[Any]:
    from linumpy_lib.fusion.topology import combine_slice_masks, slice_mask, without_anomalies

    if masks is None:
        return np.full(columns, plane)
    if isinstance(masks, np.ndarray) and masks.shape == columns:
        return masks
    first, second = (np.asarray(m) > 0 for m in masks)
    extent = first.shape[0 if mode == "camera" else 2]
    joined = combine_slice_masks(slice_mask(first, mode), slice_mask(second, mode))
    return without_anomalies(joined, max(1, reach), extent)


def as_dtype(fused: Floats, dtype: np.dtype[Any], low: float, high: float) -> npt.NDArray[Any]:
    """Clip to the range of the inputs, and round and saturate where the data type is whole."""
    clipped = np.clip(fused, low, high)
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        clipped = np.clip(np.floor(clipped + 0.5), info.min, info.max)
    stored: npt.NDArray[Any] = clipped.astype(dtype)
    return stored
