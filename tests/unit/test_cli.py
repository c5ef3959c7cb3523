"""What surrounds a step: atomic results, clear errors, stub runs, code hashes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import tifffile
from pydantic import Field

from linumpy_lib.cli import default_name, execute, run
from linumpy_lib.errors import DeviceError, InputError, OutputError, ParameterError
from linumpy_lib.params import Parameters
from linumpy_lib.provenance import code_hash
from linumpy_lib.step import Input, Step

ROOT = Path(__file__).resolve().parents[2]


class Settings(Parameters):
    gain: Annotated[float, Field(gt=0, description="Factor")] = 1.0


def brighten(*, input, parameters, task):  # noqa: A002
    values = input.read()
    task.path("{name}_a.txt").write_text(str(values.shape))
    if parameters.gain > 10:
        raise InputError(f"{input.name}: too bright; choose a smaller gain")
    task.path("{name}_b.txt").write_text(f"{values.max() * parameters.gain:g}")
    task.metric("gain", parameters.gain, "", status="ok")
    task.note("brightened")


STEP = Step(
    name="brighten",
    function=brighten,
    parameters=Settings,
    summary="Make a volume brighter",
    description="For tests.",
    inputs=(Input("input", "a volume"),),
    outputs={"{name}_a.txt": "shape", "{name}_b.txt": "maximum"},
    devices=("cpu", "cuda", "mps"),
    slabs=True,
)


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "my brain.ome.tif"
    tifffile.imwrite(path, np.arange(20 * 21 * 22, dtype=np.uint16).reshape(20, 21, 22), metadata={"axes": "ZYX"})
    return path


def call(volume, output, *words):
    return execute(STEP, ["--input", str(volume), "--output", str(output), "--device", "cpu", *words])


def test_results_take_their_final_names_together(volume, tmp_path, capsys):
    results = call(volume, tmp_path / "out", "--gain", "2")
    assert [path.name for path in results] == [
        "my brain_a.txt",
        "my brain_b.txt",
        "my brain_brighten_metrics.json",
    ]
    assert (tmp_path / "out" / "my brain_b.txt").read_text() == "18478"
    metrics = json.loads(results[2].read_text())
    assert metrics["metrics"]["gain"] == {
        "value": 2.0,
        "unit": "",
        "description": "",
        "status": "ok",
        "thresholds": {},
    }
    assert metrics["notes"] == ["brightened"]
    assert metrics["provenance"]["parameters"] == {"gain": 2.0}
    assert len(metrics["provenance"]["inputs"]["input"]) == 64
    assert "note: brightened" in capsys.readouterr().err


def test_failure_leaves_nothing_and_keeps_what_was_there(volume, tmp_path):
    call(volume, tmp_path / "out")
    before = (tmp_path / "out" / "my brain_a.txt").read_text()
    with pytest.raises(InputError, match="too bright"):
        call(volume, tmp_path / "out", "--gain", "11")
    assert (tmp_path / "out" / "my brain_a.txt").read_text() == before
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_stub_works_on_a_corner_under_the_same_names(volume, tmp_path):
    results = call(volume, tmp_path / "out", "--stub")
    assert len(results) == 3
    assert (tmp_path / "out" / "my brain_a.txt").read_text() == "(16, 16, 16)"


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        (["--gian", "2"], ParameterError, "unknown option '--gian', did you mean 'gain'?"),
        (["--gain", "0"], ParameterError, "'gain': '0' is not allowed"),
        (["--slab", "3/2"], ParameterError, "I goes from 1 to N"),
        (["--slab", "x"], ParameterError, "give I/N"),
        (["--processes", "-1"], ParameterError, "0 or more"),
    ],
)
def test_mistyped_options(volume, tmp_path, words, error, match):
    with pytest.raises(error, match=match.replace("?", r"\?")):
        call(volume, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_missing_input(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.tif: no such file"):
        call(tmp_path / "nothing.tif", tmp_path / "out")


def test_absent_device_is_an_error(volume, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError):
        execute(STEP, ["--input", str(volume), "--output", str(tmp_path / "out"), "--device", "cuda"])


def test_output_that_cannot_be_created(volume, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--output"):
        call(volume, tmp_path / "file" / "out")


def test_run_prints_one_line_and_exits(volume, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(STEP, ["--input", str(volume), "--output", str(tmp_path / "out"), "--device", "cpu", "--gain", "12"])
    assert stop.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert lines == [f"error: {volume}: too bright; choose a smaller gain"]


def test_default_names():
    assert [default_name(Path(name)) for name in ("a.ome.zarr", "a.b.nii.gz", "x.TIF", "planes")] == [
        "a",
        "a.b",
        "x",
        "planes",
    ]


def test_code_hash_guards_against_another_library(tmp_path):
    script = ROOT / "bin" / "simulate_fibres.py"
    words = ["--simulate_shape", "8,8,8", "--output", str(tmp_path), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    good = subprocess.run(
        [sys.executable, script, *words, "--code", code_hash(script)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert good.returncode == 0, good.stderr
    bad = subprocess.run(
        [sys.executable, script, *words, "--code", "0" * 16],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert bad.returncode == 1
    assert bad.stderr.startswith("error: parameter 'code'")


def test_a_killed_task_leaves_nothing(tmp_path):
    program = tmp_path / "slow.py"
    program.write_text(
        textwrap.dedent(
            """
            import time
            from linumpy_lib.cli import run
            from linumpy_lib.params import Parameters
            from linumpy_lib.step import Step

            def slow(*, parameters, task):
                task.path("{name}.txt").write_text("half")
                print("ready", flush=True)
                time.sleep(60)

            run(Step("slow", slow, Parameters, "s", "d", (), {}))
            """
        )
    )
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, program, "--output", out],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
    assert list(out.iterdir()) == []
