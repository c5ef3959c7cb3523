"""Storage: the write path against tensorstore, and whole stores with five levels against ome-zarr's writer.

python -m bench.bench_storage [--quick] [--json results.json] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import Measurement, measure, write_json

_CHUNK, _SHARD = 64, 256


def shot_noise_volume(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Smooth texture and bright blobs with shot noise, uint16: compresses about 2.3-fold, as real stacks do."""
    from scipy.ndimage import gaussian_filter, zoom

    rng = np.random.default_rng(seed)
    small = tuple(max(8, n // 16) for n in shape)
    texture = gaussian_filter(rng.normal(size=small), 1.5, mode="wrap")
    blobs = np.zeros(small)
    blobs[tuple(rng.integers(0, n, 60) for n in small)] = 1
    blobs = gaussian_filter(blobs, 1.0, mode="wrap")
    mean = 400 + 150 * texture / texture.std() + 2500 * blobs / blobs.max()
    out = np.empty(shape, np.uint16)
    step = 64
    full = zoom(mean, [1, shape[1] / small[1], shape[2] / small[2]], order=1)
    for z in range(0, shape[0], step):
        position = np.arange(z, min(z + step, shape[0])) / shape[0] * (small[0] - 1)
        low = np.floor(position).astype(int)
        part = (position - low)[:, None, None]
        plane = full[low] * (1 - part) + full[np.minimum(low + 1, small[0] - 1)] * part
        out[z : z + step] = rng.poisson(np.clip(plane, 5, None)).astype(np.uint16)
    return out


def prepare(path: str, shape: list[int]) -> None:
    """Write the source store that the conversions read (same chunks and shards, one level)."""
    from linumpy_lib.io import write_volume

    volume = shot_noise_volume((shape[0], shape[1], shape[2]))
    np.save(f"{path}.npy", volume)
    write_volume(f"{path}.zarr", volume, spacing_um=(2, 2, 2), levels=1, chunks=_CHUNK, shards=_SHARD)


# ------------------------------------------------------------------ write path, source in memory


def load_only(source: str, target: str) -> None:
    """Cost that every writer below shares: start, NumPy, and the array in memory."""
    np.load(f"{source}.npy").max()


def write_own(source: str, target: str) -> None:
    from linumpy_lib.io import VolumeWriter

    volume = np.load(f"{source}.npy")
    volume.max()
    with VolumeWriter(
        target, shape=volume.shape, dtype=volume.dtype, spacing_um=(2, 2, 2), levels=1, chunks=_CHUNK, shards=_SHARD
    ) as writer:
        for region in writer.regions():
            writer.write(region, volume[region])


def write_tensorstore(source: str, target: str) -> None:
    import tensorstore

    volume = np.load(f"{source}.npy")
    volume.max()
    blosc = {"typesize": 2, "cname": "zstd", "clevel": 3, "shuffle": "bitshuffle", "blocksize": 0}
    inner = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "blosc", "configuration": blosc}]
    sharding = {
        "chunk_shape": [_CHUNK] * 3,
        "codecs": [*inner, {"name": "crc32c"}],
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
    }
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": target},
        "context": {"file_io_sync": False},
        "create": True,
        "metadata": {
            "shape": list(volume.shape),
            "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [_SHARD] * 3}},
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        },
    }
    store: Any = tensorstore.open(spec).result()
    store.write(volume).result()


# ------------------------------------------------------------------ store to store, five levels


def convert_own(source: str, target: str) -> None:
    from linumpy_lib.io import open_volume, write_volume

    write_volume(target, open_volume(f"{source}.zarr"), levels=5, chunks=_CHUNK, shards=_SHARD)


def convert_ome_zarr(source: str, target: str) -> None:
    import warnings

    import dask.array
    import zarr
    from ome_zarr.writer import write_image

    warnings.simplefilter("ignore")
    volume = dask.array.from_zarr(zarr.open_array(f"{source}.zarr/0", mode="r"), chunks=(_SHARD,) * 3)
    write_image(
        volume,
        zarr.open_group(target, mode="w", zarr_format=3),
        axes="zyx",
        scale={"z": 2.0, "y": 2.0, "x": 2.0},
        axes_units=dict.fromkeys("zyx", "micrometer"),
        scale_factors=[dict.fromkeys("zyx", 2**k) for k in range(1, 5)],
        storage_options={"chunks": (_CHUNK,) * 3, "shards": (_SHARD,) * 3},
    )


