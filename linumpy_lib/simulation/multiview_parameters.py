"""What a simulated multi-view light-sheet acquisition lets a user choose."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from linumpy_lib.params import Parameters, to_text, volume_shape


def _number(description: str, unit: str = "", **limits: Any) -> Any:
    extra: dict[str, Any] = {"json_schema_extra": {"unit": unit}} if unit else {}
    return Field(description=description, **extra, **limits)


def three_numbers(value: object) -> str:
    """Check three numbers z,y,x of any sign; return their text."""
    try:
        numbers = [float(part) for part in to_text(value).split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise ValueError("must be three numbers z,y,x")
    return to_text(numbers)


def whole_list(value: object) -> str:
    """Check whole numbers separated by commas, possibly none; return their text."""
    try:
        numbers = sorted({int(part) for part in to_text(value).split(",") if part.strip()})
    except ValueError:
        raise ValueError("must be whole numbers separated by commas, for example 2,3") from None
    if numbers and numbers[0] < 0:
        raise ValueError("must not be negative")
    return to_text(numbers)


Zyx = Annotated[str, BeforeValidator(three_numbers)]
Whole = Annotated[str, BeforeValidator(whole_list)]


class SimulateMultiviewParameters(Parameters):
    """What `simulate_multiview` lets a user choose: the microscope, and the size of each effect (0 is off)."""

    simulate_multiview_preset: Annotated[
        Literal["", "opposing", "noisy"],
        Field(
            description="Start from a known scene: two opposing views of 256x256x256 voxels, in good or in poor light; "
            "parameters that differ from their defaults are kept"
        ),
    ] = ""
    simulate_multiview_seed: Annotated[int, _number("Seed; equal seeds and parameters give equal bytes", ge=0)] = 0
    simulate_multiview_shape: Annotated[
        str, BeforeValidator(volume_shape), _number("Size of the procedural truth as z,y,x", "voxel")
    ] = "48,96,80"
    simulate_multiview_fill: Annotated[
        float, _number("Share of the procedural truth that its nuclei fill", "fraction", ge=0, le=0.2)
    ] = 0.03
    simulate_multiview_cameras: Annotated[
        Literal["0,1", "0,1,2,3"],
        Field(description="Cameras: 0 and 1 look along z from both sides, 2 and 3 along y"),
    ] = "0,1,2,3"
    simulate_multiview_channels: Annotated[int, _number("Channels that each camera records", ge=1, le=2)] = 1
    simulate_multiview_wiring: Annotated[
        Literal["all", "pairs"],
        Field(
            description="all: every camera records every channel; pairs: cameras 0,1 channel 0, cameras 2,3 channel 1"
        ),
    ] = "all"
    simulate_multiview_timepoints: Annotated[int, _number("Time points", ge=1, le=10000)] = 1
    simulate_multiview_missing_timepoints: Annotated[
        Whole, Field(description="Time points that were not recorded, separated by commas")
    ] = ""
    simulate_multiview_z_step_um: Annotated[float, _number("Distance of planes", "um", gt=0)] = 0.40625
    simulate_multiview_magnification: Annotated[
        float, _number("Magnification of the detection objective; the camera's pixels are 6.5 um", "x", gt=0)
    ] = 16.0

    simulate_multiview_blur_px: Annotated[
        float, _number("Blur (sigma) of the plane that is nearest to a camera", "px", ge=0)
    ] = 0.5
    simulate_multiview_depth_blur_px: Annotated[
        float, _number("Blur (sigma) of the plane that is farthest from a camera", "px", ge=0)
    ] = 3.5
    simulate_multiview_attenuation: Annotated[
        float, _number("Light is weakened to exp(-this) over the whole depth", ge=0)
    ] = 1.2
    simulate_multiview_sheet_attenuation: Annotated[
        float,
        _number(
            "With two channels: the light sheet of channel 0 enters at low x, that of channel 1 at high x, and each is "
            "weakened to exp(-this) along x",
            ge=0,
        ),
    ] = 1.0
    simulate_multiview_shift_px: Annotated[
        Zyx, _number("Shift z,y,x of the second camera's view against the first one's", "px")
    ] = "2.6,-5.2,7.4"
    simulate_multiview_rotation_deg: Annotated[
        float, _number("Rotation of the second camera's view in its plane, from x to y", "deg", ge=-45, le=45)
    ] = 0.0
    simulate_multiview_gain: Annotated[
        float, _number("Brightness of the second camera's view against the first one's", gt=0)
    ] = 0.8
    simulate_multiview_mirror: Annotated[
        bool, Field(description="The second camera of a pair sees x mirrored, as cameras on opposite sides do")
    ] = False
    simulate_multiview_drift_px: Annotated[
        Zyx, _number("Drift z,y,x of the second camera's view from one time point to the next", "px")
    ] = "0,0,0"
    simulate_multiview_rotation_drift_deg: Annotated[
        float, _number("Drift of its rotation from one time point to the next", "deg")
    ] = 0.0
    simulate_multiview_gain_drift: Annotated[
        float, _number("Drift of its brightness from one time point to the next", "fraction", gt=-1, lt=1)
    ] = 0.0
    simulate_multiview_jitter_px: Annotated[
        float, _number("Random shift of it at each time point (std of each axis)", "px", ge=0)
    ] = 0.0
    simulate_multiview_counts: Annotated[
        float, _number("Photons of the brightest voxel without losses", "counts", gt=0)
    ] = 2000.0
    simulate_multiview_offset: Annotated[float, _number("Counts of a dark pixel", "counts", ge=0)] = 100.0
    simulate_multiview_read_noise: Annotated[
        float, _number("Noise (std) of a dark pixel; photons bring their own noise", "counts", ge=0)
    ] = 4.0
    simulate_multiview_shot_noise: Annotated[bool, Field(description="Photons arrive at random (Poisson)")] = True
    simulate_multiview_dead_pixels: Annotated[
        float, _number("Pixels that are stuck, bright or unstable, the same in every plane", "fraction", ge=0, le=0.1)
    ] = 0.0005


PRESETS: dict[str, dict[str, Any]] = {
    "": {},
    "opposing": {"shape": "256,256,256", "cameras": "0,1", "fill": 0.012, "dead_pixels": 0.0, "seed": 8},
    "noisy": {
        **{"shape": "256,256,256", "cameras": "0,1", "fill": 0.2, "dead_pixels": 0.0, "seed": 8},
        **{"counts": 90.0, "read_noise": 4.0},
    },
}


def with_preset(parameters: SimulateMultiviewParameters) -> SimulateMultiviewParameters:
    """Fill a preset's values in where a parameter has its default."""
    fields = SimulateMultiviewParameters.model_fields
    update = {
        f"simulate_multiview_{name}": value
        for name, value in PRESETS[parameters.simulate_multiview_preset].items()
        if getattr(parameters, f"simulate_multiview_{name}") == fields[f"simulate_multiview_{name}"].default
    }
    return parameters.model_copy(update=update)
