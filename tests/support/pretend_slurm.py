"""Stand-ins for sbatch, squeue and scancel, enough for Nextflow: jobs are sessions of this machine, and may vanish."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

PROGRAM = """#!{python}
import os, pathlib, signal, subprocess, sys
jobs = pathlib.Path({jobs!r})
words = sys.argv[1:]
def alive(job):
    pid = int(job.read_text())
    try:
        return pathlib.Path(f"/proc/{{pid}}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
name = pathlib.Path(sys.argv[0]).name
if name == "sbatch":
    script = pathlib.Path(words[-1]).read_text() if words and pathlib.Path(words[-1]).exists() else sys.stdin.read()
    # Nextflow submits from the folder of the task
    folder = os.getcwd()
    number = 1 + len(list(jobs.iterdir()))
    with open(os.devnull, "rb") as nothing, open(jobs.parent / f"{{number}}.log", "wb") as log:
        runs = subprocess.Popen(["bash", "-c", script], cwd=folder, stdin=nothing, stdout=log, stderr=log,
                                start_new_session=True)
    (jobs / str(number)).write_text(str(runs.pid))
    print(f"Submitted batch job {{number}}")
elif name == "squeue":
    for job in jobs.iterdir():
        if alive(job):
            print(f"{{job.name}} R")
elif name == "scancel":
    for word in words:
        for job in jobs.glob(word):
            if alive(job):
                os.killpg(int(job.read_text()), signal.SIGTERM)
"""


class PretendSlurm:
    """A scheduler that starts what is submitted at once."""

    def __init__(self, folder: Path) -> None:
        self.jobs = folder / "jobs"
        self.tools = folder / "tools"
        for place in (self.jobs, self.tools):
            place.mkdir(parents=True)
        for name in ("sbatch", "squeue", "scancel"):
            tool = self.tools / name
            tool.write_text(PROGRAM.format(python=sys.executable, jobs=str(self.jobs)))
            tool.chmod(0o755)

    def vanish(self, process: int) -> None:
        """Kill the job that a process belongs to, all of it at once, as when its node is gone."""
        os.killpg(os.getsid(process), signal.SIGKILL)
