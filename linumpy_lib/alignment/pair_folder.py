"""The folder that a registered pair leaves: transform, matching planes and figures, as other programs read them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from linumpy_lib.alignment.pair import PairResult
from linumpy_lib.alignment.rigid import Rigid, read_tfm, write_tfm
from linumpy_lib.errors import InputError
from linumpy_lib.io.text_file import read_json, read_text
from linumpy_lib.quality.thresholds import judge
from linumpy_lib.step import Status

TRANSFORM = "transform.tfm"
OFFSETS = "offsets.txt"
FIGURES = "pairwise_registration_metrics.json"

_ORDER: tuple[Status, ...] = ("info", "ok", "warning", "error")
_ID = re.compile(r"slice_z(\d+)")


@dataclass(frozen=True)
class PairRecord:
    """What stacking knows of a registered pair.

    Attributes
    ----------
    fixed_id, moving_id : int
        The slices.
    motion : Rigid
        From fixed to moving voxels.
    fixed_plane, moving_plane : int
        Planes that show the same depth.
    fine_offset : float
        Fixed minus moving plane with a fraction.
    correlation : float or None
        How alike matched planes are; None if nobody measured it.
    confidence : float
        0 to 1.
    status : {"ok", "warning", "error"}
        Whether the registration can be believed; how far it moves the slice does not matter.
    depth_found : bool
        Whether the planes were found in the images, rather than expected.
    source : str
        ``automated``, ``manual`` or ``manual_refined``.
    translation_px : float or None
        Length of the translation beyond the canvas positions; None if the figures do not tell it.
    overlaps : bool
        Whether the slices share a depth.
    """

    fixed_id: int
    moving_id: int
    motion: Rigid
    fixed_plane: int
    moving_plane: int
    fine_offset: float
    correlation: float | None
    confidence: float
    status: str
    depth_found: bool = True
    source: str = "automated"
    translation_px: float | None = None
    overlaps: bool = True


def reliability(result: PairResult) -> Literal["ok", "warning", "error"]:
    """Judge whether a registration can be believed; a slice that lies far off is no reason to doubt it."""
    worst: Status = "ok"
    for name, value in (("z_correlation", result.correlation), ("registration_confidence", result.confidence)):
        worst = max(worst, judge(name, value)["status"], key=_ORDER.index)
    # slices that share no depth cannot match in depth; their confidence is lower for that
    if (result.overlaps and not result.depth_found) or result.refused:
        worst = max(worst, "warning", key=_ORDER.index)
    return "error" if worst == "error" else "warning" if worst == "warning" else "ok"


def figures(result: PairResult) -> dict[str, tuple[float | int | str, str, str]]:
    """Figures of a registration: value, unit and description by name."""
    moved = result.correction
    return {
        "fixed_id": (result.fixed_id, "", "slice that stays"),
        "moving_id": (result.moving_id, "", "slice that is moved"),
        "translation_x": (_rounded(moved.shift[1]), "px", "beyond the canvas positions, along x"),
        "translation_y": (_rounded(moved.shift[0]), "px", "beyond the canvas positions, along y"),
        "translation_magnitude": (_rounded(moved.length), "px", "length of the translation"),
        "rotation": (_rounded(moved.angle_deg), "deg", "rotation about the centre, x towards y"),
        "z_drift": (_rounded(result.fine_offset - result.expected), "planes", "matching depth, found minus expected"),
        "z_correlation": (_rounded(result.correlation), "", "correlation of the averaged matched planes"),
        "plane_correlation": (_rounded(result.depth_correlation), "", "mean correlation of single matched planes"),
        "z_sharpness": (_rounded(result.sharpness), "", "plane_correlation above the median of all depths tried"),
        "registration_confidence": (_rounded(result.confidence), "", "0 to 1"),
        "registration_error": (_rounded(1 - result.correlation), "", "1 - z_correlation"),
        "start_correlation": (_rounded(result.start_correlation), "", "z_correlation at the best start"),
        "best_z_offset": (result.offset, "planes", "fixed plane minus moving plane"),
        "fine_z_offset": (_rounded(result.fine_offset), "planes", "best_z_offset with a fraction"),
        "expected_z_offset": (_rounded(result.expected), "planes", "what the cutting interval tells"),
        "start": (result.start, "", "what the refinement started from"),
        "overlaps": (int(result.overlaps), "", "1 if the slices share a depth"),
        "depth_found": (int(result.depth_found), "", "1 if the depth was found in the images"),
        "refused": (int(result.refused), "", "1 if a result beyond the bounds was refused"),
    }


def _rounded(value: float) -> float:
    return round(float(value), 6)


def write_pair(folder: Path, result: PairResult, status: str) -> None:
    """Write the folder of a pair.

    Parameters
    ----------
    folder : Path
        Folder to make.
    result : PairResult
        The registration.
    status : {"ok", "warning", "error"}
        Whether it can be believed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tfm(folder / TRANSFORM, result.motion)
    (folder / OFFSETS).write_text(f"{result.fixed_plane}\n{result.moving_plane}\n", encoding="utf-8")
    entries = {}
    for name, (value, unit, description) in figures(result).items():
        # how far a slice had to be moved is information; whether it can be believed is overall_status
        about = judge(name, value)["status"] if name in ("z_correlation", "registration_confidence") else "info"
        entries[name] = {"value": value, "unit": unit, "description": description, "status": about}
    document = {
        "step_name": "pairwise_registration",
        "overall_status": status,
        "source": result.source,
        "metrics": entries,
        "warnings": [],
        "errors": [],
    }
    (folder / FIGURES).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_pair(folder: Path) -> PairRecord:
    """Read the folder of a pair, of this program or another.

    Raises
    ------
    InputError
        If a file is absent or malformed.
    """
    motion = read_tfm(folder / TRANSFORM)
    fixed_plane, moving_plane = _read_offsets(folder / OFFSETS)
    path = folder / FIGURES
    try:
        document = read_json(path, "register the pair again")
        metrics = document["metrics"]
        values = {name: entry["value"] if isinstance(entry, Mapping) else entry for name, entry in metrics.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no readable figures of a pair ({error!r}); register the pair again") from None
    ids = _ids(folder, values)
    correlation = _number(path, values, "z_correlation", None)
    source = str(document.get("source", "automated"))
    trusted = source.startswith("manual")
    trust = _number(path, values, "registration_confidence", 1.0 if trusted else 0.5)
    fine = _number(path, values, "fine_z_offset", float(fixed_plane - moving_plane))
    status = document.get("overall_status", "ok")
    if status not in ("ok", "warning", "error", "info"):
        raise InputError(f"{path}: overall_status '{status}' is unknown; write ok, warning or error")
    return PairRecord(
        *ids,
        motion,
        fixed_plane,
        moving_plane,
        fine if fine is not None else float(fixed_plane - moving_plane),
        correlation,
        min(1.0, max(0.0, trust if trust is not None else 0.5)),
        "ok" if status == "info" else str(status),
        bool(_number(path, values, "depth_found", 1.0)),
        source,
        _number(path, values, "translation_magnitude", None),
        bool(_number(path, values, "overlaps", 1.0)),
    )


def pair_folders(paths: Sequence[Path]) -> list[Path]:
    """Folders of pairs among the given ones, or directly inside them."""
    found: list[Path] = []
    for path in paths:
        found += [path] if (path / FIGURES).exists() else sorted(p.parent for p in path.glob(f"*/{FIGURES}"))
    return found


def _number(path: Path, values: Mapping[str, Any], name: str, default: float | None) -> float | None:
    value = values.get(name, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{path}: {name} is {value!r}; a finite number belongs there")
    return float(value)


def _ids(folder: Path, values: Mapping[str, Any]) -> tuple[int, int]:
    """Return the ids of a pair; where the figures do not tell, the folder's name does, and -1 is the slice before."""
    found = _ID.search(folder.name)
    moving = values.get("moving_id", int(found[1]) if found else None)
    if not isinstance(moving, int) or moving < 0:
        raise InputError(f"{folder}: tells no slice; name it slice_z<id>… or write moving_id into {FIGURES}")
    fixed = values.get("fixed_id", -1)
    return (fixed if isinstance(fixed, int) else -1), moving


def _read_offsets(path: Path) -> tuple[int, int]:
    try:
        numbers = [float(word) for word in read_text(path, "register the pair again").split()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no readable pair of planes ({error}); register the pair again") from None
    if len(numbers) != 2 or not all(n.is_integer() and n >= 0 for n in numbers):
        raise InputError(f"{path}: needs two whole numbers, the matching planes of the fixed and the moving slice")
    return int(numbers[0]), int(numbers[1])