def seams(source: str, target: str, level: str) -> dict[str, float]:
    """Error of level 1 against the exact mean: beside the faces of the blocks, elsewhere, and on average."""
    import zarr

    fine: Any = zarr.open_array(f"{source}.zarr/0", mode="r")
    coarse: Any = zarr.open_array(f"{target}/{level}", mode="r")
    size = min(160, *coarse.shape)
    box = (slice(0, size),) * 3
    exact = fine[tuple(slice(0, 2 * size) for _ in range(3))].astype(np.float64)
    exact = exact.reshape(size, 2, size, 2, size, 2).mean((1, 3, 5))
    error = coarse[box] - exact
    face = np.zeros(error.shape, bool)
    for axis in range(3):
        at = np.arange(size) % (_SHARD // 2)
        shape = [-1 if k == axis else 1 for k in range(3)]
        face |= ((at == 0) | (at == _SHARD // 2 - 1)).reshape(shape)
    return {
        "rms_at_faces": float(np.sqrt((error[face] ** 2).mean())),
        "rms_elsewhere": float(np.sqrt((error[~face] ** 2).mean())),
        "max_error": float(np.abs(error).max()),
        "mean_offset": float(error.mean()),
    }


def _row(name: str, cost: Measurement, folder: Path, **more: Any) -> dict[str, Any]:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6 if folder.exists() else 0.0
    row = {"what": name, "wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb, "stored_mb": size, **more}
    print(
        f"{name:44s} {cost.wall_s:7.2f} {cost.cpu_s:7.2f} {cost.peak_mb:8.0f} {size:8.1f}  "
        + "  ".join(f"{key} {value:.3g}" for key, value in more.items()),
        flush=True,
    )
    return row


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small volumes, one repetition")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--no-peers", action="store_true", help="skip ome-zarr")
    arguments = parser.parse_args()
    repeat = 1 if arguments.quick else arguments.repeat
    base = [128, 128, 128] if arguments.quick else [512, 512, 512]
    large = [256, 256, 128] if arguments.quick else [1024, 1024, 512]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench_storage_") as name:
        folder = Path(name)

        def run(source: str, *functions: str) -> list[Measurement]:
            """Minimum over interleaved passes, so that other load on the machine hits all alike."""
            best: dict[str, Measurement] = {}
            for _ in range(repeat):
                for function in functions:
                    target = folder / f"{function}.zarr"
                    shutil.rmtree(target, ignore_errors=True)
                    paths = {"source": str(folder / source), "target": str(target)}
                    one = measure(f"bench.bench_storage:{function}", paths, repeat=1)
                    old = best.get(function, one)
                    best[function] = Measurement(
                        min(old.wall_s, one.wall_s), min(old.cpu_s, one.cpu_s), min(old.peak_mb, one.peak_mb)
                    )
            return [best[function] for function in functions]

        for label, shape in (("base", base), ("large", large)):
            measure("bench.bench_storage:prepare", {"path": str(folder / label), "shape": shape}, repeat=1)
        print(f"volume {base}, large {large}, uint16, chunk {_CHUNK}, shard {_SHARD}, blosc zstd 3 bitshuffle, crc32c")
        print(f"{'':44s} {'wall s':>7s} {'CPU s':>7s} {'peak MB':>8s} {'MB':>8s}")
        floor, theirs, own = run("base", "load_only", "write_tensorstore", "write_own")
        rows.append(_row("array in memory (start + load)", floor, folder / "none"))
        rows.append(_row("write: tensorstore", theirs, folder / "write_tensorstore.zarr"))
        ratio = (own.cpu_s - floor.cpu_s) / (theirs.cpu_s - floor.cpu_s)
        rows.append(_row("write: this package", own, folder / "write_own.zarr", cpu_ratio=ratio))
        peers = [] if arguments.no_peers else ["convert_ome_zarr"]
        cost, *others = run("base", "convert_own", *peers)
        target, base_path = folder / "convert_own.zarr", str(folder / "base")
        rows.append(_row("store to 5 levels: this package", cost, target, **seams(base_path, str(target), "1")))
        for other in others:
            target = folder / "convert_ome_zarr.zarr"
            found = seams(base_path, str(target), "s1" if (target / "s1").exists() else "1")
            ratio = other.cpu_s / cost.cpu_s
            rows.append(_row("store to 5 levels: ome-zarr", other, target, cpu_ratio=ratio, **found))
        (big,) = run("large", "convert_own")
        ratio = big.peak_mb / cost.peak_mb
        rows.append(_row("store to 5 levels, 4x: this package", big, folder / "convert_own.zarr", memory_ratio=ratio))
    if arguments.json:
        write_json(arguments.json, rows)
        print(f"written: {json.dumps(arguments.json)}")


if __name__ == "__main__":
    main()
