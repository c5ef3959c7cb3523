"""Virtual serial sectioning: slices of one canvas cut from a known volume, with every effect known exactly."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from linumpy_lib.alignment.rigid import Rigid, image_centre
from linumpy_lib.io import open_volume, write_volume
from linumpy_lib.io.slice_frame import SliceFrame

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@dataclass(frozen=True)
class Sectioning:
    """How a volume is cut; lengths in voxels, which are cubes of `voxel_um`.

    `pose` of a slice maps a pixel of the volume to the slice's pixel that shows it; `known_yx` is the part of it that
    the slice's frame tells (less than a pixel, as a common canvas of whole pixels leaves it).
    """

    slices: int = 12
    interval: int = 10
    depth: int = 26
    shift_px: float = 2.0
    rotation_deg: float = 0.7
    noise: float = 0.05
    speckle: float = 0.15
    brightness: float = 0.1
    fading: float = 0.004
    jitter: int = 0
    missing: tuple[int, ...] = (5,)
    first_id: int = 0
    voxel_um: float = 10.0
    seed: int = 0
    start: int = 2


@dataclass
class VirtualSlices:
    """The slices, and the truth about them."""

    truth: np.ndarray
    plan: Sectioning
    paths: dict[int, Path] = field(default_factory=dict)
    poses: dict[int, Rigid] = field(default_factory=dict)
    tops: dict[int, int] = field(default_factory=dict)
    gains: dict[int, float] = field(default_factory=dict)

    @property
    def ids(self) -> list[int]:
        return sorted(self.paths)


def brain(planes: int = 150, height: int = 170, width: int = 190, seed: int = 0) -> np.ndarray:
    """The simulated brain, at a size that suits tests."""
    from linumpy_lib.simulation.brain_phantom import BrainPhantom

    phantom = BrainPhantom((10.0 * planes, 10.0 * height, 10.0 * width), 10.0, seed)
    box = [slice(0, n) for n in (planes, height, width)]
    offset = [(have - want) // 2 for have, want in zip(phantom.shape, (planes, height, width), strict=True)]
    whole = phantom.read(tuple(slice(o, o + b.stop) for o, b in zip(offset, box, strict=True)))
    return np.asarray(whole, np.float32)


def mouse_brain() -> np.ndarray | None:
    """The real mouse brain of the shared data, made isotropic (50 um); None where the data are absent."""
    archive = DATA / "brainreg_mouse_brain.zip"
    if not archive.is_file():
        return None
    import tifffile

    with zipfile.ZipFile(archive) as files:
        planes = [tifffile.imread(io.BytesIO(files.read(name))) for name in sorted(files.namelist()) if ".tif" in name]
    volume = np.stack(planes).astype(np.float32)
    return volume / np.float32(np.percentile(volume, 99.9))


def warp(planes: np.ndarray, pose: Rigid, order: int = 3) -> np.ndarray:
    """Resample planes (z, y, x) so that output pixel p shows the input at ``pose^-1(p)``."""
    matrix, offset = pose.inverse().affine()
    out = np.empty(planes.shape, np.float32)
    for k, plane in enumerate(planes):
        out[k] = ndimage.affine_transform(plane, matrix, offset, order=order, mode="constant")
    return np.maximum(out, 0)


def section(truth: np.ndarray, folder: Path, plan: Sectioning | None = None) -> VirtualSlices:
    """Cut `truth` and write the slices that are not missing."""
    plan = plan or Sectioning()
    made = VirtualSlices(truth, plan)
    random = np.random.default_rng([plan.seed, 4])
    centre = image_centre(truth.shape[1:])
    for k in range(plan.slices):
        known = random.uniform(-0.5, 0.5, 2)
        unknown = plan.shift_px * random.standard_normal(2)
        angle = math.radians(plan.rotation_deg) * random.standard_normal()
        gain = math.exp(plan.brightness * random.standard_normal())
        top = plan.start + k * plan.interval + (int(random.integers(-plan.jitter, plan.jitter + 1)) if k else 0)
        noise = np.random.default_rng([plan.seed, 9, k])
        slice_id = plan.first_id + k
        if slice_id in plan.missing:
            continue
        pose = Rigid(angle, tuple(unknown - known), centre)
        planes = warp(truth[top : top + plan.depth], pose)
        planes *= gain * np.exp(-plan.fading * np.arange(len(planes), dtype=np.float32))[:, None, None]
        planes *= np.maximum(1 + plan.speckle * noise.standard_normal(planes.shape, np.float32), 0)
        planes += plan.noise * noise.standard_normal(planes.shape, np.float32)
        planes = np.maximum(planes, 0).astype(np.float32)
        um = plan.voxel_um
        frame = SliceFrame(slice_id, (0.0, known[0] * um, known[1] * um), (0.0, 0.0), plan.interval * um)
        path = folder / f"slice_z{slice_id:02d}_common.ome.zarr"
        write_volume(
            path,
            planes,
            spacing_um=(um, um, um),
            pyramid="powers",
            levels=1,
            codec="lz4",
            provenance={"slice": frame.as_json()},
        )
        made.paths[slice_id] = path
        made.poses[slice_id], made.tops[slice_id], made.gains[slice_id] = pose, top, gain
    return made


def opened(made: VirtualSlices) -> dict[int, object]:
    return {slice_id: open_volume(path) for slice_id, path in made.paths.items()}
