"""Damage recordings at random and put them through the readers and the corrections; run as a program of its own.

``python -m tests.support.damage_recordings FIRST LAST MEGABYTES`` tries the seeds from FIRST to LAST in a process that
may not take more address space than it has and MEGABYTES more. A case is well if it ends within ten CPU seconds with
results or with an error of this package that names a file or a parameter. It prints how many ended which way, as JSON.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np

from linumpy_lib.cli import execute
from linumpy_lib.errors import PipelineError
from linumpy_lib.fusion.steps.correct_view import STEP as CORRECT
from linumpy_lib.fusion.steps.discover_views import STEP as DISCOVER

CPU_SECONDS = 10
WALL_SECONDS = 120
SHAPE = (8, 14, 12)
NAMES = ("raw", "mosquito larva", "a  b", "Ünïcode µm", "quote'd", "(1) [2] {3}", "semi;colon & co", "-dash", "50%")
ENTITIES = (
    '<!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 12))
    + ']><push_config><info dimensions="&a11;"/></push_config>'
)


def recording(root: Path) -> None:
    """Write a small recording of two cameras and two time points."""
    import tifffile

    rng = np.random.default_rng(0)
    depth, height, width = SHAPE
    for camera in range(2):
        root.mkdir(parents=True, exist_ok=True)
        (root / "SPM00").mkdir(exist_ok=True)
        frame = rng.poisson(95, (height, width)).astype(np.uint16)
        compression = "zlib" if camera else None
        tifffile.imwrite(root / "SPM00" / f"Background_{camera}.tif", frame, compression=compression)
        for time in range(2):
            folder = root / "SPM00" / f"TM{time:05d}" / "ANG000"
            folder.mkdir(parents=True, exist_ok=True)
            view = rng.poisson(200, SHAPE).astype("<u2")
            view.tofile(folder / f"SPC00_TM{time:05d}_ANG000_CM{camera}_CHN00_PH0.stack")
            (folder.parent / "ch0.xml").write_text(
                f'<push_config><info data_header="x"/><info dimensions="{width}x{height}x{depth}" z_step="2.0" '
                'camera_index="0, 1" detection_objective="16x/0.8" exposure_time="10"/></push_config>'
            )


def _bytes(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 8)):
        if content:
            content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(bytes(content))


def _cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def _grow(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randint(1, 5000)))


def _noise(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(rng.randint(0, 3000)))


def _remove(path: Path, rng: random.Random) -> None:
    path.unlink()


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def _twice(path: Path, rng: random.Random) -> None:
    shutil.copy(path, path.with_name(path.name.replace("PH0", f"PH{rng.randint(1, 3)}")))


def _as_klb(path: Path, rng: random.Random) -> None:
    from linumpy_lib.io.klb import HEADER
    from linumpy_lib.io.klb_writing import write_klb

    values = np.fromfile(path, "<u2")
    whole = values[: values.size // (14 * 12) * 14 * 12].reshape(-1, 14, 12)
    if not whole.size:
        return
    target = path.with_suffix(".klb")
    write_klb(target, whole, compression=rng.choice(["none", "bzip2", "zlib"]), block=(2, 5, 5), threads=1)
    content = bytearray(target.read_bytes())
    for _ in range(rng.randint(0, 4)):
        # mostly in the header and the table of blocks, where damage does most
        place = rng.randrange(HEADER.size + 200) if rng.random() < 0.7 else rng.randrange(len(content))
        content[min(place, len(content) - 1)] = rng.choice([0, 1, 3, 255, rng.randrange(256)])
    if rng.random() < 0.3:
        content = content[: rng.randrange(len(content))]
    target.write_bytes(bytes(content))
    path.unlink()


def _as_tiff(path: Path, rng: random.Random) -> None:
    import tifffile

    values = np.fromfile(path, "<u2")
    whole = values[: values.size // (14 * 12) * 14 * 12].reshape(-1, 14, 12)
    if not whole.size:
        return
    target = path.with_suffix(".tif")
    tifffile.imwrite(target, whole, compression=rng.choice([None, "zlib"]), photometric="minisblack")
    for _ in range(rng.randint(0, 2)):
        rng.choice([_bytes, _cut])(target, rng)
    path.unlink()


def _as_zarr(path: Path, rng: random.Random) -> None:
    from linumpy_lib.io import write_volume

    values = np.fromfile(path, "<u2")
    whole = values[: values.size // (14 * 12) * 14 * 12].reshape(-1, 14, 12)
    if not whole.size:
        return
    target = path.with_suffix(".ome.zarr")
    write_volume(target, whole.astype(np.uint16), spacing_um=(2, 0.4, 0.4), threads=1)
    files = sorted(p for p in target.rglob("*") if p.is_file())
    for _ in range(rng.randint(0, 2)):
        rng.choice([_bytes, _cut, _remove])(rng.choice([f for f in files if f.exists()] or files), rng)
    path.unlink()


def _xml_text(path: Path, rng: random.Random) -> None:
    text = path.read_text(errors="replace")
    sizes = [
        "1x1x1",
        "16777215x16777215x2147483647",
        "0x0x0",
        "12x14",
        "14x12x8",
        "12x14x8, 13x14x8",
        "-1x2x3",
        "9" * 400,
    ]
    changes: list[Callable[[], str]] = [
        lambda: text.replace("12x14x8", rng.choice(sizes)),
        lambda: text.replace("12x14x8", f"12x14x{rng.randint(0, 99)}"),
        lambda: text.replace("2.0", rng.choice(["", "nan", "inf", "-3", "1e400", "0", "1e-320", "two"])),
        lambda: text.replace("0, 1", rng.choice(["", "1", "7", "0,1,2", "x", "9" * 5000])),
        lambda: text.replace("16x/0.8", rng.choice(["", "0x", "x", "1e9x", "9" * 7 + "x", "16 x"])),
        lambda: ENTITIES,
        lambda: '<!DOCTYPE a SYSTEM "file:///etc/hostname">' + text,
        lambda: "<a>" * 50_000,
        lambda: text.replace("<info", "<other", 2),
        lambda: text + "<!-- " + "x" * 4_100_000 + " -->",
        lambda: "<info " + " ".join(f'a{k}="1"' for k in range(20_000)) + "/>",
    ]
    path.write_text(rng.choice(changes)())
    if rng.random() < 0.1:
        path.write_bytes(path.read_text().encode("utf-16"))


ANY = (_bytes, _cut, _grow, _noise, _remove, _folder, _dangling)
STACKS = (*ANY, _twice, _as_klb, _as_klb, _as_klb, _as_tiff, _as_zarr)
XML = (*ANY, *(_xml_text,) * 8)
OPTIONS: tuple[list[str], ...] = (
    [],
    ["--segment_mode", "2"],
    ["--segment_mode", "0", "--median_kernel", "0"],
    ["--crop_depth", "5", "--crop_left", "3", "--rotation", "1"],
    ["--crop_width", "99"],
    ["--crop_top", "1,2"],
    ["--pixel_spacing_z", "1", "--detection_objective_mag", "16"],
    ["--output_format", "klb"],
    ["--output_format", "tiff", "--zarr_compression", "none"],
    ["--gauss_kernel", "101", "--gauss_sigma", "50"],
    ["--median_kernel", "99,99"],
    ["--background_percentile", "0", "--subsample_factor", "1000000"],
)


def _damage(root: Path, rng: random.Random) -> None:
    for _ in range(rng.randint(0, 3)):
        groups = [(sorted(root.rglob("*.stack")), STACKS), (sorted(root.rglob("ch*.xml")), XML)]
        groups += [(sorted(root.rglob("Background*")), ANY)]
        files, ways = rng.choice(groups)
        files = [path for path in files if path.is_file() and not path.is_symlink()]
        if files:
            rng.choice(ways)(rng.choice(files), rng)
    if rng.random() < 0.05:
        shutil.rmtree(root / "SPM00" / "TM00001")


def try_case(seed: int, folder: Path, *, damage: bool = True) -> str:
    """Damage one recording and correct what is found of it; return how that ended."""
    rng = random.Random(seed)
    root = folder / rng.choice(NAMES)
    recording(root)
    if damage:
        _damage(root, rng)
    out = folder / "the results"
    try:
        execute(DISCOVER, ["--recording", str(root), "--output", str(out), "--name", "r", "--quiet"])
    except PipelineError as error:
        _check(str(error), folder)
        return "refused by discover_views"
    end = "corrected"
    for view in sorted((out / "r_views").glob("*.json")):
        if rng.random() < 0.05:
            rng.choice([_bytes, _cut, _noise])(view, rng)
        words = ["--view", str(view), "--recording", str(root), "--output", str(out), "--name", view.stem]
        try:
            execute(CORRECT, [*words, "--processes", "1", "--quiet", *rng.choice(OPTIONS)])
        except PipelineError as error:
            _check(str(error), folder)
            end = "refused by correct_view"
    if list(out.glob(".*")):
        raise AssertionError(f"left behind: {list(out.glob('.*'))}")
    return end


def _check(message: str, folder: Path) -> None:
    names_file = str(folder) in message
    names_parameter = any(word.removeprefix("--") in message for words in OPTIONS for word in words if word[:2] == "--")
    if not (names_file or names_parameter):
        raise AssertionError(f"names neither file nor parameter: {message}")


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise AssertionError(f"took longer than {CPU_SECONDS} s of a processor or {WALL_SECONDS} s")


def main(first: int, last: int, megabytes: int) -> None:
    """Try the cases, and print the counts."""
    with tempfile.TemporaryDirectory() as folder:
        try_case(0, Path(folder), damage=False)  # compiles, imports
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 1_000_000,) * 2)
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _too_long)
    ends: Counter[str] = Counter()
    for seed in range(first, last):
        with tempfile.TemporaryDirectory() as folder:
            signal.alarm(WALL_SECONDS)
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
            try:
                ends[try_case(seed, Path(folder))] += 1
            except BaseException as error:
                raise RuntimeError(f"case {seed}: {type(error).__name__}: {error}") from error
            finally:
                signal.alarm(0)
                signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(ends))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))
