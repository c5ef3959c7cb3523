"""Multi-view light-sheet fusion: readers, corrections, segmentation, registration, blending, time.

Names are loaded when they are used, because a step script must start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linumpy_lib.fusion.blending import blend_views
    from linumpy_lib.fusion.compression_benchmark import benchmark_compression
    from linumpy_lib.fusion.config import ProcessingConfig
    from linumpy_lib.fusion.dead_pixels import correct_dead_pixels
    from linumpy_lib.fusion.filters import apply_gauss_filter, apply_median_filter
    from linumpy_lib.fusion.fusion_run import fuse
    from linumpy_lib.fusion.masks import apply_bwareaopen, combine_masks
    from linumpy_lib.fusion.percentiles import estimate_background
    from linumpy_lib.fusion.processor import IsoviewProcessor, process_dataset
    from linumpy_lib.fusion.registration import estimate_registration
    from linumpy_lib.fusion.segmentation import create_coordinate_masks, fuse_masks, segment_foreground
    from linumpy_lib.fusion.temporal import (
        apply_temporal_averaging,
        create_lookup_table,
        interpolate_missing_timepoints,
        smooth_parameters_rloess,
    )
    from linumpy_lib.fusion.topology import pad_mask_to_center
    from linumpy_lib.fusion.transform import apply_registration
    from linumpy_lib.fusion.view_array import IsoviewArray
    from linumpy_lib.fusion.view_files import read_volume, write_volume
    from linumpy_lib.fusion.view_geometry import crop_volume, flip_volume, rotate_volume
    from linumpy_lib.fusion.viz import (
        plot_fusion_result,
        plot_projections,
        plot_registration_result,
        plot_volume_overview,
    )
    from linumpy_lib.fusion.xml_metadata import read_xml_metadata

# public name -> module below this package that defines it
_HOMES = {
    "IsoviewArray": "view_array",
    "IsoviewProcessor": "processor",
    "ProcessingConfig": "config",
    "apply_bwareaopen": "masks",
    "apply_gauss_filter": "filters",
    "apply_median_filter": "filters",
    "apply_registration": "transform",
    "apply_temporal_averaging": "temporal",
    "benchmark_compression": "compression_benchmark",
    "blend_views": "blending",
    "combine_masks": "masks",
    "correct_dead_pixels": "dead_pixels",
    "create_coordinate_masks": "segmentation",
    "create_lookup_table": "temporal",
    "crop_volume": "view_geometry",
    "estimate_background": "percentiles",
    "estimate_registration": "registration",
    "flip_volume": "view_geometry",
    "fuse": "fusion_run",
    "fuse_masks": "segmentation",
    "interpolate_missing_timepoints": "temporal",
    "pad_mask_to_center": "topology",
    "plot_fusion_result": "viz",
    "plot_projections": "viz",
    "plot_registration_result": "viz",
    "plot_volume_overview": "viz",
    "process_dataset": "processor",
    "read_volume": "view_files",
    "read_xml_metadata": "xml_metadata",
    "rotate_volume": "view_geometry",
    "segment_foreground": "segmentation",
    "smooth_parameters_rloess": "temporal",
    "write_volume": "view_files",
}

__all__ = [
    "IsoviewArray",
    "IsoviewProcessor",
    "ProcessingConfig",
    "apply_bwareaopen",
    "apply_gauss_filter",
    "apply_median_filter",
    "apply_registration",
    "apply_temporal_averaging",
    "benchmark_compression",
    "blend_views",
    "combine_masks",
    "correct_dead_pixels",
    "create_coordinate_masks",
    "create_lookup_table",
    "crop_volume",
    "estimate_background",
    "estimate_registration",
    "flip_volume",
    "fuse",
    "fuse_masks",
    "interpolate_missing_timepoints",
    "pad_mask_to_center",
    "plot_fusion_result",
    "plot_projections",
    "plot_registration_result",
    "plot_volume_overview",
    "process_dataset",
    "read_volume",
    "read_xml_metadata",
    "rotate_volume",
    "segment_foreground",
    "smooth_parameters_rloess",
    "write_volume",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
