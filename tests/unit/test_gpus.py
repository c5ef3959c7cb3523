"""Tasks on one machine take different GPUs, share them evenly when there are more tasks, and give them back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linumpy_lib import gpus

CODE = """
import sys, os
from pathlib import Path
from linumpy_lib.gpus import claim_gpu
print(claim_gpu(Path(sys.argv[1])), os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


def start(folder: Path, visible: str = "3,GPU-5a") -> tuple[subprocess.Popen[str], str]:
    task = subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": visible},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert task.stdout is not None
    return task, task.stdout.readline().strip()


def test_each_task_takes_a_gpu_of_its_own(tmp_path: Path) -> None:
    tasks = []
    try:
        for wanted in ("3", "GPU-5a", "3", "GPU-5a"):
            task, said = start(tmp_path)
            tasks.append(task)
            assert said == f"{wanted} {wanted}"
        # however a task ends, its GPU is free again
        tasks[1].kill()
        tasks[1].wait()
        task, said = start(tmp_path)
        tasks.append(task)
        assert said == "GPU-5a GPU-5a"
    finally:
        for task in tasks:
            task.kill()
            task.communicate()


@pytest.mark.parametrize("visible", ["", "0"])
def test_nothing_to_choose(visible: str, tmp_path: Path) -> None:
    task, said = start(tmp_path, visible)
    task.communicate()
    assert said == f"None {visible}".strip()
    assert not list(tmp_path.iterdir())


def test_the_gpus_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus.visible_gpus() == sorted((entry.name[6:] for entry in Path("/dev").glob("nvidia[0-9]*")), key=int)
