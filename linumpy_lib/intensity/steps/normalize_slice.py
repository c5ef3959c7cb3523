"""Step: bring a slice to a scale of 0 (agarose) to about 1 (bright tissue), the same for all slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from linumpy_lib.errors import InputError
from linumpy_lib.params import Parameters
from linumpy_lib.step import Input, Step, Task

if TYPE_CHECKING:
    from linumpy_lib.io import Volume

NORMALIZED = "slice_{name}_normalize.ome.zarr"
PREVIEW = "{name}_normalize_slice_preview.png"
KEY = "normalize"


class NormalizeSliceParameters(Parameters):
    """`normalize_slice` has nothing to choose: measure_slice and match_slices own the parameters."""


def normalize_slice(
    *,
    input: Volume,  # noqa: A002
    levels: Path,
    factors: Path | None,
    parameters: NormalizeSliceParameters,
    task: Task,
) -> None:
    """Write ``(min(intensity, white) - background) * factor / level`` of each plane, at least 0.

    Parameters
    ----------
    input : Volume
        A slice, axes z, y, x.
    levels : Path
        Its levels.
    factors : Path, optional
        Factors of all slices; without them the slice is scaled by its own brightness.
    parameters : NormalizeSliceParameters
        The step's parameters.
    task : Task
        Where the results go.

    Raises
    ------
    InputError
        If levels or factors are not those of the slice.
    """
    import numpy as np

    from linumpy_lib.intensity.slice_columns import slice_volume, write_columns
    from linumpy_lib.intensity.steps.match_slices import read_levels
    from linumpy_lib.io.slice_factors import read_factors
    from linumpy_lib.io.slice_frame import slice_frame

    volume = slice_volume(input)
    frame = slice_frame(volume)
    found = read_levels(levels)
    if found["slice_id"] != frame.slice_id:
        raise InputError(f"{levels}: is of slice {found['slice_id']}, not {frame.slice_id} ({volume.name})")
    if not task.stub and len(found["background"]) != volume.shape[0]:
        raise InputError(
            f"{levels}: tells {len(found['background'])} planes, {volume.name} has {volume.shape[0]}; measure it again"
        )
    factor, level = 1.0, found["reference"]
    if factors is not None:
        table = read_factors(factors)
        if frame.slice_id not in table:
            raise InputError(f"{factors}: has no row for slice {frame.slice_id}; run match_slices with all slices")
        factor, level = table[frame.slice_id].factor, table[frame.slice_id].level
    if level == 0:
        level = max(found["white"]) or 1.0
        task.note(f"{task.name}: no slice tells a brightness of tissue; scaled by the white level")
    planes = volume.shape[0]
    black = np.array(found["background"][:planes], np.float32)[:, None, None]
    white = np.array(found["white"][:planes], np.float32)[:, None, None]
    scale = np.float32(factor / level)

    def change(block: Any, _region: tuple[slice, ...]) -> Any:
        np.minimum(block, white, out=block)
        block -= black
        np.maximum(block, 0, out=block)
        block *= scale
        return block

    record = {"factor": factor, "level": level, "reference": found["reference"]}
    provenance = {**dict(volume.provenance), **task.provenance, KEY: record}
    write_columns(volume, task, NORMALIZED, change, provenance=provenance)
    task.metric("scale_factor", round(factor, 5))
    task.metric("level", round(level, 4), "counts")
    _preview(volume, change, task)


def _preview(volume: Volume, change: Any, task: Task) -> None:
    from linumpy_lib.intensity.slice_columns import clean
    from linumpy_lib.quality.slice_preview import write_panels

    nz, ny, nx = volume.shape
    z_um, _, x_um = volume.require_spacing()
    band = (slice(0, nz), slice(ny // 2, ny // 2 + 1), slice(0, nx))
    before = clean(volume.read(band))
    panels = [("section before", before[:, 0].copy()), ("section after", change(before, band)[:, 0])]
    write_panels(
        task.path(PREVIEW), panels, spacing_um=(z_um, x_um), title=f"{task.name}: normalized", shared_range=False
    )


STEP = Step(
    name="normalize_slice",
    function=normalize_slice,
    parameters=NormalizeSliceParameters,
    summary="One intensity scale for all slices",
    description="Cuts each plane at its white level, subtracts the agarose, and scales the slice by the factor that "
    "matches it with the others: bright tissue (99th percentile) is 1 in all slices.",
    inputs=(
        Input("input", "slice, axes z,y,x (compensate_attenuation)"),
        Input("levels", "slice_NAME_levels.json from measure_slice", kind="path"),
        Input("factors", "slice_factors.csv from match_slices", kind="path", required=False),
    ),
    outputs={NORMALIZED: "the slice, float32", PREVIEW: "a section before and after"},
)
