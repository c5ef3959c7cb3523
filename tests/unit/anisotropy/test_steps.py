"""The anisotropy steps on files: slabs, export, stub, and one clear line for everything that cannot be used."""

import filecmp
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from linumpy_lib.anisotropy import compute_anisotropy
from linumpy_lib.anisotropy.steps.compute_anisotropy import STEP as COMPUTE
from linumpy_lib.anisotropy.steps.compute_anisotropy import slab_range
from linumpy_lib.anisotropy.steps.export_npz import STEP as EXPORT
from linumpy_lib.anisotropy.steps.gather_anisotropy import STEP as GATHER
from linumpy_lib.anisotropy.steps.report_anisotropy import STEP as REPORT
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, OutputError, PipelineError
from linumpy_lib.io import open_volume, write_volume


def texture(shape, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.integers(40, 220, shape, dtype=np.uint8)
    values[:, : shape[1] // 4] = 0
    return values


def compute(source, output, *words):
    return execute(COMPUTE, ["--input", str(source), "--output", str(output), "--device", "cpu", "--quiet", *words])


@pytest.fixture(scope="module")
def tall(tmp_path_factory):
    """A volume of three rows of shards, and its maps from one task."""
    folder = tmp_path_factory.mktemp("tall")
    tifffile.imwrite(folder / "tall.tif", texture((300, 24, 20)))
    compute(folder / "tall.tif", folder / "whole", "--anisotropy_eigenvalues", "true")
    return folder


def same_tree(a: Path, b: Path) -> list[str]:
    """Names of files that differ between two stores."""
    names = {p.relative_to(a) for p in a.rglob("*") if p.is_file()}
    assert names == {p.relative_to(b) for p in b.rglob("*") if p.is_file()}
    return [str(name) for name in sorted(names) if not filecmp.cmp(a / name, b / name, shallow=False)]


def test_maps_equal_the_array_function(tall):
    values = tifffile.imread(tall / "tall.tif")
    expected = compute_anisotropy(values, mask=values >= 5, device="cpu")
    measures = open_volume(tall / "whole" / "tall_measures.ome.zarr")
    assert measures.channel_names == ("fa", "cl", "cp", "cs", "cp_norm", "lambda2_ratio")
    for index, name in enumerate(measures.channel_names):
        np.testing.assert_array_equal(measures.read()[index], getattr(expected, name).astype(np.float16), err_msg=name)
    for name in ("principal_dir", "fibre_dir"):
        stored = open_volume(tall / "whole" / f"tall_{name}.ome.zarr").read()
        np.testing.assert_array_equal(np.moveaxis(stored, 0, -1), getattr(expected, name).astype(np.float16))
    eigenvalues = open_volume(tall / "whole" / "tall_eigenvalues.ome.zarr").read()
    np.testing.assert_array_equal(eigenvalues, expected.eigenvalues)
    assert open_volume(tall / "whole" / "tall_mask.ome.zarr").read().mean() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_slabs_give_the_same_bytes(tall, tmp_path, count):
    for index in range(count):
        words = ["--slab", f"{index + 1}/{count}", "--anisotropy_eigenvalues", "true"]
        compute(tall / "tall.tif", tmp_path / f"slab{index}", *words)
    folders = [str(tmp_path / f"slab{index}") for index in range(count)]
    execute(GATHER, ["--input", *folders, "--output", str(tmp_path / "joined"), "--name", "tall"])
    for pattern in ("measures", "principal_dir", "fibre_dir", "mask", "eigenvalues"):
        store = f"tall_{pattern}.ome.zarr"
        assert same_tree(tall / "whole" / store, tmp_path / "joined" / store) == []
    statistics = [json.loads((f / "tall_statistics.json").read_text()) for f in (tall / "whole", tmp_path / "joined")]
    assert statistics[0] == statistics[1]


def test_gather_names_the_missing_slab(tall, tmp_path):
    compute(tall / "tall.tif", tmp_path / "slab0", "--slab", "1/2")
    with pytest.raises(InputError, match="no slab holds planes 128 to 300"):
        execute(GATHER, ["--input", str(tmp_path / "slab0"), "--output", str(tmp_path / "joined"), "--name", "tall"])
    assert not list((tmp_path / "joined").glob("*"))


def test_slab_ranges_tile_the_volume():
    for depth in (1, 128, 129, 1000):
        for count in (1, 2, 3, 7, 20):
            ranges = [slab_range(depth, (index, count)) for index in range(count)]
            assert ranges[0][0] == 0
            assert ranges[-1][1] == depth
            assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
            assert all(start % 128 == 0 or start == depth for start, _ in ranges)


def test_two_runs_give_the_same_bytes(tall, tmp_path):
    compute(tall / "tall.tif", tmp_path, "--anisotropy_eigenvalues", "true", "--processes", "1")
    for store in sorted((tall / "whole").glob("*.ome.zarr")):
        assert same_tree(store, tmp_path / store.name) == []


def test_npz_export(tall, tmp_path):
    words = [f"--{key}={tall / 'whole' / f'tall_{key}.ome.zarr'}" for key in ("measures", "principal_dir")]
    (archive, _) = execute(EXPORT, [*words, "--output", str(tmp_path), "--name", "tall"])
    with np.load(archive) as maps:
        assert set(maps) == {"fa", "cl", "cp", "cs", "cp_norm", "lambda2_ratio", "principal_dir"}
        assert maps["principal_dir"].shape == (300, 24, 20, 3)
        stored = open_volume(tall / "whole" / "tall_measures.ome.zarr").read()
        np.testing.assert_array_equal(maps["cs"], stored[3])


def test_every_parameter_changes_the_maps(tmp_path):
    write_volume(tmp_path / "v.ome.zarr", texture((12, 20, 20)), spacing_um=(3, 1, 1))
    base = compute(tmp_path / "v.ome.zarr", tmp_path / "base")[2:]
    changed = {
        "sigma": "1.5",
        "rho": "1",
        "units": "um",
        "spacing_um": "1",
        "gradient": "sobel",
        "normalization": "trace",
        "mask_threshold": "0.4",
        "range": "0,4000",
    }
    for name, value in changed.items():
        written = compute(tmp_path / "v.ome.zarr", tmp_path / name, f"--anisotropy_{name}", value)
        notes = json.loads(written[0].read_text())["notes"]
        assert any("central differences" in note for note in notes) == (name == "units")
        shards = [path / "0" for path in base if path.suffix == ".zarr"]
        assert any(same_tree(shard, tmp_path / name / shard.parent.name / "0") for shard in shards), name


def test_channel(tmp_path):
    values = np.stack([texture((8, 16, 16), seed) for seed in (1, 2)])
    write_volume(tmp_path / "two.ome.zarr", values, axes="czyx", channel_names=("dapi", "myelin"), spacing_um=(1, 1, 1))
    write_volume(tmp_path / "one.ome.zarr", values[1], spacing_um=(1, 1, 1))
    with pytest.raises(InputError, match=r"2 channels.*--anisotropy_channel"):
        compute(tmp_path / "two.ome.zarr", tmp_path / "no")
    compute(tmp_path / "one.ome.zarr", tmp_path / "a", "--name", "x")
    for index, channel in enumerate(("myelin", "1")):
        compute(tmp_path / "two.ome.zarr", tmp_path / f"b{index}", "--name", "x", "--anisotropy_channel", channel)
        store = "x_measures.ome.zarr/0"
        assert same_tree(tmp_path / "a" / store, tmp_path / f"b{index}" / store) == []
    with pytest.raises(InputError, match=r"no channel named 'gfp'.*dapi"):
        compute(tmp_path / "two.ome.zarr", tmp_path / "no", "--anisotropy_channel", "gfp")


def test_nonfinite_voxels_are_counted_masked_and_reported(tmp_path, capsys):
    values = texture((10, 20, 20)).astype(np.float32)
    values[5, 10, 10:13] = np.nan
    values[6, 10, 10] = np.inf
    tifffile.imwrite(tmp_path / "holes.tif", values)
    results = compute(tmp_path / "holes.tif", tmp_path / "out")
    metrics = json.loads(results[0].read_text())
    assert metrics["metrics"]["nonfinite_voxels"]["value"] == 4
    assert "4 of 4000 voxels are NaN or infinite" in capsys.readouterr().err
    mask = open_volume(tmp_path / "out" / "holes_mask.ome.zarr").read()
    assert mask[5, 10, 10:13].max() == 0
    assert np.isfinite(open_volume(tmp_path / "out" / "holes_measures.ome.zarr").read()).all()


def test_unknown_voxel_size_is_said(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "plain.tif", texture((8, 16, 16)))
    results = compute(tmp_path / "plain.tif", tmp_path / "out")
    assert "states no voxel size" in capsys.readouterr().err
    assert any("states no voxel size" in note for note in json.loads(results[0].read_text())["notes"])
    with pytest.raises(InputError, match=r"plain\.tif: states no voxel size.*--anisotropy_spacing_um"):
        compute(tmp_path / "plain.tif", tmp_path / "no", "--anisotropy_units", "um")
    compute(tmp_path / "plain.tif", tmp_path / "um", "--anisotropy_units", "um", "--anisotropy_spacing_um", "2,1,1")
    assert open_volume(tmp_path / "um" / "plain_mask.ome.zarr").spacing_um == (2, 1, 1)


def broken_inputs(folder: Path) -> dict[str, tuple[Path, str]]:
    """Bad files, each with words that the message must hold."""
    folder.mkdir()
    good = texture((12, 24, 24))
    cases: dict[str, tuple[Path, str]] = {}

    def tiff(name, values, words, **options):
        tifffile.imwrite(folder / name, values, **options)
        cases[name] = (folder / name, words)

    tiff("flat.tif", good[0], "flat.tif")
    tiff("complex.tif", good.astype(np.complex64), "complex64")
    tiff("channels.tif", good[:3], "no z axis", imagej=True, metadata={"axes": "CYX"})
    tiff("cut.tif", good, "cut.tif")
    (folder / "cut.tif").write_bytes((folder / "cut.tif").read_bytes()[: good.nbytes // 2])
    np.save(folder / "volume.npy", good)
    cases["npy"] = (folder / "volume.npy", "volume.npy")
    (folder / "text.tif").write_text("not a picture")
    cases["text"] = (folder / "text.tif", "text.tif")
    for name in ("corrupt", "missing"):
        write_volume(folder / f"{name}.ome.zarr", good, spacing_um=(1, 1, 1))
        shard = folder / f"{name}.ome.zarr" / "0" / "c" / "0" / "0" / "0"
        if name == "missing":
            shard.unlink()
        else:
            data = bytearray(shard.read_bytes())
            data[40:80] = bytes(40)
            shard.write_bytes(data)
        cases[name] = (folder / f"{name}.ome.zarr", f"{name}.ome.zarr")
    (folder / "empty.zarr").mkdir()
    cases["empty"] = (folder / "empty.zarr", "empty.zarr")
    return cases


@pytest.mark.parametrize(
    "case", ["flat.tif", "complex.tif", "channels.tif", "cut.tif", "npy", "text", "corrupt", "missing", "empty"]
)
def test_broken_input_gives_one_line_and_leaves_nothing(case, tmp_path):
    path, words = broken_inputs(tmp_path / "in")[case]
    with pytest.raises(InputError) as error:
        compute(path, tmp_path / "out")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_output_that_is_the_input_is_refused(tmp_path):
    write_volume(tmp_path / "v_mask.ome.zarr", texture((8, 16, 16)), spacing_um=(1, 1, 1))
    before = same_tree(tmp_path / "v_mask.ome.zarr", tmp_path / "v_mask.ome.zarr")
    with pytest.raises(OutputError, match="input"):
        compute(tmp_path / "v_mask.ome.zarr", tmp_path, "--name", "v")
    assert same_tree(tmp_path / "v_mask.ome.zarr", tmp_path / "v_mask.ome.zarr") == before
    assert open_volume(tmp_path / "v_mask.ome.zarr").read().max() > 100


def test_full_disk_is_said_and_leaves_nothing(tmp_path):
    """A file system of 1 MB, where the tests may mount one."""
    small = tmp_path / "small"
    small.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False).returncode:
        pytest.skip("cannot mount a small file system here (needs root)")
    try:
        tifffile.imwrite(tmp_path / "v.tif", texture((64, 128, 128)))
        with pytest.raises(PipelineError, match="space"):
            compute(tmp_path / "v.tif", small / "out")
        assert not list(small.rglob("*.zarr"))
    finally:
        subprocess.run(["umount", small], check=True)


def test_report(tall, tmp_path):
    words = ["--input", str(tall / "whole"), "--volume", str(tall / "tall.tif"), "--name", "tall"]
    execute(REPORT, [*words, "--output", str(tmp_path)])
    assert (tmp_path / "tall_preview.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "tall_anisotropy_report.html").read_text()
    assert "states no voxel size" in page, "notes of the computing step are shown"
    assert "src=" in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page), "nothing is loaded from elsewhere"
    (tmp_path / "copy").mkdir()
    for path in (tall / "whole").iterdir():
        if path.name != "tall_statistics.json":
            (tmp_path / "copy" / path.name).symlink_to(path)
    with pytest.raises(InputError, match=r"tall_statistics\.json"):
        execute(REPORT, ["--input", str(tmp_path / "copy"), "--name", "tall", "--output", str(tmp_path / "no")])


@pytest.mark.parametrize("store", ["mask", "fibre_dir"])
def test_coarse_masks_and_directions_are_samples(tall, store):
    volume = open_volume(tall / "whole" / f"tall_{store}.ome.zarr")
    coarse = volume.level(1)
    assert coarse.origin_um == volume.origin_um
    np.testing.assert_array_equal(coarse.read(), volume.read()[..., ::2, ::2, ::2])


def test_stores_of_a_volume_with_few_background_voxels_are_valid(tmp_path):
    """A mode would close every hole of the mask, and its coarse levels would be no picture of the fine one."""
    checker = Path(__file__).resolve().parents[4] / "shared" / "checks" / "validate_ngff.py"
    if not checker.exists():
        pytest.skip("needs the store validator in ../shared/checks")
    tifffile.imwrite(tmp_path / "n.tif", np.random.default_rng(0).integers(0, 256, (70, 80, 90), dtype=np.uint8))
    compute(tmp_path / "n.tif", tmp_path / "out")
    for path in sorted((tmp_path / "out").glob("*.ome.zarr")):
        command = [sys.executable, str(checker), str(path), "--deep", "--strict"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout
