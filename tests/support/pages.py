"""Pages of the documentation: their blocks, what they tell people to type, and what they show as its output."""

from __future__ import annotations

import re
from pathlib import Path

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_VARIES = re.compile(r"\d[\d.,]*(?:us|ms|s|m|MB|%)?")


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Language, title ("" for none) and text of each fenced block."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a block, and the lines that it is shown to print."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ ").partition("  #")[0].strip(), []))
        else:
            found[-1][1].append(line)
    return found


def as_shown(shown: str, printed: str) -> bool:
    """Whether a line was printed as it is shown: figures differ from run to run, and what else does is ``…``."""
    pattern = ".*".join(map(re.escape, _plain(shown).split("…")))
    return re.fullmatch(pattern, _plain(printed)) is not None


def _plain(line: str) -> str:
    return " ".join(_VARIES.sub("0", line).split())
