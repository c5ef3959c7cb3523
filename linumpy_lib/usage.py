"""What a piece of work costs: wall time, processor time and peak memory of this process and its children."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


def peak_rss_mb() -> float:
    """Peak resident memory [MiB] of this process so far, or of its largest child.

    The kernel's ``ru_maxrss`` of a process would include what its parent held when it started it.
    """
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return max(int(line.split()[1]) / 1024, children)
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, children)


def cpu_seconds() -> float:
    """Processor time [s] of this process and its finished children so far, user and system."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Usage:
    """A starting point that costs are counted from.

    Examples
    --------
    >>> sorted(Usage().so_far())
    ['cpu_s', 'peak_rss_mb', 'wall_s']
    """

    wall_s: float = field(default_factory=time.monotonic)
    cpu_s: float = field(default_factory=cpu_seconds)

    def so_far(self) -> dict[str, float]:
        """Wall and processor seconds since the start; peak memory [MiB] of the process's whole life."""
        return {
            "wall_s": round(time.monotonic() - self.wall_s, 3),
            "cpu_s": round(cpu_seconds() - self.cpu_s, 3),
            "peak_rss_mb": round(peak_rss_mb(), 1),
        }
