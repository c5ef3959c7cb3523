#!/usr/bin/env bash
# Installs Debian's Slurm and munge where they are missing. `make test-slurm` calls it; it starts nothing.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

missing=()
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if ((${#missing[@]} == 0)); then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "slurm: ${missing[*]} not found; install Slurm 21.08 or newer and munge by this system's own means" >&2
    exit 1
fi
as_root=()
((EUID == 0)) || as_root=(sudo)
echo "slurm: installing slurm-wlm and munge"
"${as_root[@]}" apt-get -qq update
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get -qq install -y --no-install-recommends slurm-wlm munge >/dev/null
