"""Raw tiles written by hand, as docs/preprocess.md describes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

WriteTile = Callable[..., np.ndarray]


def info_text(values: dict[str, object]) -> str:
    return "Scan info\n" + "".join(f"{key}: {value}\n" for key, value in values.items() if value is not None)


@pytest.fixture
def write_tile(tmp_path: Path) -> WriteTile:
    """Write one tile below tmp_path / 'raw' and return its image (z, y, x)."""

    def write(
        x: int,
        y: int,
        z: int,
        *,
        shape: tuple[int, int, int] = (9, 7, 11),
        extra: int = 3,
        repeat: int = 1,
        files: int = 2,
        roll: int = 0,
        folder: str = "",
        **changes: object,
    ) -> np.ndarray:
        nz, ny, nx = shape
        rng = np.random.default_rng((x, y, z))
        frames = rng.random((ny * repeat, nx + extra, nz), dtype=np.float32) + 1
        image = frames.reshape(ny, repeat, nx + extra, nz).mean(axis=1, dtype=np.float32)[:, :nx].transpose(2, 0, 1)
        place = tmp_path / "raw" / folder / f"tile_x{x:02d}_y{y:02d}_z{z:02d}"
        place.mkdir(parents=True)
        values: dict[str, object] = {
            "nx": nx,
            "ny": ny,
            "n_repeat": repeat,
            "width": nx * 3.0,
            "height": ny * 3.5,
            "n_extra": extra,
            "line_rate": 62500,
            "top_z": 30,
            "bottom_z": 30 + nz - 1,
            "stage_x_pos_mm": 5 + 0.02 * x,
            "stage_y_pos_mm": 7 + 0.02 * y,
            "stage_z_pos_mm": 0.2 * z,
        }
        (place / "info.txt").write_text(info_text({**values, **changes}))
        for k, part in enumerate(np.array_split(np.roll(frames, -roll, axis=1), files)):
            part.tofile(place / f"image_{k:05d}.bin")
        return image

    return write
