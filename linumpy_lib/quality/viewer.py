"""Look at anisotropy results in napari."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linumpy_lib.errors import PipelineError
from linumpy_lib.quality.anisotropy_layers import AnisotropyResults, anisotropy_layers, find_results, spacing_of


def add_layers(viewer: Any, results: AnisotropyResults, *, every_px: int = 8, threshold: float = 0.3) -> None:
    """Add the results to a napari viewer (a ``Viewer`` or the windowless ``ViewerModel``).

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where to add them.
    results : AnisotropyResults
        Opened stores, from `find_results`.
    every_px, threshold
        See `anisotropy_layers`.
    """
    for layer in anisotropy_layers(results, every_px=every_px, threshold=threshold):
        add = viewer.add_image if layer.kind == "image" else viewer.add_vectors
        add(layer.data, **layer.options)
    viewer.dims.axis_labels = ("z", "y", "x")
    # A slice as thick as the vectors are apart, so that some are in sight on every plane.
    margins = tuple(every_px * s / 2.0 for s in spacing_of(results.measures))
    viewer.dims.margin_left, viewer.dims.margin_right = margins, margins
    overlays = viewer.canvas.overlays if hasattr(viewer, "canvas") else viewer  # napari 0.9 moved the scale bar
    overlays.scale_bar.visible = True


def view_anisotropy(results: AnisotropyResults, *, every_px: int = 8, threshold: float = 0.3) -> Any:
    """Open a napari window with the results; the caller starts the event loop with ``napari.run()``.

    Parameters
    ----------
    results : AnisotropyResults
        Opened stores, from `find_results`.
    every_px, threshold
        See `anisotropy_layers`.

    Returns
    -------
    napari.Viewer
    """
    import napari

    viewer = napari.Viewer(title=f"Anisotropy of {results.name}")
    add_layers(viewer, results, every_px=every_px, threshold=threshold)
    return viewer


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of `bin/view_anisotropy.py`."""
    parser = argparse.ArgumentParser(
        prog="view_anisotropy.py",
        description="Look at anisotropy results in napari: image, FA, CL, CP, CS and the directions as vectors. Needs "
        "the viewer extra (make setup EXTRAS=viewer).",
    )
    parser.add_argument("results", type=Path, help="folder with the results, or one of their stores")
    parser.add_argument("--name", help="name of the volume where the folder holds several")
    parser.add_argument("--original", type=Path, help="the image, where it is not found beside the results")
    parser.add_argument("--every", type=int, default=8, help="distance between vectors [voxel] (default: 8)")
    parser.add_argument("--threshold", type=float, default=0.3, help="lowest CP or CL of a vector, 0..1 (default: 0.3)")
    options = parser.parse_args(argv)
    try:
        results = find_results(options.results, name=options.name, original=options.original)
        if importlib.util.find_spec("napari") is None:
            raise PipelineError("napari is not installed; add it with: make setup EXTRAS=viewer")
        viewer = view_anisotropy(results, every_px=options.every, threshold=options.threshold)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    del viewer
    import napari

    napari.run()
