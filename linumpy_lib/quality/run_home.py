"""Where the report of a published run belongs, and under which name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from linumpy_lib.errors import InputError
from linumpy_lib.io.text_file import read_json
from linumpy_lib.quality.run_order import slice_id

_FOLDERS = ("reconstruct", "fusion", "preprocess", "anisotropy")
_SUFFIX = "_metrics.json"


def report_home(output: Path) -> tuple[Path, str]:
    """Return the folder and the name of the report of a published run.

    Parameters
    ----------
    output : Path
        Output folder of a run.

    Returns
    -------
    folder : Path
        Where the run itself put its report, or would have.
    name : str
        ``<subject>_quality``, or ``fusion`` for the workflow of that name.
    """
    for folder in (output / name for name in _FOLDERS):
        if folder.is_dir():
            if folder.name == "fusion":
                return folder, "fusion"
            older = sorted(folder.glob("*_quality_report.html"))
            return folder, older[0].name.removesuffix(
                "_report.html"
            ) if older else f"{_subject(output, folder)}_quality"
    return output, f"{_subject(output, output)}_quality"


def _subject(output: Path, folder: Path) -> str:
    told = _parameters(output).get("subject_name")
    if isinstance(told, str) and told:
        return told
    names: Counter[str] = Counter()
    for path in sorted([*folder.glob(f"*{_SUFFIX}"), *folder.glob(f"*/*{_SUFFIX}")]):
        step = path.parent.name
        stem = path.name.removesuffix(_SUFFIX)
        if slice_id(stem) is None and "_" in stem and step:
            names[stem.split("_")[0]] += 1
    return names.most_common(1)[0][0] if names else output.resolve().name or "run"


def _parameters(output: Path) -> dict[str, Any]:
    try:
        return read_json(output / "pipeline_info" / "params.json", "run the pipeline again")
    except InputError:
        return {}
