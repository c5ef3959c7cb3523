"""The commands that the documentation shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
# What a block of commands begins its lines with; other blocks without a language show output.
COMMAND = re.compile(r"^(?:\.venv/bin/|bin/)?(?:nextflow|make|python|[a-z_]+\.py|pytest|sed|rm|pip|uv|apt|\.)\s")


@dataclass(frozen=True)
class Command:
    """One line, as it stands on a page."""

    page: str
    line: int
    text: str

    @property
    def abridged(self) -> bool:
        """Whether something is left out of it."""
        return "…" in self.text

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def documented_commands(*pages: Path) -> list[Command]:
    """Return the commands of fenced blocks without a language; a backslash joins lines, a comment ends one."""
    found = []
    for page in pages or PAGES:
        fence: str | None = None
        pending = ""
        for number, line in enumerate(page.read_text().splitlines(), 1):
            mark = re.match(r"^(`{3,})(\S*)", line)
            if mark:
                fence = None if fence is not None else mark.group(2)
                continue
            if fence != "":
                continue
            text = pending + line.strip()
            pending = ""
            if COMMAND.match(text) and text.endswith("\\"):
                pending = text[:-1]
            elif COMMAND.match(text):
                found.append(Command(page.name, number, re.sub(r"\s+#\s.*$", "", text)))
    return found
