"""A published run made by hand: figures, pictures and tables of ten slices, as `generate_report` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from linumpy_lib.cli import execute
from linumpy_lib.quality.steps.generate_report import STEP
from linumpy_lib.quality.thresholds import judge


def figure(name: str, value: Any, unit: str = "") -> dict[str, Any]:
    return {"value": value, "unit": unit, **judge(name, value)}


def add_task(
    folder: Path,
    step: str,
    name: str,
    figures: dict[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    **more: Any,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_{step}_metrics.json"
    document = {
        "step": step,
        "name": name,
        "device": "cpu",
        "metrics": figures or {},
        "notes": list(notes),
        "resources": {"wall_s": 2.0, "cpu_s": 3.5, "peak_rss_mb": 250.0, "threads": 2, "device": "cpu"},
        "provenance": {
            "version": "0.1.0",
            "code": "0123456789abcdef",
            "libraries": {"numpy": "2.4.6"},
            "parameters": {},
        },
    }
    path.write_text(json.dumps({**document, **more}))
    return path


def add_picture(path: Path, shape: tuple[int, int] = (60, 90)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def published_run(root: Path, *, note: str = "seen once") -> Path:
    """Slice 0 excluded, 1 to 4 used, 5 interpolated, 6 and 7 gaps, 8 failed, 9 used."""
    home = root / "reconstruct"
    for number in (1, 2, 3, 4, 8, 9):
        name = f"z{number:02d}"
        add_task(home / "crop_interface", "crop_interface", name, {"depth": figure("depth", 40 + number, "um")})
        add_picture(home / "previews" / "crop_interface" / f"{name}_crop_interface_preview.png")
        if number != 8:
            turn = {"rotation_degrees": figure("rotation_degrees", -0.3 * number, "deg")}
            turn["translation_x"] = figure("translation_x", 1.5, "px")
            add_task(home / "register_pairwise", "register_pair", name, turn, (note,) if number == 3 else ())
    add_task(home / "stack", "stack_slices", "mouse", {"z_offset_std": figure("z_offset_std", 2.0, "px")})
    add_picture(home / "stack" / "mouse.png", (700, 900))
    (home / "slice_config_final.csv").write_text(
        "slice_id,use,exclude_reason,notes,auto_excluded,auto_exclude_reason,interpolated,interpolation_failed,"
        "interpolation_method_used,interpolation_fallback_reason\n"
        "00,false,calibration_slice,,,,false,false,,\n01,true,,,,,false,false,,\n02,true,,,,,false,false,,\n"
        "03,true,,,true,bad run,false,false,,\n04,true,,,,,false,false,,\n05,false,missing,,,,true,false,zmorph,\n"
        "06,false,missing,,,,false,true,,ncc too low\n07,false,missing,,,,false,true,,\n08,true,,,,,,,,\n"
        "09,true,,odd colour,,,false,false,,\n"
    )
    (home / "bring_to_common_space").mkdir()
    (home / "bring_to_common_space" / "common_space.csv").write_text(
        "slice_id,status,y_um,x_um,step_reliable,reason\n00,excluded,,,,calibration_slice\n"
        + "".join(f"{n:02d},used,{n}.5,{2 * n}.0,true,\n" for n in (1, 2, 3, 4, 9))
        + "05,missing,,,,\n06,missing,,,,\n07,missing,,,,\n08,missing,,,,\n"
    )
    info = root / "pipeline_info"
    info.mkdir()
    (info / "params.json").write_text(json.dumps({"workflow": "preprocess,reconstruct", "subject_name": "mouse"}))
    (info / "versions.json").write_text(json.dumps({"nextflow": "24.10.0", "pipeline": "0.1.0", "steps": {}}))
    return root


def make_report(output: Path) -> Path:
    """Make the report of a run beside it; return the page."""
    place = output.parent / "made"
    execute(STEP, [str(output), "--output", str(place), "--name", "mouse_quality"])
    return place / "mouse_quality_report.html"
