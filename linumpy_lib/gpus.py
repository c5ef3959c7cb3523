"""Which of several GPUs a task takes: one that no other task of this user holds, else the one that fewest share."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

_MOST_TASKS = 64
_held: list[IO[str]] = []


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES spells them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    numbers = [entry.name.removeprefix("nvidia") for entry in Path("/dev").glob("nvidia[0-9]*")]
    return sorted(numbers, key=int)


def claim_gpu(folder: Path | None = None) -> str | None:
    """Take one of several GPUs for this process, until it ends; to be called before CUDA is used.

    Tasks on one machine find each other by locks on files, which the system releases however a task ends.

    Parameters
    ----------
    folder : Path, optional
        Where the lock files are; a folder of the user's own in the system's temporary one by default.

    Returns
    -------
    str or None
        The GPU, now the only one that CUDA shows to this process; None where there is nothing to choose.
    """
    names = visible_gpus()
    if len(names) < 2 or _held:
        return None
    place = folder or Path(tempfile.gettempdir()) / f"linumpy-gpus-{os.getuid()}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for tasks in range(_MOST_TASKS):
        for name in names:
            lock = (place / f"{name.replace('/', '_')}.{tasks}").open("w", encoding="ascii")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            _held.append(lock)
            os.environ["CUDA_VISIBLE_DEVICES"] = name
            return name
    return None
