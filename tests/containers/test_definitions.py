"""The definitions of the images: pinned, without privileges, labelled, and one recipe for all engines."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from support.nextflow_runs import ROOT

from linumpy_lib import __version__

FOLDER = ROOT / "containers"
DOCKERFILE, APPTAINER, INSTALL = (FOLDER / name for name in ("Dockerfile", "linumpy-pipeline.def", "install.sh"))
SOURCES = (DOCKERFILE, APPTAINER, INSTALL, FOLDER / "build.sh")


def code(path: Path) -> str:
    """Return a definition without its comments."""
    return re.sub(r"(?m)^\s*#.*\n", "", path.read_text())


def test_the_base_is_pinned_and_the_same() -> None:
    bases = {re.search(r"BASE=(\S+)", code(path))[1] for path in (DOCKERFILE, APPTAINER)}
    assert len(bases) == 1
    assert re.fullmatch(r"debian:\d+\.\d+-slim(@sha256:[0-9a-f]{64})?", bases.pop())
    assert re.findall(r"^FROM (.*)$", code(DOCKERFILE), re.MULTILINE) == ["${BASE}"]


def test_what_an_image_holds_stands_in_one_place() -> None:
    assert re.findall(r"^RUN (.*)$", code(DOCKERFILE), re.MULTILINE) == ['sh install.sh "${LOCK}"']
    post = re.search(r"^%post\n(.*?)^%", code(APPTAINER), re.MULTILINE | re.DOTALL)[1]
    assert post.split("\n")[1].strip() == "sh install.sh {{ LOCK }}"
    recipe = code(INSTALL)
    for option in ("--require-hashes", "--no-deps", "--only-binary :all:", "--no-cache-dir", "--no-install-recommends"):
        assert option in recipe
    assert "rm -rf /var/lib/apt/lists/*" in recipe
    # An Apptainer build sees the machine's own /tmp and home.
    assert not re.search(r"rm -rf [^\n]*(/tmp|\$HOME|~)", recipe)


def test_it_runs_as_nobody() -> None:
    users = re.findall(r"^USER (\d+):(\d+)$", code(DOCKERFILE), re.MULTILINE)
    assert users
    assert int(users[-1][0]) > 0
    assert "ENTRYPOINT" not in code(DOCKERFILE)  # Nextflow brings its own command
    assert not re.search(r"^ADD ", code(DOCKERFILE), re.MULTILINE)


def test_the_labels_agree() -> None:
    docker = set(re.findall(r"([\w.-]+)=\"", re.search(r"LABEL(.*?[^\\])\n", code(DOCKERFILE), re.DOTALL)[1]))
    section = re.search(r"^%labels\n(.*?)^%", code(APPTAINER), re.MULTILINE | re.DOTALL)[1]
    assert docker == {line.split()[0] for line in section.splitlines() if line.strip()}
    assert {"org.opencontainers.image.version", "linumpy-pipeline.lock.sha256"} <= docker


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_definition_names_a_host_or_holds_a_secret(path: Path) -> None:
    assert not re.search(r"://|proxy|trusted-host|password|token|\.crt|\.pem|:latest", code(path), re.IGNORECASE)


@pytest.fixture
def engines(tmp_path: Path) -> dict[str, str]:
    """Stand-ins for the engines that write down how they are called; Apptainer's leaves the file."""
    for name in ("docker", "apptainer"):
        tool = tmp_path / name
        tool.write_text(
            '#!/bin/sh\nprintf "%s\\n" "$0" "$@" >"$CALLS"\n'
            'for word; do case $word in *.part) : >"$word";; esac; done\n'
        )
        tool.chmod(0o755)
    (tmp_path / "project" / "linumpy_lib").mkdir(parents=True)
    (tmp_path / "project" / "containers").mkdir()
    for name in ("linumpy_lib/__init__.py", "containers/build.sh", "requirements.lock", "requirements-gpu.lock"):
        copy = tmp_path / "project" / name
        copy.write_bytes((ROOT / name).read_bytes())
        copy.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}


@pytest.mark.parametrize(
    ("variant", "lock", "suffix"), [("cpu", "requirements.lock", ""), ("cuda", "requirements-gpu.lock", "-cuda")]
)
@pytest.mark.parametrize("engine", ["docker", "apptainer"])
def test_images_are_named_after_the_version(
    engine: str, variant: str, lock: str, suffix: str, engines: dict[str, str], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    done = subprocess.run(
        [project / "containers" / "build.sh", engine, variant, "--more"],
        env={**engines, "BASE": "other:1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = (tmp_path / "calls").read_text().splitlines()
    assert Path(words[0]).name == engine
    digest = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()
    for argument in (
        f"LOCK={lock}",
        f"VERSION={__version__}",
        f"VARIANT={variant}",
        f"LOCK_DIGEST={digest}",
        "BASE=other:1",
    ):
        assert words[words.index(argument) - 1] == "--build-arg"
    assert "--more" in words
    if engine == "docker":
        assert f"linumpy-pipeline:{__version__}{suffix}" in words
    else:
        assert (project / "containers" / f"linumpy-pipeline-{__version__}{suffix}.sif").exists()
        assert f"linumpy-pipeline-{__version__}{suffix}.sif" in done.stdout


def test_a_wrong_name_is_refused(engines: dict[str, str], tmp_path: Path) -> None:
    for words, said in ((["docker", "tpu"], "cpu or cuda"), (["no-such-engine"], "not on PATH")):
        done = subprocess.run(
            [tmp_path / "project" / "containers" / "build.sh", *words],
            env=engines,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert said in done.stderr


def test_hadolint_where_it_is() -> None:
    """Debian's packages are not pinned: a point release takes the old ones away, and the lock holds what computes."""
    try:
        done = subprocess.run(["hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no hadolint on PATH")
    assert done.stdout == ""
