"""Draws docs/images/simulate_oct.jpg from the default acquisition."""

import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt

from linumpy_lib.simulation import simulate_oct
from linumpy_lib.simulation.oct_parameters import SimulateOctParameters
from linumpy_lib.simulation.truth_volume import truth_volume

SLICE = 0


def load(folder: Path, truth) -> np.ndarray:
    """Raw tile as (B-scan, A-line, depth), galvo return included."""
    depth, _, lines = truth.tile_shape
    lines += truth.parameters["simulate_oct_n_extra"]
    parts = [np.fromfile(file, np.float32) for file in sorted(folder.glob("image_*.bin"))]
    return np.concatenate(parts).reshape(-1, lines, depth)


with tempfile.TemporaryDirectory() as temporary:
    truth = simulate_oct(output=temporary)
    item, (_, n_y, n_x) = truth.slice(SLICE), truth.tile_shape
    tiles = {
        (tile.x, tile.y): load(Path(temporary, "raw", f"tile_x{tile.x:02d}_y{tile.y:02d}_z{SLICE:02d}"), truth)
        for tile in item.tiles
    }
positions = truth.tile_positions_px(SLICE)
corner = np.min(list(positions.values()), axis=0)
size = np.ceil(np.max(list(positions.values()), axis=0) - corner).astype(int) + np.array([n_x, n_y])
placed = np.zeros(size[::-1])
for name, (x, y) in positions.items():
    left, top = np.round(np.array([x, y]) - corner).astype(int)
    image = np.roll(tiles[name], item.galvo_shift_px, axis=1)[:, :n_x].mean(axis=2)
    placed[top : top + n_y, left : left + n_x] = image
raw = np.block([[tiles[x, y].mean(axis=2) for x in range(item.tiles_x)] for y in range(item.tiles_y)])

volume = truth_volume(None, SimulateOctParameters())
figure, axes = plt.subplots(1, 4, figsize=(16, 4.2), layout="constrained")
for axis, image, title in (
    (axes[0], volume.array[8:9, 0 : volume.shape[1], 0 : volume.shape[2]][0], "truth, 80 um deep"),
    (axes[1], raw, "raw tiles side by side (mean over depth)"),
    (axes[2], placed, "rolled and placed as the truth file says"),
    (axes[3], tiles[1, 1][32].T, "one raw B-scan (depth down)"),
):
    axis.imshow(image, cmap="magma", vmax=np.percentile(image, 99.7), aspect="equal")
    axis.set_title(title)
    axis.axis("off")
figure.savefig(Path(__file__).with_suffix(".jpg"), dpi=70, pil_kwargs={"quality": 85})
