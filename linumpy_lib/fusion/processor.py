"""`IsoviewProcessor` and `process_dataset`: the corrections of a whole recording, from Python.

They run the steps that the pipeline runs, one view after the other, with the same parameters and the same results.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.config import ProcessingConfig
from linumpy_lib.fusion.discovery import RawView, discover
from linumpy_lib.fusion.parameters.correction import CorrectionParameters
from linumpy_lib.fusion.parameters.selection import SelectionParameters
from linumpy_lib.fusion.recording_plan import RecordingPlan, plan_recording
from linumpy_lib.params import Parameters, flags


def assigned(parameters: Parameters) -> list[str]:
    """Return the words ``--name=value`` of a parameter object; values may begin with a minus."""
    words = flags(parameters)
    return [f"{name}={value}" for name, value in zip(words[::2], words[1::2], strict=True)]


class IsoviewProcessor:
    """Corrects the views of a recording.

    Parameters
    ----------
    config : ProcessingConfig
        Where the recording lies, where results go, and every parameter.
    threads : int
        Threads for each view; 0 takes all processors.

    Attributes
    ----------
    plan : RecordingPlan
        Views, pairs and groups of masks.
    metadata : dict
        What the XML files of the recording agree on.
    camera_metadata : dict of int to dict
        What differs, by camera.

    Raises
    ------
    InputError
        If the folder holds no recording, or not what was selected.

    Examples
    --------
    >>> processor = IsoviewProcessor(ProcessingConfig(input_dir="recording"))  # doctest: +SKIP
    >>> processor.process_timepoint(0)  # doctest: +SKIP
    """

    def __init__(self, config: ProcessingConfig, threads: int = 0) -> None:
        self.config, self.threads = config, threads
        selection = config.part(SelectionParameters)
        self.plan: RecordingPlan = plan_recording(discover(config.input_dir, selection), selection)
        from linumpy_lib.fusion.xml_metadata import merge_metadata

        parts = {json.dumps(view.metadata, sort_keys=True): view.metadata for view in self.plan.views}
        self.metadata, self.camera_metadata = merge_metadata(list(parts.values()))

    @property
    def timepoints(self) -> list[int]:
        """Selected time points."""
        return sorted({view.timepoint for view in self.plan.views})

    def process(self) -> list[Path]:
        """Correct all time points; with segment_mode 2 or 3 make the global mask first.

        Returns
        -------
        list of Path
            Stores of the corrected views, or of the masks with segment_mode 2.
        """
        mode = self.config.segment_mode
        if mode == 2 or (mode == 3 and not all(self.global_mask(frame[0]).is_dir() for frame in self.plan.frames)):
            masks = self.make_global_mask()
            if mode == 2:
                return masks
        return [path for timepoint in self.timepoints for path in self.process_timepoint(timepoint)]

    def global_mask(self, camera: int) -> Path:
        """Store of the global mask of a camera and the ones that face it."""
        return self.config.global_mask_dir / f"{self.plan.global_mask(camera)}_mask.ome.zarr"

    def make_global_mask(self) -> list[Path]:
        """Join the masks of all views into the global one; one for each axis that cameras look along."""
        from linumpy_lib.cli import execute
        from linumpy_lib.fusion.steps.join_masks import STEP

        folder = self.config.global_mask_dir
        for frame in self.plan.frames:
            views = [view for view in self.plan.views if view.camera in frame]
            masks = [self._correct(view, folder / "single", mode=2)[0] for view in views]
            name = self.plan.global_mask(frame[0])
            execute(STEP, ["--masks", *map(str, masks), "--output", str(folder), "--name", name, *self._place()])
            shutil.rmtree(folder / "single")
        return [self.global_mask(frame[0]) for frame in self.plan.frames]

    def process_timepoint(self, timepoint: int) -> list[Path]:
        """Correct all views of one time point, into ``<output_dir>/TM000000``.

        Raises
        ------
        InputError
            If the time point was not recorded or selected, or the global mask is not there yet.
        """
        views = [view for view in self.plan.views if view.timepoint == timepoint]
        if not views:
            raise InputError(f"{self.config.input_dir}: has no time point {timepoint}; there are {self.timepoints}")
        folder = self.config.output_dir / f"TM{timepoint:06d}"
        if self.config.segment_mode == 3:
            masks = [self.global_mask(view.camera) for view in views]
            absent = [mask for mask in masks if not mask.is_dir()]
            if absent:
                raise InputError(f"{absent[0]}: is not there; call make_global_mask or process first")
            results = [self._correct(view, folder, masks=[m])[0] for view, m in zip(views, masks, strict=True)]
        elif self.config.segment_mode == 1 and self.plan.mask_groups:
            results = self._by_groups(views, folder)
        else:
            results = [self._correct(view, folder)[0] for view in views]
        for path in results:
            self._export_projections(path)
        return results

    def _by_groups(self, views: Sequence[RawView], folder: Path) -> list[Path]:
        results: list[Path] = []
        grouped = {c for group in self.plan.mask_groups for part in group.values() for c in part}
        for camera in sorted({view.camera for view in views}):
            own = {view.channel: view for view in views if view.camera == camera}
            for group in self.plan.mask_groups:
                members = [own[c] for c in group["reference"] if c in own]
                if not members:
                    continue
                single = folder / "single"
                masks = [self._correct(view, single, mode=2)[0] for view in members]
                for channel in (*group["reference"], *group["dependent"]):
                    if channel in own:
                        results += self._correct(own[channel], folder, masks=masks)
                shutil.rmtree(single)
            results += [self._correct(view, folder)[0] for c, view in own.items() if c not in grouped]
        return sorted(results)

    def _correct(
        self, view: RawView, folder: Path, *, masks: Iterable[Path] = (), mode: int | None = None
    ) -> list[Path]:
        from linumpy_lib.cli import execute
        from linumpy_lib.fusion.steps.correct_view import STEP

        parameters = self.config.part(CorrectionParameters)
        if mode is not None:
            parameters = parameters.model_copy(update={"segment_mode": mode})
        folder.mkdir(parents=True, exist_ok=True)
        document = folder / f"{view.stem}.json"
        document.write_text(json.dumps(view.as_json(self.config.input_dir), indent=1) + "\n", encoding="utf-8")
        words = ["--view", str(document), "--recording", str(self.config.input_dir), "--output", str(folder)]
        given = [str(path) for path in masks]
        results = execute(
            STEP,
            [
                *words,
                "--name",
                view.stem,
                *(["--mask", *given] if given else []),
                *self._place(),
                *assigned(parameters),
            ],
        )
        return [path for path in results if path.name.endswith(".ome.zarr")]

    def _place(self) -> list[str]:
        return ["--processes", str(self.threads), "--quiet"]

    def _export_projections(self, store: Path) -> None:
        """Write the projections as pictures too, into `projection_dir`."""
        import tifffile

        from linumpy_lib.fusion.view_store import PROJECTIONS, read_plane

        folder = self.config.projection_dir / store.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        stem = store.name.removesuffix(".ome.zarr")
        for name in PROJECTIONS:
            plane = read_plane(store, "projections", name)
            tifffile.imwrite(folder / f"{stem}.{name}Projection.tif", plane, photometric="minisblack")


def process_dataset(config: ProcessingConfig, threads: int = 0) -> list[Path]:
    """Correct all views of a recording.

    Parameters
    ----------
    config : ProcessingConfig
        Where the recording lies, where results go, and every parameter.
    threads : int
        Threads for each view; 0 takes all processors.

    Returns
    -------
    list of Path
        Stores of the corrected views.

    Raises
    ------
    PipelineError
        If something is wrong with the recording, the parameters or the disk; the message tells what to do.

    Examples
    --------
    >>> process_dataset(ProcessingConfig(input_dir="recording", timepoints=[0]))  # doctest: +SKIP
    """
    return IsoviewProcessor(config, threads).process()
