"""Run the anisotropy step on three real volumes, print what it finds and draw the pictures of docs/gallery.md.

The volumes are not part of this project; the page says where they come from:

    python docs/tutorials/real_volumes.py FOLDER_WITH_THE_VOLUMES [folder for the pictures]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FINE_RHO = 2
# About the radius of the axons, of the larger pores, and the distance between the polymer fibres [voxels].
COARSE_RHO = {"axons": 16, "cement": 6, "polymer": 6}
STEP = Path(__file__).resolve().parents[2] / "bin" / "compute_anisotropy.py"
VOLUMES = {
    "axons": "qim3d/NT_128x128x128.tif",
    "cement": "qim3d/cement_128x128x128.tif",
    "polymer": "quanfima_polymer/polymer3d_8bit_128x128x128.raw",
}


@dataclass(frozen=True)
class Finding:
    """What the step says of one volume.

    Attributes
    ----------
    whole : dict of str to float
        FA, CL, CP, CS of the tensor averaged over the whole volume.
    fine, coarse : dict
        Statistics (`NAME_statistics.json`) with `FINE_RHO` and with `COARSE_RHO`.
    """

    whole: dict[str, float]
    fine: dict[str, Any]
    coarse: dict[str, Any]

    @staticmethod
    def shares(statistics: dict[str, Any]) -> dict[str, float]:
        """Fractions of sheet-, fibre- and blob-like voxels."""
        return {name: statistics["tissue"][name]["fraction"] for name in ("sheet", "fibre", "blob")}

    @staticmethod
    def axis(statistics: dict[str, Any]) -> tuple[float, float, float]:
        """Angles [deg] between the dominant direction of least change and z, y, x."""
        zyx = statistics["orientation"]["fibre_dir"]["all"]["dominant_zyx"]
        z, y, x = np.degrees(np.arccos(np.minimum(np.abs(zyx), 1.0)))
        return float(z), float(y), float(x)

    @staticmethod
    def order(statistics: dict[str, Any]) -> float:
        """0 where directions of least change are spread over all angles, 1 where they are parallel."""
        return float(statistics["orientation"]["fibre_dir"]["all"]["order_parameter"])


def as_tiff(name: str, data: Path, scratch: Path) -> Path:
    """Path of a volume that the step can read; headerless data are converted in ``scratch``."""
    source = data / VOLUMES[name]
    if source.suffix != ".raw":
        return source
    import tifffile

    target = scratch / f"{name}.tif"
    tifffile.imwrite(target, np.fromfile(source, np.uint8).reshape(128, 128, 128), metadata={"axes": "ZYX"})
    return target


def run_step(volume: Path, output: Path, name: str, rho: float) -> dict[str, Any]:
    """Run bin/compute_anisotropy.py and return its statistics."""
    options = ["--input", volume, "--output", output, "--name", name, "--anisotropy_rho", rho, "--device", "cpu"]
    subprocess.run([sys.executable, STEP, *map(str, options), "--quiet"], check=True, capture_output=True)
    statistics: dict[str, Any] = json.loads((output / f"{name}_statistics.json").read_text())
    return statistics


def investigate(name: str, data: Path, scratch: Path) -> Finding:
    """Compute what the gallery tells of one volume."""
    from linumpy_lib.anisotropy import anisotropy_measures, eigen_decompose, structure_tensor
    from linumpy_lib.io import open_volume

    volume = as_tiff(name, data, scratch)
    tensor = structure_tensor(open_volume(volume).read(), sigma=1.0, rho=0.0, device="cpu")
    measures = anisotropy_measures(eigen_decompose(tensor.mean(axis=(1, 2, 3), dtype=np.float64)).eigenvalues)
    whole = {key: float(getattr(measures, key)) for key in ("fa", "cl", "cp", "cs")}
    fine, coarse = (run_step(volume, scratch / f"{name}_rho{rho}", name, rho) for rho in (FINE_RHO, COARSE_RHO[name]))
    return Finding(whole, fine, coarse)


def describe(name: str, finding: Finding) -> list[str]:
    """Lines of text about one volume."""
    whole = "  ".join(f"{key.upper()} {value:.2f}" for key, value in finding.whole.items())
    lines = [f"{name}", f"  whole volume: {whole}"]
    for rho, statistics in ((FINE_RHO, finding.fine), (COARSE_RHO[name], finding.coarse)):
        shares = "  ".join(f"{key} {value:.0%}" for key, value in finding.shares(statistics).items())
        z, y, x = finding.axis(statistics)
        lines.append(f"  rho {rho:2}: {shares}")
        angles = f"{z:.0f}, {y:.0f}, {x:.0f} degrees from z, y, x"
        lines.append(f"          least change {angles}; order {finding.order(statistics):.2f}")
    return lines


def picture(name: str, data: Path, scratch: Path, path: Path) -> None:
    """Draw XY and XZ planes: the image, the direction of least change, CP and CS at `COARSE_RHO`."""
    import matplotlib.pyplot as plt
    from figures import segments

    from linumpy_lib.io import open_volume

    results = scratch / f"{name}_rho{COARSE_RHO[name]}"
    image = open_volume(as_tiff(name, data, scratch)).read()
    values = open_volume(results / f"{name}_measures.ome.zarr").read()
    vectors = np.moveaxis(open_volume(results / f"{name}_fibre_dir.ome.zarr").read(), 0, -1)
    figure, grid = plt.subplots(2, 4, figsize=(11, 5.6), layout="compressed")
    for row, plane, normal, keep in ((grid[0], "XY", 0, (1, 2)), (grid[1], "XZ", 1, (0, 2))):
        cut: list[Any] = [slice(None)] * 3
        cut[normal] = image.shape[normal] // 2
        here = tuple(cut)
        shown: npt.NDArray[Any] = image[here]
        for axes in row[:2]:
            axes.imshow(shown, cmap="gray", vmin=np.percentile(image, 0.5), vmax=np.percentile(image, 99.7))
        lines = vectors[here].astype(np.float32)
        segments(row[1], lines, np.ones_like(shown, dtype=bool), 9, 1.0, 1.0, keep)
        row[1].set(xlim=(-0.5, 127.5), ylim=(127.5, -0.5))
        for axes, channel in ((row[2], 2), (row[3], 3)):
            maps = axes.imshow(values[(channel, *here)].astype(np.float32), cmap="cividis", vmin=0, vmax=1)
        row[0].set_ylabel(f"{plane} plane")
    for axes, title in zip(grid[0], ("image", "direction of least change", "CP", "CS"), strict=True):
        axes.set_title(title, fontsize=11)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    figure.colorbar(maps, ax=list(grid[:, 3]), shrink=0.6)
    figure.savefig(path, dpi=62, metadata={"Software": None})
    plt.close(figure)


def main(data: Path, figures: Path) -> None:
    """Investigate, print and draw."""
    figures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in VOLUMES:
            print("\n".join(describe(name, investigate(name, data, scratch))))
            picture(name, data, scratch, figures / f"gallery_{name}.png")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(f"usage: {sys.argv[0]} FOLDER_WITH_THE_VOLUMES [folder for the pictures]")
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "gallery"))
