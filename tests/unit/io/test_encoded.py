"""Chunks encoded by whoever makes the voxels give the same store as blocks given to the writer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from linumpy_lib.io import VolumeWriter, open_volume
from linumpy_lib.io.encoded import EncodedBox, chunk_parts, encode_box, encode_parts

SHAPE, CHUNKS, SHARDS = (13, 24, 20), (5, 8, 10), (15, 16, 20)


def writer(path: Path) -> VolumeWriter:
    return VolumeWriter(
        path,
        shape=SHAPE,
        dtype=np.float32,
        spacing_um=(1, 2, 3),
        levels=1,
        chunks=CHUNKS,
        shards=SHARDS,
        codec="lz4-bitshuffle",
        threads=2,
    )


def rows_of(region: tuple[slice, ...]) -> list[tuple[slice, slice, slice]]:
    return [(region[0], slice(y, y + 8), region[2]) for y in range(region[1].start, region[1].stop, 8)]


def parts_of(store: VolumeWriter, box: tuple[slice, slice, slice], block: np.ndarray) -> np.ndarray:
    parts = chunk_parts(store.plans[0], box)
    for i, k in np.ndindex(parts.shape[0], parts.shape[2]):
        piece = block[i * 5 : (i + 1) * 5, :, k * 10 : (k + 1) * 10]
        parts[i, 0, k, : piece.shape[0]] = piece
    return parts


@pytest.mark.parametrize("way", ["box", "parts"])
def test_the_store_is_that_of_blocks(tmp_path: Path, way: str) -> None:
    voxels = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    with writer(tmp_path / "blocks.ome.zarr") as store:
        for region in store.regions():
            store.write(region, voxels[region])
    with writer(tmp_path / "boxes.ome.zarr") as store, ThreadPoolExecutor(2) as pool:

        def encode(box: tuple[slice, slice, slice]) -> EncodedBox:
            block = voxels[box]
            if way == "box":
                return encode_box(store.plans[0], "lz4-bitshuffle", box, block)
            span = (float(block.min()), float(block.max()))
            return encode_parts(store.plans[0], "lz4-bitshuffle", box, parts_of(store, box, block), span)

        for region in store.regions():
            store.write_encoded(region, pool.map(encode, rows_of(region)))
    np.testing.assert_array_equal(open_volume(tmp_path / "boxes.ome.zarr").read(), voxels)
    blocks, boxes = (json.loads((tmp_path / f"{k}.ome.zarr" / "zarr.json").read_text()) for k in ("blocks", "boxes"))
    boxes["attributes"]["ome"]["multiscales"][0]["name"] = "blocks"
    boxes["attributes"]["ome"]["omero"]["channels"][0]["label"] = "blocks"
    assert boxes == blocks


def test_boxes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    store = writer(tmp_path / "a.ome.zarr")
    region = next(store.regions())
    box = rows_of(region)[0]
    half = [encode_box(store.plans[0], "none", box, np.zeros((13, 8, 20), np.float32))]
    with pytest.raises(ValueError, match="do not fill"):
        store.write_encoded(region, half)
    with pytest.raises(ValueError, match="whole chunks"):
        encode_box(store.plans[0], "none", (box[0], slice(0, 7), box[2]), np.zeros((13, 7, 20), np.float32))
    with pytest.raises(ValueError, match="block of shape"):
        encode_box(store.plans[0], "none", box, np.zeros((13, 8, 19), np.float32))
    with pytest.raises(ValueError, match="chunks of shape"):
        encode_parts(store.plans[0], "none", box, np.zeros((1, 1, 1, *CHUNKS), np.float32), None)
    store.abort()
    assert list(tmp_path.iterdir()) == []
