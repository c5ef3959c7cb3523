"""`fuse`: registers and fuses corrected views, from Python; it runs the steps that the pipeline runs."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linumpy_lib.errors import InputError
from linumpy_lib.fusion.config import ProcessingConfig
from linumpy_lib.fusion.parameters.blending import BlendingParameters
from linumpy_lib.fusion.parameters.registration import RegistrationParameters
from linumpy_lib.fusion.parameters.temporal import TemporalParameters
from linumpy_lib.fusion.processor import assigned
from linumpy_lib.fusion.view_array import corrected_views

Key = tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """Two views that are fused: stems of both and of the result, and the folder of its pictures."""

    name: str
    first: str
    second: str
    folder: str
    timepoint: int


def stem(specimen: int, timepoint: int, cameras: Sequence[int], channels: Sequence[int]) -> str:
    """Name of a fused view.

    Examples
    --------
    >>> stem(0, 3, (0, 1), (0,))
    'SPM00_TM000003_CM00_CM01_CHN00'
    """
    words = [f"SPM{specimen:02d}", f"TM{timepoint:06d}"]
    words += [f"CM{camera:02d}" for camera in cameras] + [f"CHN{channel:02d}" for channel in channels]
    return "_".join(words)


def plan_pairs(config: ProcessingConfig, present: set[tuple[int, int, int]]) -> tuple[list[Pair], list[Pair]]:
    """Decide on what is fused: pairs of views, and pairs of fused light sheets (four views).

    Parameters
    ----------
    config : ProcessingConfig
        Pairs of cameras and channels.
    present : set of (int, int, int)
        Time point, camera and channel of the corrected views.

    Returns
    -------
    pairs, fours : list of Pair
        Four views follow from fused channel pairs of both cameras of a pair.

    Raises
    ------
    InputError
        If a pair names a camera or channel that no view has.
    """
    cameras = {camera for _, camera, _ in present}
    channels = {channel for _, _, channel in present}
    sheets = config.fusion_channel_pairs
    couples = config.fusion_camera_pairs or tuple(pair for pair in config.camera_pairs if set(pair) <= cameras)
    for name, there, wanted in (("fusion_camera_pairs", cameras, couples), ("fusion_channel_pairs", channels, sheets)):
        absent = sorted({index for pair in wanted for index in pair} - there)
        if absent:
            raise InputError(f"{name}: {absent} were not recorded; there are {sorted(there)}")
    alone = sorted(channels - {channel for pair in sheets for channel in pair})
    several = len(alone) > 1 or bool(sheets)

    def pair(t: int, of_cameras: Sequence[Key], of_channels: Sequence[Key]) -> Pair:
        whole = [tuple(dict.fromkeys(itertools.chain(*part))) for part in (of_cameras, of_channels)]
        folder = "cam" + "_".join(map(str, whole[0])) + ("_chn" + "_".join(map(str, whole[1])) if several else "")
        one, two = (stem(config.specimen, t, c, h) for c, h in zip(of_cameras, of_channels, strict=True))
        return Pair(stem(config.specimen, t, *whole), one, two, f"TM{t:06d}/{folder}", t)

    pairs, fours = [], []
    for t in sorted({key[0] for key in present}):
        for a, b in sheets:
            pairs += [pair(t, ((c,), (c,)), ((a,), (b,))) for c in sorted(cameras) if {(t, c, a), (t, c, b)} <= present]
        for (a, b), h in itertools.product(couples, alone):
            if {(t, a, h), (t, b, h)} <= present:
                pairs.append(pair(t, ((a,), (b,)), ((h,), (h,))))
        made = {item.name for item in pairs}
        for two, (a, b) in itertools.product(sheets, couples):
            four = pair(t, ((a,), (b,)), (two, two))
            fours += [four] if {four.first, four.second} <= made else []
    return pairs, fours


def fuse(
    config: ProcessingConfig,
    estimate_params: bool = True,
    apply_fusion: bool = True,
    overwrite: bool = False,
    threads: int = 0,
) -> list[Path]:
    """Register and fuse corrected views.

    Parameters
    ----------
    config : ProcessingConfig
        The corrected views lie in `output_dir` (where `process_dataset` writes them), or else in `input_dir`.
    estimate_params : bool
        Register all pairs anew; False takes the registrations that an earlier call left, and those only.
    apply_fusion : bool
        Fuse; False ends after the table of parameters.
    overwrite : bool
        Replace fused views that are there already; False keeps them.
    threads : int
        Threads; 0 takes all processors.

    Returns
    -------
    list of Path
        Stores of the fused views in ``<output_dir>/fused``; of pairs whose registration was refused, the stores that
        hold both views apart. Empty without `apply_fusion`.

    Raises
    ------
    PipelineError
        If there is nothing to fuse, or something is wrong with views, parameters or disk; the message tells what to do.

    Examples
    --------
    >>> fuse(ProcessingConfig(input_dir="recording", fusion_camera_pairs=[(0, 1)]))  # doctest: +SKIP
    """
    stores = _corrected_views(config)
    pairs, fours = plan_pairs(config, set(stores))
    if not pairs:
        raise InputError(
            f"{config.output_dir}: no two views belong together; set fusion_camera_pairs or fusion_channel_pairs"
        )
    by_stem = {path.name.removesuffix(".ome.zarr"): path for path in stores.values()}
    run = _Run(config, threads, overwrite)
    results = run.stage(pairs, by_stem, estimate=estimate_params, apply=apply_fusion)
    if fours and apply_fusion:
        by_stem |= {path.name.removesuffix(".ome.zarr"): path for path in results}
        ready = [four for four in fours if {four.first, four.second} <= set(by_stem)]
        last = run.stage(ready, by_stem, estimate=estimate_params, apply=True) if ready else []
        if config.fusion_4view_only:
            for path in results:
                if any(path.name.removesuffix(".ome.zarr") in (four.first, four.second) for four in ready):
                    shutil.rmtree(path)
            results = [path for path in results if path.is_dir()]
        results += last
    return results


def _corrected_views(config: ProcessingConfig) -> dict[tuple[int, int, int], Path]:
    for folder in (config.output_dir, config.input_dir):
        found = corrected_views(folder) if folder.is_dir() else {}
        chosen = {
            key: path
            for key, path in found.items()
            if path.name.endswith(".ome.zarr")
            and all(
                not wanted or index in wanted
                for index, wanted in zip(key, (config.timepoints, config.cameras, config.channels), strict=True)
            )
        }
        if chosen:
            return chosen
    raise InputError(
        f"{config.output_dir}: holds no corrected views that are selected; run process_dataset with this configuration"
    )


class _Run:
    """Runs the steps of registration and fusion with one configuration."""

    def __init__(self, config: ProcessingConfig, threads: int, overwrite: bool) -> None:
        self.config, self.overwrite = config, overwrite
        self._place = ["--processes", str(threads), "--quiet"]
        self.registrations = config.output_dir / "registrations"
        self.fused = config.output_dir / "fused"

    def stage(self, pairs: Sequence[Pair], stores: dict[str, Path], *, estimate: bool, apply: bool) -> list[Path]:
        """Register pairs, smooth their parameters, fuse them; return the stores."""
        for pair in pairs:
            record = self.registrations / f"{pair.name}_registration.json"
            if estimate:
                self._register(pair, stores)
            elif not record.is_file():
                raise InputError(f"{record}: is not there; call fuse with estimate_params=True first")
        self._smooth()
        return [self._fuse(pair, stores) for pair in pairs] if apply else []

    def _register(self, pair: Pair, stores: dict[str, Path]) -> None:
        from linumpy_lib.cli import execute
        from linumpy_lib.fusion.steps.register_views import STEP

        words = ["--reference", str(stores[pair.first]), "--moving", str(stores[pair.second])]
        words += ["--output", str(self.registrations), "--name", pair.name]
        execute(STEP, [*words, *self._place, *assigned(self.config.part(RegistrationParameters))])

    def _smooth(self) -> None:
        from linumpy_lib.cli import execute
        from linumpy_lib.fusion.steps.smooth_parameters import STEP

        words = ["--registrations", str(self.registrations), "--output", str(self.config.output_dir), "--name", "all"]
        execute(STEP, [*words, *self._place, *assigned(self.config.part(TemporalParameters))])

    def _fuse(self, pair: Pair, stores: dict[str, Path]) -> Path:
        from linumpy_lib.cli import execute
        from linumpy_lib.fusion.steps.fuse_views import STEP

        result = self.fused / f"{pair.name}.ome.zarr"
        if result.is_dir() and not self.overwrite:
            return result
        record = self.config.output_dir / "all_parameters" / f"{pair.name}_registration.json"
        words = ["--reference", str(stores[pair.first]), "--moving", str(stores[pair.second])]
        words += [
            "--registration",
            str(record),
            "--topology",
            str(self.registrations / f"{pair.name}_topology.ome.zarr"),
        ]
        words += ["--output", str(self.fused), "--name", pair.name]
        execute(STEP, [*words, *self._place, *assigned(self.config.part(BlendingParameters))])
        pictures = self.fused / f"{pair.name}_diagnostics"
        if pictures.is_dir():
            place = self.config.diagnostics_dir / pair.folder
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(pictures, place)
        return result if result.is_dir() else self.fused / f"{pair.name}_apart.ome.zarr"
