"""Metadata documents of the stores that this package writes: Zarr v3 and OME-Zarr 0.5, equal inputs to equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from linumpy_lib import __version__
from linumpy_lib.errors import ParameterError
from linumpy_lib.io.layout import LevelPlan
from linumpy_lib.io.ngff import ATTRIBUTE
from linumpy_lib.io.shards import codec_documents

NGFF_VERSION = "0.5"
_AXIS_TYPES = {"t": "time", "c": "channel"}


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write one ``zarr.json``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def check_provenance(provenance: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `provenance` as plain JSON data.

    Raises
    ------
    ParameterError
        If it holds something that JSON cannot say.
    """
    try:
        data: dict[str, Any] = json.loads(json.dumps(dict(provenance or {}), allow_nan=False, sort_keys=True))
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"provenance: not plain JSON data ({error}); use strings, numbers, lists and dicts"
        ) from None
    return data


def array_document(plan: LevelPlan, lead: Sequence[int], axes: str, dtype: np.dtype[Any], codec: str) -> dict[str, Any]:
    """``zarr.json`` of one level; leading (t, c) axes have chunks and shards of one."""
    ones = [1] * len(lead)
    sharding = {
        "chunk_shape": [*ones, *plan.chunks],
        "codecs": codec_documents(codec, dtype),
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*lead, *plan.shape],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*ones, *plan.shards]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0 if dtype.kind == "f" else 0,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": list(axes),
        "attributes": {},
        "storage_transformers": [],
    }


def exact(value: float) -> float:
    """Drop the last digits of a product of spacings, so that 0.1 + 0.2 is written as 0.3."""
    return float(f"{value:.12g}")


def image_document(
    name: str,
    axes: str,
    plans: Sequence[LevelPlan],
    origin_um: Sequence[float],
    method: str,
    omero: Mapping[str, Any],
    kind: str,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """``zarr.json`` of the image group; the first voxel's centre moves by half a voxel as levels get coarser.

    With method ``"sample"`` it does not move: each coarser voxel is the first of those that it stands for.
    """
    lead = len(axes) - 3
    datasets = []
    for level, plan in enumerate(plans):
        centre = [
            exact(o if method == "sample" else o + (s - b) / 2)
            for o, s, b in zip(origin_um, plan.spacing_um, plans[0].spacing_um, strict=True)
        ]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0] * lead + [exact(s) for s in plan.spacing_um]},
                    {"type": "translation", "translation": [0.0] * lead + centre},
                ],
            }
        )
    image = {
        "name": name,
        "axes": [
            {"name": axis, "type": _AXIS_TYPES[axis]}
            if axis in _AXIS_TYPES
            else {"name": axis, "type": "space", "unit": "micrometer"}
            for axis in axes
        ],
        "datasets": datasets,
        "type": method,
    }
    if "t" in axes:
        image["axes"][0]["unit"] = "second"  # type: ignore[index]
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {
            "ome": {"version": NGFF_VERSION, "multiscales": [image], "omero": omero},
            ATTRIBUTE: {"version": __version__, "complete": True, "kind": kind, "provenance": provenance},
        },
    }
