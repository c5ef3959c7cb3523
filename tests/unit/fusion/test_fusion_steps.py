"""The steps register_views, smooth_parameters and fuse_views, from stores to a fused store, and what they refuse."""

import csv
import json

import numpy as np
import pytest
from support.opposing_views import figures, opposing_views

from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError
from linumpy_lib.fusion.steps import fuse_views, register_views, smooth_parameters
from linumpy_lib.io import open_volume, write_volume

STEM = "SPM00_TM000000_CM00_CM01_CHN00"


def write_pair(folder, scene, timepoint=0):
    paths = []
    for camera, view in enumerate((scene.reference, scene.moving)):
        path = folder / f"SPM00_TM{timepoint:06d}_CM{camera:02d}_CHN00.ome.zarr"
        write_volume(path, view, spacing_um=(2.0, 1.0, 1.0), levels=1)
        paths.append(str(path))
    return paths


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    scene = opposing_views((40, 96, 96), fill=0.1, shift_zyx=(1.4, -3.2, 4.6))
    first, second = write_pair(folder, scene)
    run = ["--reference", first, "--moving", second, "--output", str(folder), "--name", STEM, "--quiet"]
    execute(register_views.STEP, run)
    return folder, scene, first, second


def fuse(pair, output, *words, registration=None):
    folder, _scene, first, second = pair
    execute(
        fuse_views.STEP,
        [
            *("--reference", first, "--moving", second, "--name", STEM, "--output", str(output), "--quiet"),
            *("--registration", str(registration or folder / f"{STEM}_registration.json")),
            *("--topology", str(folder / f"{STEM}_topology.ome.zarr"), *words),
        ],
    )


def test_registration_is_written(pair):
    folder, scene, *_ = pair
    record = json.loads((folder / f"{STEM}_registration.json").read_text())
    found = [record["transform"][f"{axis}_offset"] for axis in "zyx"]
    assert found == pytest.approx([-s for s in scene.shift_zyx], abs=0.1)
    assert record["factor"] == pytest.approx(1 / scene.gain, rel=0.12)
    assert record["refused"] == ""
    topology = open_volume(folder / f"{STEM}_topology.ome.zarr").read()[0]
    assert np.median(topology[topology > 0]) == pytest.approx(20, abs=4)
    assert (folder / f"{STEM}_register_views_preview.png").exists()


@pytest.mark.parametrize("method", ["adaptive_blending", "geometric", "wavelet", "average", "quality_weighted"])
def test_fused_store(pair, tmp_path, method):
    _folder, scene, first, _second = pair
    fuse(pair, tmp_path, "--fusion_type", method)
    fused = open_volume(tmp_path / f"{STEM}.ome.zarr")
    assert fused.shape == scene.reference.shape
    assert fused.dtype == np.uint16
    assert fused.spacing_um == (2.0, 1.0, 1.0)
    volume = fused.read()
    assert volume.max() <= max(scene.reference.max(), scene.moving.max() / scene.gain * 1.2)
    alone = figures(open_volume(first).read(), scene.truth, 8)
    together = figures(volume, scene.truth, 8)
    assert together[0] > alone[0]
    names = {p.name for p in (tmp_path / f"{STEM}_diagnostics").iterdir()}
    assert names == {
        f"{n}.png"
        for n in ("registration", "intensity_correction", "fusion_result", "blending_weights", "fused_overview")
    } | {"quality_over_depth.png"}
    metrics = json.loads((tmp_path / f"{STEM}_fuse_views_metrics.json").read_text())["metrics"]
    for place, better in (("low", "first"), ("high", "second")):
        fine, coarse = (metrics[f"resolution_{k}_{place}"]["value"] for k in (better, "fused"))
        assert 2.0 <= fine < 12
        # A mean of two views has less of the fine structure that one of them shows.
        assert coarse < 1.6 * fine


def test_flags_of_the_fusion_change_it(pair, tmp_path):
    fuse(pair, tmp_path / "base", "--save_diagnostics", "false")
    base = open_volume(tmp_path / "base" / f"{STEM}.ome.zarr").read()
    assert not (tmp_path / "base" / f"{STEM}_diagnostics").exists()
    for k, words in enumerate((["--fusion_blending_range", "20,9"], ["--fusion_front_flag", "2"])):
        fuse(pair, tmp_path / str(k), *words, "--save_diagnostics", "false")
        assert not np.array_equal(base, open_volume(tmp_path / str(k) / f"{STEM}.ome.zarr").read())


