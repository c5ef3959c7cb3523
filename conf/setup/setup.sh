#!/usr/bin/env bash
# Makes .venv: the locked packages, the project itself (editable) and bin/nextflow. `make setup` calls it.
#
#   setup.sh [EXTRA ...]      extras: dev gpu torch viewer (each has its requirements-EXTRA.lock)
#
# A copy of each installed lock is kept in .venv/.setup; what is there already is not installed again, so a second run
# needs no network. Set PYTHON to choose the interpreter. Asks nothing, writes only below .venv (and packages' caches).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

say() { echo "setup: $*"; }
fail() {
    echo "setup: $*" >&2
    exit 1
}

stamps=.venv/.setup
venv_python=.venv/bin/python
supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
uv=$(command -v uv || true)

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c "$supported" >/dev/null 2>&1; then
            command -v -- "$candidate"
            return
        fi
        [[ $candidate != "${PYTHON:-}" ]] || fail "PYTHON=$PYTHON is not a working Python 3.11, 3.12 or 3.13"
    done
    fail "no Python 3.11, 3.12 or 3.13 on PATH: install one (Debian 12: apt install python3 python3-venv) or set PYTHON"
}

make_venv() {
    local python
    # Scripts in .venv and the editable install hold absolute paths, so a moved checkout gets a new .venv.
    if [[ -f $stamps/place && $(<"$stamps/place") == "$PWD" ]] && "$venv_python" -c "$supported" 2>/dev/null; then
        return
    fi
    python=$(find_python)
    say "making .venv with $("$python" --version)${uv:+ (uv)}"
    rm -rf .venv
    if [[ -n $uv ]]; then
        "$uv" venv --quiet --no-project --python "$python" .venv
    elif "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
    else
        fail "$python cannot make virtual environments: install its venv module (Debian: apt install python3-venv) or uv"
    fi
    mkdir -p "$stamps"
    echo "$PWD" >"$stamps/place"
}

pip_install() {
    if [[ -n $uv ]]; then
        "$uv" pip install --quiet --no-config --python "$venv_python" "$@"
    else
        "$venv_python" -m pip install --quiet --no-input --disable-pip-version-check "$@"
    fi
}

install_lock() {
    cmp -s "$1" "$stamps/$1" && return
    say "installing $1"
    # The locks are complete but for what lock.sh leaves out on purpose, which --no-deps accepts.
    pip_install --require-hashes --no-deps -r "$1"
    cp "$1" "$stamps/$1"
}

install_project() {
    cmp -s pyproject.toml "$stamps/pyproject.toml" && return
    # The build backend comes from the lock; compat mode is a plain path entry, which costs nothing at start-up.
    pip_install --no-deps --no-build-isolation --no-index --config-settings editable_mode=compat -e .
    cp pyproject.toml "$stamps/pyproject.toml"
}

# The user's own nextflow, if PATH has one; launchers of this project, in whatever checkout, do not count.
own_nextflow() {
    local candidate
    while IFS= read -r candidate; do
        head -n 2 -- "$candidate" | grep -qa 'linumpy-pipeline nextflow launcher' || {
            echo "$candidate"
            return
        }
    done < <(type -aP nextflow)
}

install_nextflow() {
    local own attempt jars=.venv/share/nextflow
    cp conf/setup/nextflow .venv/bin/nextflow
    chmod 755 .venv/bin/nextflow
    own=$(own_nextflow)
    if [[ -n $own ]]; then
        say "nextflow is $own"
        return
    fi
    cmp -s conf/setup/pom.xml "$stamps/pom.xml" && return
    command -v mvn >/dev/null ||
        fail "no nextflow on PATH and no Maven to fetch one: apt install maven openjdk-17-jre-headless, or install nextflow"
    say "fetching the Nextflow runtime (40 MB, Maven)"
    rm -rf "$jars"
    for attempt in 1 2 3; do
        if mvn -B -q -C -f conf/setup/pom.xml dependency:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$PWD/$jars" |& sed 's/\x1b\[[0-9;]*m//g' >&2; then
            .venv/bin/nextflow -version >/dev/null
            cp conf/setup/pom.xml "$stamps/pom.xml"
            return
        fi
        say "Maven failed (attempt $attempt of 3)"
    done
    fail "Maven could not resolve conf/setup/pom.xml: check the network and Maven's settings, then run make setup again"
}

make_venv
install_lock requirements.lock
for extra in "$@"; do
    [[ -f requirements-$extra.lock ]] || fail "unknown extra '$extra': choose from dev gpu torch viewer"
    install_lock "requirements-$extra.lock"
done
install_project
install_nextflow
say "ready: .venv/bin/python, .venv/bin/nextflow"
