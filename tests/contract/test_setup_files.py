"""What has to hold of the files that turn a bare machine into a running environment."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
SCRIPTS = [*sorted((ROOT / "conf" / "setup").glob("*.sh")), ROOT / "conf" / "setup" / "nextflow", ROOT / ".ci" / "run"]

PINNED = re.compile(r"[a-z0-9][a-z0-9._-]*==[\w.+!]+( ; [\w\s.'\"()<>=!*]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(lock: Path) -> dict[str, set[str]]:
    """Return the versions that a lock names for each package (several where markers tell them apart)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9][^=\s]*)==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_holds_only_pins_markers_and_hashes(lock: Path) -> None:
    strange = [
        line for line in lock.read_text().splitlines() if not PINNED.fullmatch(line) and not HASH.fullmatch(line)
    ]
    assert strange == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_pin_has_a_hash(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    bare = [line for line, after in zip(lines, [*lines[1:], ""], strict=True) if "==" in line and "--hash" not in after]
    assert bare == []


def test_each_extra_has_its_lock() -> None:
    extras = {name for name, needs in project()["optional-dependencies"].items() if needs}
    assert {path.name for path in LOCKS} == {"requirements.lock"} | {f"requirements-{name}.lock" for name in extras}


def test_locks_agree_on_versions() -> None:
    base = pins(ROOT / "requirements.lock")
    for lock in LOCKS:
        extra = pins(lock)
        assert {name: extra.get(name) for name in base} == base, lock.name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_cover_what_pyproject_declares(lock: Path) -> None:
    extra = lock.stem.partition("-")[2]
    needs = [*project()["dependencies"], *(project()["optional-dependencies"][extra] if extra else [])]
    names = {re.match(r"[\w.-]+", need)[0].lower().replace("_", "-") for need in needs}
    assert names <= pins(lock).keys()


def test_base_lock_is_for_the_cpu() -> None:
    heavy = [
        name
        for name in pins(ROOT / "requirements.lock")
        if re.match(r"nvidia|cuda|cupy|torch|triton|napari|pyqt", name)
    ]
    assert heavy == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_are_executable(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert script.stat().st_mode & 0o111, f"{script.name} is not executable"


def test_makefile_has_the_targets_of_the_contract() -> None:
    contract = ROOT.parent / "shared" / "contract.md"
    if not contract.is_file():
        pytest.skip("the contract is not beside this checkout")
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)`", contract.read_text())) | {"demo", "test"}
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_make_lists_its_targets() -> None:
    listing = subprocess.run(["make", "-C", ROOT, "help"], check=True, capture_output=True, text=True).stdout
    assert "make setup" in listing
    assert "make test " in listing


def test_no_tracked_file_names_a_machine_path_or_index() -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    pattern = re.compile(rb"(?<![\w.$}])/(?:work|root|home)/\w|--(?:extra-)?index-url[ =]\S|://\S+/simple\b")
    guilty = []
    for name in filter(None, files.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        if found := pattern.search(path.read_bytes()):
            guilty.append(f"{name}: {found[0].decode()}")
    assert guilty == []


def test_launcher_without_runtime_says_what_to_do(tmp_path: Path) -> None:
    launcher = tmp_path / "bin" / "nextflow"
    launcher.parent.mkdir()
    launcher.write_bytes((ROOT / "conf" / "setup" / "nextflow").read_bytes())
    launcher.chmod(0o755)
    done = subprocess.run(
        [launcher, "-version"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        pytest.skip("this machine has a nextflow in /usr/bin")
    assert done.stderr.count("\n") == 1
    assert "run 'make setup'" in done.stderr


def test_launcher_prefers_the_users_nextflow_and_never_itself(tmp_path: Path) -> None:
    source = (ROOT / "conf" / "setup" / "nextflow").read_bytes()
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "nextflow").write_bytes(source)
        (tmp_path / place / "nextflow").chmod(0o755)
    own = tmp_path / "own" / "nextflow"
    own.parent.mkdir()
    own.write_text('#!/bin/sh\necho "own $*|$PATH"\n')
    own.chmod(0o755)
    path = f"{tmp_path}/one:{tmp_path}/two:{tmp_path}/own:/usr/bin:/bin"
    done = subprocess.run(
        [tmp_path / "one" / "nextflow", "run", "a b"],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    assert done.stdout == f"own run a b|{tmp_path}/one:{path}\n"


@pytest.mark.parametrize(
    ("banner", "said"), [('openjdk version "11.0.2" 2019', "is Java 11"), ("garbage", "cannot read")]
)
def test_launcher_refuses_an_old_java(tmp_path: Path, banner: str, said: str) -> None:
    launcher = tmp_path / "bin" / "nextflow"
    launcher.parent.mkdir()
    launcher.write_bytes((ROOT / "conf" / "setup" / "nextflow").read_bytes())
    launcher.chmod(0o755)
    jar = tmp_path / "share" / "nextflow" / "nextflow-0.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    java.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "JAVA_CMD": str(java), "HOME": str(tmp_path)}
    done = subprocess.run([launcher, "-version"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "install Java 17" in done.stderr
