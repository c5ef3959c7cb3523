"""What a store tells of its origin: step, parameters, code, inputs, device; no clocks, so that results repeat."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from linumpy_lib import __version__

ROOT = Path(__file__).resolve().parent.parent
_FROM = re.compile(r"^\s*from\s+(linumpy_lib(?:\.\w+)*)\s+import\s+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^\s*import\s+(linumpy_lib(?:\.\w+)*)", re.MULTILINE)


def _module_file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_files(script: Path, root: Path = ROOT) -> dict[str, Path]:
    """List the files that a script depends on, itself included.

    The import lines are read as text, indented ones too, so that nothing is executed; `lib/CodeHash.groovy` follows the
    same rules for the launcher, and a contract test holds the two equal.

    Parameters
    ----------
    script : Path
        A file of `bin/`.
    root : Path
        The folder that holds `linumpy_lib/`.

    Returns
    -------
    dict of str to Path
        Files by the name under which they count (``bin/<script>`` and ``linumpy_lib/...``), sorted by it.
    """
    found: dict[str, Path] = {}
    queue = [(f"bin/{script.name}", script)]
    while queue:
        label, file = queue.pop()
        if label in found:
            continue
        found[label] = file
        text = file.read_text(encoding="utf-8")
        modules = set(_IMPORT.findall(text))
        for package, names in _FROM.findall(text):
            modules.add(package)
            for name in re.findall(r"\w+", re.sub(r"#[^\n]*|\bas\s+\w+", "", names)):
                modules.add(f"{package}.{name}")
        for module in modules:
            parts = module.split(".")
            for length in range(1, len(parts) + 1):
                target = _module_file(root, ".".join(parts[:length]))
                if target is not None:
                    queue.append((target.relative_to(root).as_posix(), target))
    return dict(sorted(found.items()))


def code_hash(script: Path, root: Path = ROOT) -> str:
    """Return 16 hexadecimal digits that change with any code that a step's script depends on.

    Parameters
    ----------
    script : Path
        A file of `bin/`.
    root : Path
        The folder that holds `linumpy_lib/`.
    """
    digest = hashlib.sha256()
    for label, file in imported_files(script, root).items():
        digest.update(f"{label}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def provenance(
    step: str,
    parameters: Mapping[str, Any],
    *,
    code: str,
    inputs: Mapping[str, str],
    device: str,
    seeds: Iterable[int] = (),
) -> dict[str, Any]:
    """Build the provenance entry that every store carries.

    Parameters
    ----------
    step : str
        Name of the step that writes the store.
    parameters : mapping
        The step's resolved parameters as plain JSON values.
    code : str
        Content hash of the step's code, from :func:`code_hash`.
    inputs : mapping of str to str
        Name and content digest of each input.
    device : str
        Kind of device that computed the result (``cpu``, ``cuda``, ``mps``).
    seeds : iterable of int
        Seeds of random generators.
    """
    return {
        "software": "linumpy-pipeline",
        "version": __version__,
        "code": code,
        "step": step,
        "parameters": dict(sorted(parameters.items())),
        "inputs": dict(sorted(inputs.items())),
        "device": device,
        "seeds": list(seeds),
    }
