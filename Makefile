# `make` lists the targets. Each one sets up what it needs first; nothing is written outside this folder but caches.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# An environment of your own instead of .venv: make test-gpu SETUP=: BIN=/path/to/bin
SETUP := conf/setup/setup.sh
BIN := .venv/bin
# Extra arguments for pytest, nextflow or the benchmark: make test ARGS='-k storage'
ARGS ?=

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup:  ## make .venv with the locked packages and nextflow; EXTRAS='viewer torch gpu dev' adds to it
	@$(SETUP) $(EXTRAS)

.PHONY: demo
demo: setup  ## run the demo profile into demo_results/
	@$(BIN)/nextflow run main.nf -profile demo,cpu --output demo_results $(ARGS)

.PHONY: check
check:  ## static checks: format, lint, types, import rules, generated files, Nextflow syntax, documentation
	@$(SETUP) dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m linumpy_lib.generate --check
	$(BIN)/shellcheck conf/setup/nextflow conf/setup/*.sh .ci/run
	conf/setup/lint_nextflow.sh
	@$(MAKE) docs

.PHONY: test
test: check  ## make check, then every test that needs no special hardware
	@$(SETUP) dev torch
	@$(BIN)/python -m pytest -n 2 -m "not gpu and not mps and not slurm and not containers and not long and not faults" $(ARGS)
	@$(MAKE) nf-test

.PHONY: nf-test
nf-test:  ## the suites of modules and runs with nf-test, where PATH has it; pytest runs the same cases without
	@$(SETUP) dev
	@if command -v nf-test > /dev/null; then \
		PATH="$(CURDIR)/$(BIN):$$PATH" nf-test test --config tests/nf-test.config; \
	else \
		echo "nf-test is not on PATH: its suites (*.nf.test) are left out; pytest drives nextflow through the same cases"; \
	fi

.PHONY: test-gpu
test-gpu:  ## the tests that need a CUDA device
	@$(SETUP) dev gpu
	@$(BIN)/python -m pytest -m gpu $(ARGS)

.PHONY: test-slurm
test-slurm:  ## the tests on a Slurm cluster of one node, started for them and stopped; installs Debian's slurm-wlm and munge
	@$(SETUP) dev
	@conf/setup/slurm.sh
	@$(BIN)/python -m pytest -m slurm $(ARGS)

.PHONY: image apptainer
image:  ## the Docker image of this version; VARIANT=cuda for NVIDIA devices, ENGINE=podman for Podman
	@containers/build.sh $(or $(ENGINE),docker) $(or $(VARIANT),cpu) $(ARGS)

apptainer:  ## the Apptainer file of this version, which runs offline; VARIANT=cuda for NVIDIA devices
	@containers/build.sh apptainer $(or $(VARIANT),cpu) $(ARGS)

.PHONY: test-containers
test-containers:  ## runs inside the images that were built, against a run outside
	@$(SETUP) dev
	@$(BIN)/python -m pytest -m containers $(ARGS)

.PHONY: test-long
test-long:  ## every value of every option, every preset and every documented command, in whole runs; an hour
	@$(SETUP) dev
	@$(BIN)/python -m pytest -m long $(ARGS)

.PHONY: test-faults
test-faults:  ## disturb runs in every way that tests/faults knows: how many they survive, bytes lost
	@$(SETUP) dev
	@$(BIN)/python -m pytest -m faults tests/faults $(ARGS)

# Damaged files for each reader: make fuzz CASES=20000
CASES ?= 2000

.PHONY: fuzz
fuzz:  ## give each reader of files CASES damaged ones: a result or a refusal, soon, in little memory
	@$(SETUP) dev
	@FUZZ_CASES=$(CASES) $(BIN)/python -m pytest -n 2 -rP tests/unit/io/test_fuzz_formats.py tests/unit/acquisition/test_fuzz.py $(ARGS)

# pip-audit asks the package index for advisories; an index that serves none makes it fail, not pass.
AUDIT := pip-audit==2.10.1

.PHONY: audit
audit:  ## known vulnerabilities of every locked package; needs a package index that serves advisories
	@python3 -m venv .venv-audit && .venv-audit/bin/pip install --quiet '$(AUDIT)'
	@for lock in requirements*.lock; do echo "$$lock"; .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes -r "$$lock"; done

.PHONY: test-mps
test-mps:  ## the tests that need an Apple device
	@$(SETUP) dev torch
	@$(BIN)/python -m pytest -m mps $(ARGS)

.PHONY: bench
bench:  ## every benchmark in bench/: tables here, JSON in bench/results/
	@$(SETUP) dev
	@for script in bench/bench_*.py; do \
	    name=$$(basename "$$script" .py); \
	    $(BIN)/python -m "bench.$$name" --json "bench/results/$$name.json" $(ARGS); \
	done

.PHONY: bench-gpu
bench-gpu:  ## the benchmarks of a CUDA device against the CPU: tables here, JSON in bench/results/
	@$(SETUP) dev gpu
	@failed=; for script in bench/gpu_*.py; do \
	    name=$$(basename "$$script" .py); \
	    $(BIN)/python -m "bench.$$name" --json "bench/results/$$name.json" $(ARGS) || failed="$$failed $$name"; \
	done; [[ -z $$failed ]] || { echo "bench-gpu: failed:$$failed" >&2; exit 1; }

.PHONY: params
params: setup  ## regenerate conf/params.config, nextflow_schema.json and docs/parameters.md
	@$(BIN)/python -m linumpy_lib.generate

.PHONY: docs
docs:  ## build the documentation into site/
	@$(SETUP) dev
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs site
	@echo "docs: site/index.html"

.PHONY: lock
lock:  ## recompile the requirements*.lock files (needs uv)
	@conf/setup/lock.sh

.PHONY: clean
clean:  ## remove .venv, caches, built pages and demo_results/ (work/ of your own runs stays)
	@rm -rf .venv site build dist *.egg-info demo_results \
	    .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .numba_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
