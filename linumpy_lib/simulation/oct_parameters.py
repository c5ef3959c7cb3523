"""What a simulated OCT acquisition lets a user choose."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from linumpy_lib.params import Parameters, optional_spacing, to_text, volume_shape


def slice_ids(value: object) -> str:
    """Check a list of slice ids separated by commas, possibly empty; return its text."""
    text = to_text(value)
    try:
        ids = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        raise ValueError("must be slice ids separated by commas, for example 3,7") from None
    return to_text(ids)


def tile_names(value: object) -> str:
    """Check a list of tiles ``x_y_z`` separated by commas, possibly empty; return its text."""
    text = to_text(value)
    try:
        tiles = sorted({tuple(int(n) for n in part.split("_")) for part in text.split(",") if part.strip()})
    except ValueError:
        tiles = [()]
    if any(len(tile) != 3 for tile in tiles):
        raise ValueError("must be tiles x_y_z separated by commas, for example 0_1_3,2_2_3")
    return ",".join("_".join(str(n) for n in tile) for tile in tiles)


def _number(description: str, unit: str = "", **limits: Any) -> Any:
    extra: dict[str, Any] = {"json_schema_extra": {"unit": unit}} if unit else {}
    return Field(description=description, **extra, **limits)


SliceIds = Annotated[str, BeforeValidator(slice_ids)]


class SimulateOctParameters(Parameters):
    """What `simulate_oct` lets a user choose: the instrument, and the size of each effect (0 or empty is off)."""

    simulate_oct_seed: Annotated[int, _number("Seed; equal seeds and parameters give equal bytes", ge=0)] = 0
    simulate_oct_slices: Annotated[int, _number("Slices that are cut", ge=1, le=10000)] = 4
    simulate_oct_first_id: Annotated[int, _number("Id of the first slice", ge=0, le=100000)] = 0
    simulate_oct_tiles_x: Annotated[int, _number("Tiles per slice along x (A-lines)", ge=1, le=1000)] = 3
    simulate_oct_tiles_y: Annotated[int, _number("Tiles per slice along y (B-scans)", ge=1, le=1000)] = 3
    simulate_oct_tile_shape: Annotated[
        str,
        BeforeValidator(volume_shape),
        _number("Size of a tile as z,y,x: depth samples, B-scans, A-lines", "voxel"),
    ] = "80,64,64"
    simulate_oct_pixel_um: Annotated[float, _number("Distance of A-lines and of B-scans", "um", gt=0)] = 10.0
    simulate_oct_axial_um: Annotated[
        float, _number("Distance of depth samples; preprocess needs it as axial_resolution", "um", gt=0)
    ] = 5.0
    simulate_oct_interval_um: Annotated[float, _number("Thickness that is cut off between slices", "um", gt=0)] = 200.0
    simulate_oct_start_um: Annotated[float, _number("Depth of the first block face in the truth volume", "um")] = 0.0
    simulate_oct_overlap: Annotated[
        float, _number("Overlap of neighbouring tiles", "fraction of a tile", ge=0, le=0.9)
    ] = 0.2
    simulate_oct_n_extra: Annotated[
        int, _number("A-lines recorded in each B-scan while the galvo mirror returns", "A-lines", ge=0)
    ] = 12
    simulate_oct_n_repeat: Annotated[int, _number("Times that each B-scan is recorded", ge=1, le=64)] = 1
    simulate_oct_frames_per_file: Annotated[int, _number("B-scans in one image_*.bin file", ge=1)] = 24
    simulate_oct_layout: Annotated[
        Literal["flat", "nested"], Field(description="All tile folders together, or one folder for each slice")
    ] = "flat"
    simulate_oct_stage_axes: Annotated[
        Literal["x+y+", "x-y+", "x+y-", "x-y-", "y+x+", "y-x+", "y+x-", "y-x-", "none"],
        Field(
            description="Image axis, and its sign, that the stage's x shows, then its y; none leaves the stage keys out"
        ),
    ] = "x+y+"
    simulate_oct_phantom_um: Annotated[float, _number("Voxel size of the procedural truth", "um", gt=0)] = 10.0
    simulate_oct_truth_spacing_um: Annotated[
        str,
        BeforeValidator(optional_spacing),
        _number("Voxel size of a given truth as z,y,x or one number; empty takes the file's", "um"),
    ] = ""

    simulate_oct_jitter_um: Annotated[
        float, _number("Error of each tile's position that the stage does not know (std)", "um", ge=0)
    ] = 8.0
    simulate_oct_scan_rotation_deg: Annotated[
        float, _number("Angle between the scan axes and the stage axes", "deg", ge=-45, le=45)
    ] = 0.5
    simulate_oct_scan_shear_deg: Annotated[
        float, _number("Deviation of the scan axes from a right angle", "deg", ge=-45, le=45)
    ] = 0.3
    simulate_oct_drift_um: Annotated[
        float, _number("Step of the mosaic between slices that the stage records (std)", "um", ge=0)
    ] = 30.0
    simulate_oct_shift_um: Annotated[
        float, _number("Shift of the sample in each slice that nothing records (std)", "um", ge=0)
    ] = 15.0
    simulate_oct_rotation_deg: Annotated[
        float, _number("Rotation of the sample in each slice that nothing records (std)", "deg", ge=0, le=45)
    ] = 0.4
    simulate_oct_glitch_slices: Annotated[
        SliceIds, Field(description="Slices whose recorded stage positions are off by simulate_oct_glitch_um")
    ] = ""
    simulate_oct_glitch_um: Annotated[float, _number("Encoder glitch, along a random direction", "um", ge=0)] = 900.0
    simulate_oct_rehoming_slices: Annotated[
        SliceIds, Field(description="Slices from which on the stage stands elsewhere, by simulate_oct_rehoming_um")
    ] = ""
    simulate_oct_rehoming_um: Annotated[float, _number("Step of a re-homing, along a random direction", "um", ge=0)] = (
        600.0
    )
    simulate_oct_rehoming_moves: Annotated[
        bool,
        Field(description="A re-homing moves the field of view too; false: only the stage's coordinates change"),
    ] = True
    simulate_oct_growth: Annotated[
        int, _number("Columns added at low x and rows at high y in the second half of the slices", "tiles", ge=0)
    ] = 0
    simulate_oct_galvo_shift_px: Annotated[
        int,
        _number("A-lines that the galvo return lies before the end; -1 draws one per slice, 0 is off", "px", ge=-1),
    ] = -1
    simulate_oct_galvo_fraction: Annotated[
        float, _number("Fraction of the slices with a galvo shift, at random", "fraction", ge=0, le=1)
    ] = 0.5
    simulate_oct_galvo_band: Annotated[
        float, _number("Brightness of the galvo return against the image: below 1 dark, above 1 bright", ge=0, le=100)
    ] = 0.25
    simulate_oct_camera_shift_px: Annotated[
        int, _number("A-lines by which the camera starts late; the first one is overexposed", "px", ge=0)
    ] = 0
    simulate_oct_vignetting: Annotated[
        float, _number("Loss of light in the tile's far corner", "fraction", ge=0, lt=1)
    ] = 0.35
    simulate_oct_curvature_um: Annotated[
        float, _number("Depth by which the focal curvature lowers the tile's far corner", "um")
    ] = 20.0
    simulate_oct_rayleigh_um: Annotated[
        float, _number("Rayleigh length of the beam; 0 is no beam profile", "um", ge=0)
    ] = 250.0
    simulate_oct_focus_um: Annotated[float, _number("Depth of the focus below the tile's first sample", "um")] = 140.0
    simulate_oct_attenuation_per_mm: Annotated[
        float, _number("Attenuation coefficient at reflectivity 1 (it is proportional to it)", "1/mm", ge=0)
    ] = 2.0
    simulate_oct_interface_um: Annotated[
        float, _number("Water between the first sample and the tissue", "um", ge=0)
    ] = 50.0
    simulate_oct_tilt_deg: Annotated[
        float, _number("Tilt of the block face against the optical axis (std per slice)", "deg", ge=0, le=30)
    ] = 0.3
    simulate_oct_agarose: Annotated[
        float, _number("Reflectivity of the agarose around the tissue", "fraction of the brightest tissue", ge=0, le=1)
    ] = 0.08
    simulate_oct_water: Annotated[
        float, _number("Reflectivity of the water above the tissue", "fraction of the brightest tissue", ge=0, le=1)
    ] = 0.004
    simulate_oct_counts: Annotated[float, _number("Intensity of reflectivity 1 without losses", "counts", gt=0)] = (
        2000.0
    )
    simulate_oct_speckle: Annotated[
        float, _number("Speckle contrast: standard deviation over mean", "fraction", ge=0, le=1)
    ] = 0.4
    simulate_oct_noise: Annotated[
        float, _number("Noise (std) of a sample, on a floor of three times it", "fraction of counts", ge=0, le=1)
    ] = 0.004
    simulate_oct_gain_drift: Annotated[
        float, _number("Drift of the brightness between slices (std of its logarithm)", "fraction", ge=0, le=2)
    ] = 0.08
    simulate_oct_oblique_deg: Annotated[
        float, _number("Angle between the cutting direction and the truth's z axis", "deg", ge=-90, le=90)
    ] = 0.0
    simulate_oct_missing_tiles: Annotated[
        str, BeforeValidator(tile_names), Field(description="Tiles that are not written, as x_y_z,x_y_z")
    ] = ""
    simulate_oct_missing_slices: Annotated[SliceIds, Field(description="Slices that are cut but not recorded")] = ""
    simulate_oct_degraded_slices: Annotated[
        SliceIds, Field(description="Slices that are blurred, dim, noisy and have lost B-scans")
    ] = ""
