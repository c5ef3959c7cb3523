import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage
from support.asymmetric_brain import asymmetric_brain, moved, pose_errors

from linumpy_lib.alignment.affine_resample import AffineView
from linumpy_lib.alignment.orientation import Orientation
from linumpy_lib.alignment.steps.align_to_ras import STEP
from linumpy_lib.cli import execute
from linumpy_lib.errors import InputError, ParameterError
from linumpy_lib.io import open_volume, write_volume

SPACING_MM = (0.25, 0.3, 0.25)
SPACING_UM = tuple(s * 1000 for s in SPACING_MM)


def stored(image, code):
    """Take an image in RAS to the axes of a code."""
    turn = Orientation(code).to_ras()
    order = [int(np.flatnonzero(turn[:, axis])[0]) for axis in range(3)]
    flips = tuple(slice(None, None, -1 if turn[:, axis].sum() < 0 else 1) for axis in range(3))
    spacing = tuple(SPACING_UM[k] for k in order)
    return np.ascontiguousarray(np.transpose(image, order)[flips]), spacing


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    brain = asymmetric_brain()
    write_volume(folder / "template.ome.zarr", brain, spacing_um=SPACING_UM)
    write_volume(folder / "regions.ome.zarr", (brain > 120).astype(np.uint16), spacing_um=SPACING_UM, kind="labels")
    truth = moved(brain, SPACING_MM, degrees=25, voxels=5, seed=3, noise=2, gain=0.5)
    image, spacing = stored(truth.image, "PIR")
    write_volume(folder / "mouse.ome.zarr", image, spacing_um=spacing, pyramid="powers", levels=2)
    return folder, brain, truth


def run(folder, output, *words):
    execute(
        STEP,
        [
            *("--input", str(folder / "mouse.ome.zarr"), "--output", str(output), "--quiet", "--processes", "2"),
            *("--allen_max_iterations", "150"),
            *("--template", str(folder / "template.ome.zarr"), "--allen_registration_level", "0", *words),
        ],
    )
    metrics = json.loads((output / "mouse_align_to_ras_metrics.json").read_text())["metrics"]
    return {name: item["value"] for name, item in metrics.items()}


def read_pose(path):
    transform = sitk.ReadTransform(str(path))
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.array(transform.TransformPoint(tuple(p))) - origin for p in np.eye(3)]
    return np.stack(axes, axis=1)[::-1, ::-1], origin[::-1]


@pytest.mark.parametrize("metric", ["MI", "CC", "MSE", "AntsCC"])
def test_a_turned_brain_comes_back_to_the_template(files, tmp_path, metric):
    folder, brain, truth = files
    words = ("--ras_input_orientation", "PIR", "--allen_metric", metric, "--allen_preview", "false")
    figures = run(folder, tmp_path, *words, "--allen_max_iterations", "25" if metric == "AntsCC" else "150")
    matrix, offset = read_pose(tmp_path / "mouse_ras_transform.tfm")
    centre = np.asarray(brain.shape) / 2 * SPACING_MM
    angle, shift = pose_errors(matrix, offset, truth, centre, SPACING_MM)
    assert angle < (1.5 if metric == "AntsCC" else 0.5)  # the slowest one is not let to its end
    assert shift < 1.0
    assert figures["atlas_overlap"] > 0.9
    result = open_volume(tmp_path / "mouse_ras.ome.zarr")
    assert result.spacing_um == (250.0, 250.0, 250.0)
    # on the template's own grid the two agree voxel by voxel
    fine = result.read()
    grid = np.asarray(SPACING_MM) / 0.25
    on_template = ndimage.affine_transform(fine, grid, (grid - 1) / 2, brain.shape, order=1)
    inside = brain > 50
    assert np.corrcoef(on_template[inside], brain[inside])[0, 1] > 0.95


def test_affine_recovers_a_scale(files, tmp_path):
    folder, brain, _ = files
    grown = ndimage.zoom(brain, (1.08, 1.08, 1.08), order=1)
    write_volume(tmp_path / "mouse.ome.zarr", grown, spacing_um=SPACING_UM)
    words = ("--allen_metric", "CC", "--allen_preview", "false", "--template", str(folder / "template.ome.zarr"))
    rigid = run(tmp_path, tmp_path / "rigid", *words)
    affine = run(tmp_path, tmp_path / "affine", *words, "--allen_transform", "affine")
    matrix, _ = read_pose(tmp_path / "affine" / "mouse_ras_transform.tfm")
    scales = (np.asarray(grown.shape) - 1) / (np.asarray(brain.shape) - 1)
    np.testing.assert_allclose(np.diag(matrix), scales, atol=0.02)
    assert affine["atlas_correlation"] > rigid["atlas_correlation"]


