"""Content digests: equal for equal bytes anywhere, sampled above a size, and small changes at the ends are seen."""

import os
import shutil

import numpy as np
import pytest

from linumpy_lib.io import content_digest, write_volume


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_digest_follows_the_content_alone(tmp_path, limit):
    write_volume(tmp_path / "a.zarr", np.arange(8000, dtype=np.uint16).reshape(20, 20, 20), spacing_um=(1, 1, 1))
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "b.zarr")
    os.utime(tmp_path / "b.zarr" / "zarr.json", (1, 1))
    first = content_digest(tmp_path / "a.zarr", whole_up_to=limit)
    assert first.startswith("sampled-") == (limit == 0)
    assert content_digest(tmp_path / "b.zarr", whole_up_to=limit) == first
    shard = tmp_path / "b.zarr" / "0" / "c" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    assert content_digest(tmp_path / "b.zarr", whole_up_to=limit) != first


def test_sampled_digest_sees_size_and_both_ends(tmp_path):
    def digest(data: bytes) -> str:
        (tmp_path / "f").write_bytes(data)
        return content_digest(tmp_path / "f", whole_up_to=0)

    data = bytes(10_000_000)
    others = [b"\1" + data[1:], data[:-1] + b"\1", data + b"\0"]
    assert len({digest(each) for each in (data, *others)}) == 4
