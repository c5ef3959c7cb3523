#!/bin/sh
# Turns a bare Debian 12 into the image of this project: the one recipe behind Dockerfile and linumpy-pipeline.def.
#
#   install.sh LOCK      Debian's Python and the packages of a lock, each checked against its hash
#
# Everything goes to Debian's own places, which are on every engine's PATH: no environment variable has to survive.
# The project itself is not in the image: tasks run the code of the checkout, as they do without a container.
set -eu
lock=$1

# bash, awk, sed and grep are there; ps: Nextflow's trace asks for it; libgomp1: one of Numba's threading layers.
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends procps libgomp1 python3 python3-pip >/dev/null

# pip is gone again below, so nothing of Debian's can be broken by what it installs.
python3 -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --root-user-action=ignore \
    --break-system-packages --only-binary :all: --require-hashes --no-deps -r "$lock"

# Only the packages' own tests; what pytest would run, and nothing imports.
find /usr/local/lib/python3* -mindepth 3 -type d -name tests -prune -exec rm -rf {} +

apt-get -qq purge -y --auto-remove python3-pip >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*
