"""Every command in the documentation names what exists: targets, scripts, parameters and their values.

They are run for real by `make test-long` (tests/long/test_documented_runs.py).
"""

from __future__ import annotations

import json
import re
import shlex

import pytest
from support.documented_commands import PAGES, ROOT, Command, documented_commands

SCHEMA = {
    name: item
    for group in json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"].values()
    for name, item in group["properties"].items()
}
LAUNCHER = {"-profile", "-resume", "-stub", "-params-file", "-c", "-with-apptainer"}


def words_of(command: Command) -> list[str]:
    return shlex.split(command.text.split("|")[0].split(">")[0])


def check_run(words: list[str]) -> None:
    assert words[:2] == ["run", "main.nf"]
    for number, word in enumerate(words):
        value = words[number + 1] if number + 1 < len(words) and not words[number + 1].startswith("-") else None
        if word == "-profile":
            assert value
            for profile in value.split(","):
                assert re.search(rf"^\s+{profile}\s*\{{", (ROOT / "nextflow.config").read_text(), re.MULTILINE), profile
        elif word.startswith("--"):
            name = word[2:]
            assert name in SCHEMA, word
            item = SCHEMA[name]
            assert value is not None or item["type"] == "boolean" or name == "help", f"{word} needs a value"
            if value is not None and "enum" in item:
                assert value in map(str, item["enum"]), f"{word} {value}"
        elif word.startswith("-"):
            assert word in LAUNCHER, word


def check_script(name: str, words: list[str]) -> None:
    assert (ROOT / "bin" / name).is_file(), name
    known = (ROOT / "docs" / "parameters.md").read_text() + (ROOT / "linumpy_lib" / "cli.py").read_text()
    for word in words:
        if word.startswith("--") and word != "--help":
            flag = word.split("=")[0][2:]
            step = "".join(path.read_text() for path in (ROOT / "linumpy_lib").rglob(f"steps/{name}"))
            assert re.search(rf"\b{flag}\b", step + known), f"{name} has no {word}"


def check_target(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [word for word in words if "=" not in word and not word.startswith("-") and word.islower()]
    assert not set(named) - targets, words


@pytest.mark.parametrize("command", documented_commands(), ids=str)
def test_it_names_what_exists(command: Command) -> None:
    program, *words = words_of(command)
    name = program.split("/")[-1]
    if name == "nextflow" and words[:1] == ["run"]:
        check_run(words)
    elif name == "make":
        check_target(words)
    elif name.endswith(".py"):
        check_script(name, words)
    elif name == "python":
        place = words[1].replace(".", "/") + ".py" if words[0] == "-m" else words[0]
        assert (ROOT / place).is_file() or words[:2] == ["-m", "linumpy_lib.generate"], place
    elif name == "pytest":
        assert all((ROOT / word).exists() for word in words if "/" in word)
    else:
        assert name in {"sed", "rm", "pip", "uv", "apt", ".", "nextflow"}


def test_pages_show_commands() -> None:
    found = documented_commands()
    assert len(found) > 40
    assert len({command.page for command in found}) > len(PAGES) / 2
