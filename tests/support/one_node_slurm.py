"""A Slurm cluster of one node for tests: everything below one folder, nothing owned by root, stopped by process id."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PropagateResourceLimits=NONE
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
ReturnToService=2
SchedulerParameters=defer,sched_interval=2,batch_sched_delay=0
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} {gres} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=1-00:00:00 DefMemPerCPU=500 State=UP
PartitionName=cards Nodes={host} MaxTime=1-00:00:00 DefMemPerCPU=500 State=UP
"""


def missing_programs() -> list[str]:
    """Return what has to be installed first."""
    return [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]


def free_port() -> int:
    with socket.socket() as stream:
        stream.bind(("127.0.0.1", 0))
        return int(stream.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.2)


class OneNodeSlurm:
    """A cluster with one node, this machine.

    Parameters
    ----------
    folder : Path
        Where keys, sockets, logs and state go; a short path, since that of a socket is limited to 107 bytes.
    cards : int
        Number of pretended GPUs, for the scheduling of `--gres`.
    """

    def __init__(self, folder: Path, cards: int = 0) -> None:
        self.folder = folder
        self.cards = cards
        self.env = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}

    def _call(self, *words: str) -> str:
        env = {**os.environ, **self.env}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _configure(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)  # munged refuses a folder that others may write to
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        text = CONFIGURATION.format(
            host=socket.gethostname().split(".")[0],
            controller_port=free_port(),
            node_port=free_port(),
            user=self._call("id", "-un").strip(),
            folder=self.folder,
            cpus=os.cpu_count(),
            memory_mb=int(memory / 2**20 * 0.95),
            gres=f"Gres=gpu:{self.cards}" if self.cards else "",
        )
        if self.cards:
            text = f"GresTypes=gpu\n{text}"
            # Slurm wants character devices and only looks at their names.
            devices = f"/dev/tty[0-{self.cards - 1}]"
            host = socket.gethostname().split(".")[0]
            (self.folder / "gres.conf").write_text(f"NodeName={host} Name=gpu Flags=nvidia_gpu_env File={devices}\n")
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")

    def start(self) -> None:
        """Start the three daemons and wait until the node takes jobs."""
        self._configure()
        socket_path = self.folder / "munge.socket"
        self._call(
            "munged",
            "--force",
            f"--key-file={self.folder / 'munge.key'}",
            f"--socket={socket_path}",
            f"--pid-file={self.folder / 'munged.pid'}",
            f"--log-file={self.folder / 'munged.log'}",
            f"--seed-file={self.folder / 'munged.seed'}",
        )
        wait_for(socket_path.exists, 10, "munged")
        self._call("slurmctld", "-f", self.env["SLURM_CONF"])
        self._call("slurmd", "-f", self.env["SLURM_CONF"])

        def idle() -> bool:
            try:
                return set(self._call("sinfo", "-h", "-o", "%t").split()) == {"idle"}
            except RuntimeError:  # the controller is not listening yet
                return False

        wait_for(idle, 40, f"the node (logs in {self.folder})")

    def jobs(self) -> dict[str, str]:
        """Return the names of the running jobs by id."""
        lines = self._call("squeue", "-h", "-t", "R", "-o", "%i %j").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def kill(self, job: str) -> None:
        """End a job as a crash does: every process of it, at once."""
        self._call("scancel", "--full", "--signal=KILL", job)

    def stop(self) -> None:
        """Cancel what runs and end the daemons that `start` started, by their ids."""
        subprocess.run(
            ["scancel", "--full", "-u", self._call("id", "-un").strip()],
            env={**os.environ, **self.env},
            capture_output=True,
            check=False,
            timeout=60,
        )
        for name in ("slurmd", "slurmctld", "munged"):
            file = self.folder / f"{name}.pid"
            if not file.exists():
                continue
            process = int(file.read_text())
            if Path(f"/proc/{process}/comm").exists():
                os.kill(process, signal.SIGTERM)
                wait_for(lambda process=process: not alive(process), 20, f"{name} to end")


def alive(process: int) -> bool:
    """Return whether a process runs; one that has ended and was not asked for its status does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
