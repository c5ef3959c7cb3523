#!/usr/bin/env bash
# Recompiles the requirements*.lock files from pyproject.toml (needs uv). `make lock` calls it.
#
# One resolution of everything comes first and constrains the others, so that the locks name the same versions and any of
# them can be installed over any other. Locks hold names, versions, markers and hashes; never an index or a path.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
command -v uv >/dev/null || {
    echo "lock: uv is needed to compile locks (python3 -m pip install uv)" >&2
    exit 1
}

all=$(mktemp)
without=$(mktemp)
trap 'rm -f "$all" "$without"' EXIT

# torch needs triton (1 GB unpacked) for torch.compile alone, which this project does not use. The CUDA libraries that
# torch lists on Linux stay: its own shared objects are linked against them, even to run on the CPU.
echo "triton ; sys_platform == 'never'" >"$without"

# 3.11.2 is Debian 12's Python; a bare 3.11 would rule out packages that want 'Python > 3.11'.
compile() {
    # The build backend is locked too, so that the editable install needs no index.
    sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml |
        uv pip compile --quiet --universal --python-version 3.11.2 --no-config --no-header --no-annotate \
            --no-emit-index-url --no-emit-find-links --override "$without" "${@}" pyproject.toml -
}

extras=(dev torch viewer)
compile --upgrade "${extras[@]/#/--extra=}" --output-file "$all"
compile --generate-hashes --constraint "$all" --output-file requirements.lock
for extra in "${extras[@]}"; do
    compile --generate-hashes --constraint "$all" --extra "$extra" --output-file "requirements-$extra.lock"
done
# CuPy's CUDA 12 and torch's CUDA 13 ask for two versions of the metapackage cuda-toolkit; the libraries lie apart.
compile --generate-hashes --constraint requirements.lock --extra gpu --output-file requirements-gpu.lock
# basicpy pins older packages than it works with.
compile --generate-hashes --constraint requirements-torch.lock --override conf/setup/basicpy_overrides.txt --extra illumination \
    --output-file requirements-illumination.lock
