"""`ProcessingConfig`: all settings of a fusion run in one object, for use from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, field_validator

from linumpy_lib.fusion.parameters.blending import BlendingParameters
from linumpy_lib.fusion.parameters.correction import CorrectionParameters
from linumpy_lib.fusion.parameters.registration import RegistrationParameters
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.parameters.temporal import TemporalParameters
from linumpy_lib.params import Parameters

P = TypeVar("P", bound=Parameters)


class ProcessingConfig(
    SelectionParameters, CorrectionParameters, RegistrationParameters, TemporalParameters, BlendingParameters
):
    """Settings of a fusion run: where the data lie, and every parameter of the workflow's steps.

    A parameter is declared by the step that owns it, so a name means the same here, on a command line and in a
    pipeline run. Where a command line has a text (``0-1,2-3``), Python values (``[(0, 1), (2, 3)]``) do too, and None
    stands for what is empty there.

    Attributes
    ----------
    input_dir : Path
        Raw recording (with ``SPM00`` inside), or a folder of corrected views.
    output_dir : Path
        Results, by default ``<input_dir>.corrected``.
    projection_dir, global_mask_dir, diagnostics_dir : Path
        Maximum projections (``<input_dir>.projections``), global masks (``<input_dir>.globalMask``) and diagnostic
        pictures (``<output_dir>/diagnostics``).

    Examples
    --------
    >>> config = ProcessingConfig(input_dir="recording", timepoints=[0], fusion_camera_pairs=[(0, 1), (2, 3)])
    >>> config.fusion_camera_pairs, config.fusion_blending_range
    (((0, 1), (2, 3)), (20, 4))
    >>> config.part(TemporalParameters).fusion_smoothing_window
    100
    """

    input_dir: Path = Field(description="Raw recording or folder of corrected views")
    output_dir: Path = Field(default=Path(), description="Folder for the results")
    projection_dir: Path = Field(default=Path(), description="Folder for maximum projections")
    global_mask_dir: Path = Field(default=Path(), description="Folder of global masks")
    diagnostics_dir: Path = Field(default=Path(), description="Folder for diagnostic pictures")

    @field_validator("output_dir", "projection_dir", "global_mask_dir", "diagnostics_dir", mode="before")
    @classmethod
    def _none_is_the_default(cls, value: Any) -> Any:
        return Path() if value is None else value

    def model_post_init(self, _context: Any) -> None:
        """Fill in the folders that follow from the input's."""
        beside = self.input_dir
        defaults = {
            "output_dir": beside.with_name(f"{beside.name}.corrected"),
            "projection_dir": beside.with_name(f"{beside.name}.projections"),
            "global_mask_dir": beside.with_name(f"{beside.name}.globalMask"),
        }
        for name, default in defaults.items():
            if getattr(self, name) == Path():
                object.__setattr__(self, name, default)
        if self.diagnostics_dir == Path():
            object.__setattr__(self, "diagnostics_dir", self.output_dir / "diagnostics")

    def part(self, owner: type[P]) -> P:
        """Return the settings that one step owns."""
        return owner(**{name: getattr(self, name) for name in owner.model_fields})

    @property
    def scaling(self) -> float:
        """Ratio of plane distance and lateral pixel size as configured; 1 where both come from the recording."""
        if not self.pixel_spacing_z or not self.detection_objective_mag:
            return 1.0
        return self.pixel_spacing_z * self.detection_objective_mag / self.pixel_spacing_camera
