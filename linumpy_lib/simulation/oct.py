"""Simulated serial-section OCT acquisitions: any volume, cut, scanned and written as raw tiles with exact truth."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from linumpy_lib.errors import OutputError
from linumpy_lib.simulation.oct_parameters import SimulateOctParameters
from linumpy_lib.simulation.oct_plan import plan_acquisition
from linumpy_lib.simulation.oct_render import Optics, render_tile
from linumpy_lib.simulation.raw_tiles import scan_info, tile_folder, write_tile
from linumpy_lib.simulation.truth import SliceTruth, TileTruth, Truth, write_truth
from linumpy_lib.simulation.truth_volume import TruthVolume, truth_volume

PREFIX = "simulate_oct_"


def _write_one(raw: Path, truth: Truth, volume: TruthVolume, item: SliceTruth, tile: TileTruth) -> None:
    value = truth.parameters
    folder = raw / f"z{item.id:02d}" if value["simulate_oct_layout"] == "nested" else raw
    info = scan_info(
        tile_shape=truth.tile_shape,
        spacing_um=truth.spacing_um,
        n_extra=value["simulate_oct_n_extra"],
        n_repeat=value["simulate_oct_n_repeat"],
        focus_px=value["simulate_oct_focus_um"] / truth.spacing_um[0],
        stage_mm=None if truth.stage_xy is None else tile.stage_mm,
    )
    write_tile(folder / tile_folder(tile.x, tile.y, item.id), info, render_tile(truth, volume, item, tile))


def _present(truth: Truth) -> Iterator[tuple[SliceTruth, TileTruth]]:
    for item in truth.slices:
        for tile in item.tiles:
            if not tile.missing:
                yield item, tile


def write_acquisition(
    raw: Path, truth_folder: Path, truth: Truth, volume: TruthVolume, *, threads: int = 1, progress: bool = False
) -> None:
    """Write the tiles and the truth file of a planned acquisition; each thread holds one tile.

    Parameters
    ----------
    raw, truth_folder : Path
        Folders to make for the tiles and for the truth.
    truth : Truth
        The plan.
    volume : TruthVolume
        What the microscope looks at.
    threads : int
        Tiles at the same time; they do not change the bytes.
    progress : bool
        Show a progress bar.
    """
    raw.mkdir(parents=True)
    tiles = list(_present(truth))
    with ThreadPoolExecutor(max(1, threads)) as pool:
        running = {pool.submit(_write_one, raw, truth, volume, item, tile) for item, tile in tiles}
        try:
            from tqdm import tqdm

            with tqdm(total=len(running), unit="tile", disable=not progress) as bar:
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        bar.update()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    write_truth(truth_folder, truth, Optics(truth).arrays())


def simulate_oct(
    truth: Any = None,
    *,
    output: str | Path,
    parameters: SimulateOctParameters | None = None,
    threads: int = 1,
    **choices: object,
) -> Truth:
    """Simulate a serial-section OCT acquisition on disk.

    Parameters
    ----------
    truth : array_like or Volume, optional
        What is cut and scanned (z, y, x); by default a procedural brain. An array needs ``truth_spacing_um``.
    output : path-like
        Folder to make: ``raw/`` gets the tiles, ``truth/`` what :func:`linumpy_lib.simulation.truth.read_truth` reads.
    parameters : SimulateOctParameters, optional
        Instrument and effects.
    threads : int
        Tiles at the same time.
    **choices
        Single parameters by name, the prefix ``simulate_oct_`` left out.

    Returns
    -------
    Truth
        What every effect did.

    Raises
    ------
    ParameterError
        If a parameter is unknown or not allowed.
    InputError
        If the truth cannot be used.
    OutputError
        If the output folder is there already.

    Examples
    --------
    >>> truth = simulate_oct(output="acquisition", slices=2, noise=0)  # doctest: +SKIP
    >>> truth.slice(1).drift_xy_um  # doctest: +SKIP
    (12.3, -4.5)
    """
    base = (parameters or SimulateOctParameters()).model_dump()
    chosen = SimulateOctParameters.parse({**base, **{f"{PREFIX}{name}": value for name, value in choices.items()}})
    output = Path(output).absolute()
    if output.exists() and any(output.iterdir()):
        raise OutputError(f"{output}: exists and is not empty; give a new folder")
    volume = truth_volume(truth, chosen)
    plan = plan_acquisition(chosen, volume.description())
    unfinished = output.with_name(f".{output.name}.{os.getpid()}.unfinished")
    try:
        write_acquisition(unfinished / "raw", unfinished / "truth", plan, volume, threads=threads)
        os.replace(unfinished, output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return plan
