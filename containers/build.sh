#!/usr/bin/env bash
# Builds the image of this version: `make image` and `make apptainer` call it.
#
#   build.sh docker|podman|apptainer [cpu|cuda] [OPTION ...]      options go to the engine's build command
#
# Names: linumpy-pipeline:VERSION[-cuda], or containers/linumpy-pipeline-VERSION[-cuda].sif; the profiles look for these.
# BASE chooses another base image (a mirror's name, a local one), PIP_INDEX_URL another package index.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

fail() {
    echo "build: $*" >&2
    exit 1
}

engine=${1:-docker} variant=${2:-cpu}
shift "$(($# < 2 ? $# : 2))"
case $variant in
    cpu) lock=requirements.lock suffix='' ;;
    cuda) lock=requirements-gpu.lock suffix=-cuda ;;
    *) fail "unknown image '$variant': cpu or cuda" ;;
esac
command -v "$engine" >/dev/null || fail "$engine is not on PATH"

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' linumpy_lib/__init__.py)
digest=$(sha256sum "$lock")
arguments=(
    --build-arg "LOCK=$lock"
    --build-arg "VERSION=$version"
    --build-arg "VARIANT=$variant"
    --build-arg "LOCK_DIGEST=${digest%% *}"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
)
[[ -z ${BASE:-} ]] || arguments+=(--build-arg "BASE=$BASE")

case $engine in
    docker | podman)
        [[ -z ${PIP_INDEX_URL:-} ]] || arguments+=(--build-arg PIP_INDEX_URL)
        "$engine" build --file containers/Dockerfile --tag "linumpy-pipeline:$version$suffix" "${arguments[@]}" "$@" .
        echo "build: image linumpy-pipeline:$version$suffix"
        ;;
    apptainer | singularity)
        file=containers/linumpy-pipeline-$version$suffix.sif
        [[ -z ${BOOTSTRAP:-} ]] || arguments+=(--build-arg "BOOTSTRAP=$BOOTSTRAP")
        # A name of its own until it is whole.
        "$engine" build --force "${arguments[@]}" "$@" "$file.part" containers/linumpy-pipeline.def
        mv "$file.part" "$file"
        echo "build: file $file"
        ;;
    *) fail "unknown engine '$engine': docker, podman or apptainer" ;;
esac
