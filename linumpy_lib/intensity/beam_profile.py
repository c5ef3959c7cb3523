"""How the sensitivity of the microscope changes with depth: measured on a homogeneous medium, or fitted to a model.

With the floor b (the signal without light), the profile B and the attenuation coefficient mu of a homogeneous medium, a
mean A-line below the cut face at z0 is

    p(z) = b + A B(z) exp(-2 mu (z - z0)).

Agarose is that medium. Its own decay is taken out too: backscatter and attenuation are taken to be proportional, as in
every depth-resolved estimate of attenuation, so that the contrast of tissue to agarose at the face (r) and the
difference d of their decays give mu = d / (r - 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linumpy_lib.intensity.agarose import Materials, find_materials
from linumpy_lib.intensity.confocal import confocal, fit_model
from linumpy_lib.intensity.interface import Interface
from linumpy_lib.intensity.slice_columns import BinnedSlice, Bools

Doubles = npt.NDArray[np.float64]

SMALLEST_COVERAGE = 0.005
"""Fraction of the columns that agarose has to fill to be the reference."""

SMALLEST_PROFILE = 0.05
"""Sensitivity below which intensities are not raised further."""

MARGIN = 3
"""Voxels around the interface that belong to neither side."""

HIGHEST_AGAROSE_MU = 1.0
"""Attenuation coefficient of agarose at most, 1/mm."""

_SMOOTHING = 15
_GROUPS = 10


@dataclass(frozen=True)
class BeamProfile:
    """Sensitivity at each depth.

    Attributes
    ----------
    profile : ndarray, shape (z,)
        Sensitivity, 1 where it is highest. Above the cut face, where nothing shows it, it is that at the face, unless
        it comes from the model.
    floor : float
        Intensity without light, to be subtracted first.
    noise : float
        Standard deviation of single voxels without light.
    reference : {'agarose', 'tissue'}
        What it was measured on.
    method : {'model_free', 'model'}
        How.
    mu_per_mm : float
        Attenuation coefficient of the reference, taken out of the profile.
    focus_um, rayleigh_um : float or None
        Of the model.
    residual : float
        Root mean square deviation of the reference's A-line from what the profile explains, fraction.
    materials : Materials
        Columns of agarose and tissue.
    reason : str
        Why the asked method or reference was not used; empty if it was.
    """

    profile: Doubles
    floor: float
    noise: float
    reference: str
    method: str
    mu_per_mm: float
    focus_um: float | None
    rayleigh_um: float | None
    residual: float
    materials: Materials
    reason: str = ""

    @property
    def contrast(self) -> float:
        """Highest over lowest sensitivity, minus 1."""
        return float(self.profile.max() / self.profile.min() - 1)


@dataclass(frozen=True)
class _Reference:
    """Mean A-line of the reference, the depths where it is known, and the A-line of the tissue beside it."""

    line: Doubles
    valid: npt.NDArray[np.bool_]
    tissue: Doubles | None
    face: float


def floor_of(binned: BinnedSlice, interface: Interface) -> tuple[float, float, str]:
    """Intensity without light and its spread, from the water above the cut face.

    Returns
    -------
    floor, noise : float
        Mean of the water, and standard deviation of its voxels.
    reason : str
        Why they cannot be told (they are 0 then), or empty.
    """
    if not interface.found:
        return 0.0, 0.0, "no interface was found, so that no floor is subtracted"
    depth = np.where(np.isfinite(interface.depth), interface.depth, interface.surface)
    z = np.arange(binned.lines.shape[0])[:, None, None]
    water = (z < depth - MARGIN) & interface.reliable & (binned.filled == 1)
    if not water.any():
        return 0.0, 0.0, "no water lies above the tissue, so that no floor is subtracted"
    floor = float(np.median(binned.lines[water]))
    # neighbouring depths share the slow differences between bins, but not the noise
    change = np.diff(binned.lines, axis=0)[water[1:] & water[:-1]]
    noise = 1.4826 * float(np.median(np.abs(change))) / np.sqrt(2) * binned.width if change.size else 0.0
    return floor, noise, ""


def _mean_line(binned: BinnedSlice, columns: Bools, depth: Doubles, floor: float) -> tuple[Doubles, Doubles]:
    """Mean A-line over columns, at each depth only those where it lies below the face; and their number."""
    z = np.arange(binned.lines.shape[0])[:, None]
    inside = z > depth[columns] + MARGIN
    weight = binned.filled[columns] * inside
    total = weight.sum(axis=1)
    lines = (binned.lines[:, columns].astype(np.float64) - floor) * weight
    return lines.sum(axis=1) / np.maximum(total, 1e-9), total


def local_quadratic(values: Doubles, window: int) -> Doubles:
    """Fit parabolas to windows of samples, each evaluated at its middle (Savitzky and Golay 1964).

    Parameters
    ----------
    values : ndarray, shape (n,)
        Equidistant samples.
    window : int
        Samples of a window, odd; the first and last windows are evaluated to their ends.

    Examples
    --------
    >>> x = np.arange(20.0)
    >>> bool(np.allclose(local_quadratic(x**2 - x, 7), x**2 - x))
    True
    """
    half = window // 2
    terms = np.arange(-half, half + 1)[:, None] ** np.arange(3)
    fit = np.linalg.pinv(terms)
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    first, last = (terms @ (fit @ windows[k]) for k in (0, -1))
    return np.concatenate([first[:half], windows @ fit[0], last[half + 1 :]])


def _smooth(line: Doubles, valid: npt.NDArray[np.bool_]) -> Doubles:
    """Local quadratic fit of the logarithm, constant beyond the valid depths."""
    where = np.flatnonzero(valid)
    first, last = int(where[0]), int(where[-1]) + 1
    logs = np.log(np.maximum(line[first:last], 1e-6 * line[first:last].max()))
    window = min(_SMOOTHING, (len(logs) - 1) // 2 * 2 + 1)
    smooth = local_quadratic(logs, window) if window >= 5 else logs
    result: Doubles = np.exp(np.pad(smooth, (first, len(line) - last), mode="edge"))
    return result


def _reference(
    binned: BinnedSlice, interface: Interface, materials: Materials, columns: Bools, floor: float
) -> _Reference | None:
    surface = interface.surface if interface.found else np.full(columns.shape, -float(MARGIN) - 1)
    depth = np.where(interface.reliable & np.isfinite(interface.depth), interface.depth, surface)
    line, count = _mean_line(binned, columns, depth, floor)
    valid = (count >= 0.5 * count.max()) & (line > 0)
    # one run of depths: what follows a gap is noise
    first = int(np.argmax(valid))
    gaps = np.flatnonzero(~valid[first:])
    if gaps.size:
        valid[first + gaps[0] :] = False
    if valid.sum() < 5:
        return None
    tissue = None
    if materials.two and materials.tissue.any():
        tissue, beside = _mean_line(binned, materials.tissue, depth, floor)
        tissue = np.where((beside >= 0.5 * beside.max()) & (tissue > 0), tissue, np.nan)
    return _Reference(line, valid, tissue, float(np.median(depth[columns])))


def agarose_mu(reference: _Reference, step_mm: float) -> float:
    """Attenuation coefficient of the agarose, from contrast and decay of the tissue against it, 1/mm."""
    if reference.tissue is None:
        return 0.0
    used = reference.valid & np.isfinite(reference.tissue)
    if used.sum() < 5:
        return 0.0
    z = (np.flatnonzero(used) - reference.face) * step_mm
    ratio = np.log(reference.tissue[used] / reference.line[used])
    slope, start = np.polyfit(z, ratio, 1)
    contrast = float(np.exp(start))
    if contrast < 1.2:
        return 0.0
    return float(np.clip(-slope / 2 / (contrast - 1), 0, HIGHEST_AGAROSE_MU))


def _grouped(
    binned: BinnedSlice, interface: Interface, columns: Bools, floor: float
) -> tuple[Doubles, Doubles, Doubles]:
    """Mean A-lines of columns, grouped by the depth of their face."""
    depth = np.where(interface.reliable & np.isfinite(interface.depth), interface.depth, interface.surface)
    if not interface.found:
        depth = np.full(columns.shape, -float(MARGIN) - 1)
    faces = depth[columns]
    edges = np.unique(np.quantile(faces, np.linspace(0, 1, _GROUPS + 1)))
    index = np.clip(np.searchsorted(edges, faces, side="right") - 1, 0, max(0, len(edges) - 2))
    lines, weights, centres = [], [], []
    places = np.argwhere(columns)
    for group in np.unique(index):
        part = np.zeros_like(columns)
        part[tuple(places[index == group].T)] = True
        line, count = _mean_line(binned, part, depth, floor)
        lines.append(line)
        weights.append(np.where(count >= 0.5 * count.max(), count, 0))
        centres.append(float(faces[index == group].mean()))
    return np.array(lines), np.array(weights), np.array(centres)


def measure_beam_profile(
    binned: BinnedSlice,
    interface: Interface,
    *,
    method: str = "model_free",
    rayleigh_um: float = 1060.0,
) -> BeamProfile:
    """Measure the sensitivity at each depth of a slice.

    Parameters
    ----------
    binned : BinnedSlice
        Mean A-lines.
    interface : Interface
        The cut face.
    method : {'model_free', 'model'}
        The smoothed A-line of agarose, or the confocal function 1 / (1 + ((z - focus) / Rayleigh length)^2).
    rayleigh_um : float
        Where the fit of the Rayleigh length starts.

    Returns
    -------
    BeamProfile
        Without enough agarose the model is fitted to the tissue, together with its attenuation; the reason says so.
    """
    floor, noise, reason = floor_of(binned, interface)
    start = int(np.ceil(interface.centre)) + MARGIN if interface.found else 0
    materials = find_materials(binned, slice(min(start, binned.shape[0] - 2), None), floor)
    step_mm = binned.spacing_um[0] / 1000
    enough = materials.coverage(binned.known) >= SMALLEST_COVERAGE
    columns = materials.agarose if enough else materials.tissue
    reference = _reference(binned, interface, materials, columns, floor) if columns.any() else None
    flat = np.ones(binned.shape[0])
    if reference is None:
        why = "no column is bright enough to measure the beam profile; intensities keep it"
        return BeamProfile(flat, floor, noise, "none", "none", 0.0, None, None, 0.0, materials, why)
    if not enough:
        method = "model"
        reason = (
            f"{reason}; " if reason else ""
        ) + "too little agarose: the confocal model is fitted to the tissue, together with its attenuation"
    mu = agarose_mu(reference, step_mm) if enough else None
    name = "agarose" if enough else "tissue"
    z_mm = np.arange(binned.shape[0]) * step_mm
    if method == "model":
        lines, weights, faces = _grouped(binned, interface, columns, floor)
        try:
            focus, rayleigh, found, residual = fit_model(lines, weights, faces, step_mm, rayleigh_um / 1000, mu)
        except ValueError as error:
            why = (f"{reason}; " if reason else "") + f"the confocal model was not used: {error}"
            if not enough:
                return BeamProfile(flat, floor, noise, name, "none", 0.0, None, None, 0.0, materials, why)
            reason = why
        else:
            profile = confocal(z_mm, focus, rayleigh)
            return BeamProfile(
                _limited(profile),
                floor,
                noise,
                name,
                "model",
                found,
                focus * 1000,
                rayleigh * 1000,
                residual,
                materials,
                reason,
            )
    mu = mu or 0.0
    below = np.arange(binned.shape[0]) - reference.face
    line = reference.line * np.exp(2 * mu * below * step_mm)
    profile = _smooth(line, reference.valid)
    part = reference.valid
    residual = float(np.sqrt(np.mean(np.log(line[part] / profile[part]) ** 2)))
    return BeamProfile(_limited(profile), floor, noise, name, "model_free", mu, None, None, residual, materials, reason)


def _limited(profile: Doubles) -> Doubles:
    result: Doubles = np.maximum(profile / profile.max(), SMALLEST_PROFILE)
    return result
