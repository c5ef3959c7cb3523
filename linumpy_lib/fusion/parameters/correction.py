"""How each view is cropped, turned, cleaned and segmented."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from linumpy_lib.fusion.parameters.types import MedianKernel, NumberOfChoice, WholeNumbers
from linumpy_lib.params import Parameters


def _crop(text: str) -> Any:
    return Field(
        description=f"{text}; one number for all cameras or one for each, empty is the whole view",
        json_schema_extra={"unit": "px"},
    )


class CorrectionParameters(Parameters):
    """What `correct_view` lets a user choose."""

    crop_left: Annotated[WholeNumbers, _crop("First column (x) that is kept")] = ()
    crop_top: Annotated[WholeNumbers, _crop("First row (y) that is kept")] = ()
    crop_width: Annotated[WholeNumbers, _crop("Columns (x) that are kept")] = ()
    crop_height: Annotated[WholeNumbers, _crop("Rows (y) that are kept")] = ()
    crop_front: Annotated[WholeNumbers, _crop("First plane (z) that is kept")] = ()
    crop_depth: Annotated[WholeNumbers, _crop("Planes (z) that are kept")] = ()
    rotation: Annotated[
        Literal[-1, 0, 1],
        NumberOfChoice,
        Field(description="Turn every plane by 90 degrees: 1 clockwise, -1 counter-clockwise, 0 not at all"),
    ] = 0
    flip_horizontal: Annotated[
        bool, Field(description="Mirror the second camera of each pair along x, so that both look at the same side")
    ] = False
    flip_vertical: Annotated[bool, Field(description="Mirror the second camera of each pair along y")] = False
    median_kernel: Annotated[
        MedianKernel,
        Field(
            description="Window y,x whose median replaces dead pixels; 0 leaves them",
            json_schema_extra={"unit": "px"},
        ),
    ] = (3, 3)
    background_percentile: Annotated[
        float,
        Field(
            description="Percentile of the voxels above zero that is the view's background",
            ge=0,
            le=100,
            json_schema_extra={"unit": "%"},
        ),
    ] = 5.0
    mask_percentile: Annotated[
        float,
        Field(
            description="Percentile of the smoothed view that counts as its darkest value in the segmentation",
            ge=0,
            le=100,
            json_schema_extra={"unit": "%"},
        ),
    ] = 1.0
    subsample_factor: Annotated[
        int, Field(description="Percentiles look at one voxel of this many", ge=1, le=1_000_000)
    ] = 100
    segment_mode: Annotated[
        Literal[0, 1, 2, 3],
        NumberOfChoice,
        Field(
            description="0 no segmentation, 1 each view's own mask, 2 masks only (for a global one), 3 the global mask"
        ),
    ] = 1
    gauss_kernel: Annotated[
        int,
        Field(
            description="Size of the Gaussian before the segmentation",
            ge=1,
            le=101,
            json_schema_extra={"unit": "px"},
        ),
    ] = 5
    gauss_sigma: Annotated[
        float,
        Field(
            description="Width of the Gaussian before the segmentation",
            gt=0,
            le=50,
            json_schema_extra={"unit": "px"},
        ),
    ] = 2.0
    segment_threshold: Annotated[
        float,
        Field(
            description="Where between darkest value and mean of the view its foreground begins",
            ge=0,
            le=10,
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.4
    splitting: Annotated[
        int, Field(description="Least number of slabs that a view is processed in; results do not depend on it", ge=1)
    ] = 10
    pixel_spacing_z: Annotated[
        float,
        Field(
            description="Distance of planes; 0 takes z_step of the recording's XML",
            ge=0,
            le=1e5,
            json_schema_extra={"unit": "um"},
        ),
    ] = 0.0
    detection_objective_mag: Annotated[
        float,
        Field(
            description="Magnification of the detection objective; 0 takes that of the recording's XML",
            ge=0,
            le=1000,
            json_schema_extra={"unit": "x"},
        ),
    ] = 0.0
    pixel_spacing_camera: Annotated[
        float,
        Field(description="Pixel of the camera's sensor", gt=0, le=1000, json_schema_extra={"unit": "um"}),
    ] = 6.5
    output_format: Annotated[
        Literal["zarr", "klb", "tiff"],
        Field(description="Write each corrected view in this format too; the OME-Zarr store is written always"),
    ] = "zarr"
    zarr_compression: Annotated[
        Literal["blosc-zstd", "blosc-lz4", "zstd", "none"],
        Field(description="Codec of the stores of the corrected views"),
    ] = "blosc-zstd"
    zarr_chunks: Annotated[
        int,
        Field(description="Edge of the chunks of the corrected views", ge=8, le=1024, json_schema_extra={"unit": "px"}),
    ] = 64
    zarr_shards: Annotated[
        int,
        Field(
            description="Edge of the shards (files) of the corrected views, a multiple of zarr_chunks",
            ge=8,
            le=4096,
            json_schema_extra={"unit": "px"},
        ),
    ] = 256