def test_refused_registration_is_kept_apart(pair, tmp_path):
    folder, scene, *_ = pair
    record = json.loads((folder / f"{STEM}_registration.json").read_text())
    record["refused"] = "the views do not correlate"
    refused = tmp_path / "refused.json"
    refused.write_text(json.dumps(record))
    fuse(pair, tmp_path, registration=refused)
    assert not (tmp_path / f"{STEM}.ome.zarr").exists()
    apart = open_volume(tmp_path / f"{STEM}_apart.ome.zarr")
    assert np.array_equal(apart.read()[1], scene.moving)
    metrics = json.loads((tmp_path / f"{STEM}_fuse_views_metrics.json").read_text())
    assert metrics["metrics"]["fused"]["status"] == "error"


def test_views_of_different_shape_are_refused(pair, tmp_path):
    _folder, scene, first, _second = pair
    other = tmp_path / "SPM00_TM000000_CM01_CHN00.ome.zarr"
    write_volume(other, scene.moving[:30], spacing_um=(2.0, 1.0, 1.0), levels=1)
    with pytest.raises(InputError, match="need one shape"):
        execute(register_views.STEP, ["--reference", first, "--moving", str(other), "--output", str(tmp_path)])


def write_series(pair, folder):
    """Write registrations of 12 time points with drift, one refused and one outlier."""
    record = json.loads((pair[0] / f"{STEM}_registration.json").read_text())
    rng = np.random.default_rng(1)
    for t in range(12):
        one = json.loads(json.dumps(record))
        name = f"SPM00_TM{t:06d}_CM00_CM01_CHN00"
        one.update(name=name, timepoint=t, refused="the views do not correlate" if t == 5 else "")
        one["transform"]["x_offset"] = -4.6 + 0.2 * t + 0.1 * rng.standard_normal() + (8 if t == 8 else 0)
        one["transform"]["y_offset"] += 0.1 * rng.standard_normal()
        one["factor"] = 1.25 * (1 + 0.05 * rng.standard_normal())
        (folder / f"{name}_registration.json").write_text(json.dumps(one))


def smooth(folder, output, *words):
    execute(
        smooth_parameters.STEP,
        ["--registrations", str(folder), "--output", str(output), "--name", "embryo", *words],
    )
    with (output / "parameters.csv").open() as file:
        return list(csv.DictReader(file))


def test_parameters_over_time(pair, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    write_series(pair, folder)
    raw = smooth(folder, tmp_path / "raw")
    assert [row["x_offset"] == row["x_offset_raw"] for row in raw] == [True] * 12
    assert raw[5]["refused"]
    assert not (tmp_path / "raw" / "lookup_table.csv").exists()
    on = ["--fusion_temporal_smoothing", "true"]
    rows = smooth(folder, tmp_path / "smooth", *on, "--fusion_generate_lookup_table", "true")
    assert float(rows[8]["x_offset"]) == pytest.approx(-4.6 + 0.2 * 8, abs=0.2)
    assert rows[5]["x_offset"] == ""
    assert (tmp_path / "smooth" / "lookup_table.csv").exists()
    record = json.loads(
        (tmp_path / "smooth/embryo_parameters/SPM00_TM000008_CM00_CM01_CHN00_registration.json").read_text()
    )
    assert record["source"] == "smoothed"
    variants = [
        [*on, "--fusion_smoothing_window", "6"],
        [*on, "--fusion_offset_averaging_range", "0"],
        [*on, "--fusion_angle_averaging_range", "0"],
        [*on, "--fusion_intensity_averaging_range", "0"],
        [*on, "--fusion_averaging", "mean"],
        ["--fusion_static", "true"],
        ["--fusion_temporal_interpolation", "true"],
    ]
    for k, words in enumerate(variants):
        other = smooth(folder, tmp_path / f"v{k}", *words)
        # A constant angle does not show its window; the command's text does.
        assert other != (rows if words[0] == on[0] else raw) or "angle" in " ".join(words), words
    filled = smooth(folder, tmp_path / "filled", "--fusion_temporal_interpolation", "true")
    assert float(filled[5]["x_offset"]) == pytest.approx(-4.6 + 0.2 * 5, abs=0.3)
    assert filled[5]["source"] == "interpolated"
