"""A simulated recording on disk, as the acquisition software of an IsoView microscope writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from linumpy_lib.simulation.multiview import MultiviewScene

TRUTH_FILE = "truth.json"
SPECIMEN = 0


def stack_name(timepoint: int, camera: int, channel: int, specimen: int = SPECIMEN) -> str:
    """Name of a raw stack."""
    return f"SPC{specimen:02d}_TM{timepoint:05d}_ANG000_CM{camera}_CHN{channel:02d}_PH0.stack"


def stack_path(timepoint: int, camera: int, channel: int, specimen: int = SPECIMEN) -> Path:
    """Place of a raw stack inside the recording."""
    folder = Path(f"SPM{specimen:02d}") / f"TM{timepoint:05d}" / "ANG000"
    return folder / stack_name(timepoint, camera, channel, specimen)


def channel_xml(scene: MultiviewScene, timepoint: int, channel: int, shapes: dict[int, tuple[int, ...]]) -> str:
    """Metadata of one channel: attributes spread over several info elements, sizes of its cameras in their order."""
    cameras = [camera for camera in scene.cameras if camera in shapes]
    sizes = ", ".join("x".join(str(n) for n in reversed(shapes[camera])) for camera in cameras)
    magnification = f"{scene.parameters.simulate_multiview_magnification:g}"
    lines = [
        ("data_header", "simulated"),
        ("specimen_name", "nuclei"),
        ("time_point", str(timepoint)),
        ("angle", "0.0"),
        ("camera_index", ",".join(str(camera) for camera in cameras)),
        ("camera_type", "C11440-22C"),
        ("wavelength", "488"),
        ("illumination_arms", str(channel + 1)),
        ("exposure_time", "20.0"),
        ("detection_filter", "525/50"),
        ("dimensions", sizes),
        ("z_step", repr(float(scene.spacing_um[0]))),
        ("detection_objective", ", ".join([f"SpecialOptics {magnification}x/0.70"] * len(cameras))),
    ]
    body = "".join(f'  <info {name}="{value}"/>\n' for name, value in lines)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<push_config>\n{body}</push_config>\n'


def write_recording(scene: MultiviewScene, raw: Path, truth_folder: Path, *, progress: bool = False) -> None:
    """Write the stacks, XML files and dark frames of a scene, and ``truth.json``; one view is held at a time.

    Parameters
    ----------
    scene : MultiviewScene
        What is recorded.
    raw, truth_folder : Path
        Folders to make.
    progress : bool
        Show a progress bar.
    """
    import tifffile
    from tqdm import tqdm

    specimen = raw / f"SPM{SPECIMEN:02d}"
    specimen.mkdir(parents=True)
    truth_folder.mkdir(parents=True)
    for camera in scene.cameras:
        tifffile.imwrite(specimen / f"Background_{camera}.tif", scene.background(camera))
    known: list[dict[str, Any]] = []
    shapes: dict[tuple[int, int], dict[int, tuple[int, ...]]] = {}
    for key in tqdm(list(scene.keys()), unit="view", disable=not progress):
        view = scene.view(*key)
        path = stack_path(*key)
        (raw / path).parent.mkdir(parents=True, exist_ok=True)
        little_endian: npt.NDArray[np.uint16] = view.volume.astype("<u2", copy=False)
        little_endian.tofile(raw / path)
        shapes.setdefault((view.timepoint, view.channel), {})[view.camera] = view.volume.shape
        known.append(
            {
                "timepoint": view.timepoint,
                "camera": view.camera,
                "channel": view.channel,
                "file": path.as_posix(),
                "shape": list(view.volume.shape),
                "shift_zyx_px": list(view.shift_zyx_px),
                "rotation_deg": view.rotation_deg,
                "gain": view.gain,
                "truth_from_view": view.truth_from_view.tolist(),
            }
        )
    for (timepoint, channel), sizes in shapes.items():
        folder = specimen / f"TM{timepoint:05d}"
        text = channel_xml(scene, timepoint, channel, sizes)
        (folder / f"ch{channel}.xml").write_text(text, encoding="utf-8")
    document = {
        "format": "linumpy-multiview-truth",
        "version": 1,
        "parameters": dict(sorted(scene.parameters.model_dump().items())),
        "shape": list(scene.truth.shape),
        "spacing_um": list(scene.spacing_um),
        "timepoints": scene.timepoints,
        "views": known,
        "dead_pixels": {str(camera): scene.sensor(camera).stuck() for camera in scene.cameras},
    }
    (truth_folder / TRUTH_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