def test_pictures_and_regions(files, tmp_path):
    folder, _, _ = files
    words = ("--ras_input_orientation", "PIR", "--ras_orientation_preview", "true", "--allen_metric", "CC")
    run(folder, tmp_path, *words, "--annotation", str(folder / "regions.ome.zarr"))
    for name in ("mouse_ras_preview.png", "mouse_ras_orientation_preview.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_wrong_code_is_named_with_the_likely_one(files, tmp_path):
    folder, _, _ = files
    with pytest.raises(InputError, match=r"orientation code PSL is probably wrong, try PIR"):
        run(folder, tmp_path, "--ras_input_orientation", "PSL", "--allen_metric", "CC")


def test_another_species_is_refused(files, tmp_path):
    folder, _, _ = files
    words = ("--ras_input_orientation", "PIR", "--template", str(tmp_path / "rat.ome.zarr"), "--allen_metric", "CC")
    write_volume(tmp_path / "rat.ome.zarr", asymmetric_brain(), spacing_um=(700, 900, 800))
    with pytest.raises(InputError, match="times the tissue of the template"):
        run(folder, tmp_path, *words)


def test_a_constant_volume_and_wrong_parameters_are_refused(files, tmp_path):
    folder, _, _ = files
    write_volume(tmp_path / "mouse.ome.zarr", np.ones((20, 20, 20), np.float32), spacing_um=SPACING_UM)
    with pytest.raises(InputError, match="is constant"):
        run(tmp_path, tmp_path / "out", "--template", str(folder / "template.ome.zarr"))
    with pytest.raises(ParameterError, match="ras_input_orientation"):
        run(folder, tmp_path, "--ras_input_orientation", "PI")
    with pytest.raises(ParameterError, match="ras_initial_rotation"):
        run(folder, tmp_path, "--ras_initial_rotation", "1 2")


def test_a_known_rotation_reaches_what_the_search_does_not(files, tmp_path):
    _, brain, _ = files
    truth = moved(brain, SPACING_MM, degrees=0, voxels=2, seed=1)
    turned = np.ascontiguousarray(np.rot90(truth.image, 1, (1, 2)))  # quarter turn about z
    write_volume(tmp_path / "mouse.ome.zarr", turned, spacing_um=(250, 250, 300))
    write_volume(tmp_path / "template.ome.zarr", brain, spacing_um=SPACING_UM)
    words = ("--allen_metric", "CC", "--allen_preview", "false")
    # np.rot90 from y to x takes what points right (x) to the back (-y): the brain has to be turned to the left
    figures = run(tmp_path, tmp_path / "right", *words, "--ras_initial_rotation", "0 0 90")
    assert figures["atlas_correlation"] > 0.9
    assert figures["atlas_rotation"] == pytest.approx(90, abs=1)
    with pytest.raises(InputError, match="better after half a turn about z"):
        run(tmp_path, tmp_path / "wrong", *words, "--ras_initial_rotation", "0 0 -90")


def test_resampling_does_not_depend_on_the_regions(tmp_path):
    volume = write_volume(tmp_path / "v.ome.zarr", asymmetric_brain((20, 22, 24)), spacing_um=(10, 10, 10))
    turn = np.array([[0.98, 0.15, 0.1], [-0.15, 0.98, 0.02], [-0.09, -0.04, 0.99]])
    view = AffineView(volume, turn, np.array([1.5, 0.2, -3.0]), (30, 28, 26))
    whole = view[(slice(0, 30), slice(0, 28), slice(0, 26))]
    np.testing.assert_allclose(
        whole, ndimage.affine_transform(volume.read(), turn, view.offset, view.shape, order=1), atol=1e-3
    )
    for box in ((slice(3, 11), slice(0, 28), slice(5, 9)), (slice(29, 30), slice(27, 28), slice(0, 26))):
        np.testing.assert_allclose(view[box], whole[box], atol=1e-4)
