"""What a file is that stands in the place of another: told by how it begins, in the words of a user."""

from __future__ import annotations

import re
from pathlib import Path

OUTCOME, SCENARIO, JUNIT, PAGE = "the outcome of a run", "a scenario", "a JUnit report", "an HTML page"
FOLDER, XML, PICTURE, BINARY, NOTHING = "a folder", "an XML document", "a picture", "binary data", "an empty file"
_HEAD = 8192
"""Bytes of a file that are looked at."""
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_SAVED = re.compile(rb'\{\s*"version"\s*:\s*\d+\s*,.*?"scenario"\s*:\s*\{', re.DOTALL)
_DSL = re.compile(rb'(?m)^\s*scenario\s+["\w]')
_DOCUMENT = re.compile(rb'(?m)(^|[{,]\s*|^\s+)["\']?(pattern|guardrails)["\']?\s*:')


def kind_of(path: Path) -> str:
    """One of the words above, or nothing where the file is none of these, or cannot be looked at."""
    try:
        if path.is_dir():
            return FOLDER
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return ""
    return _kind(head.removeprefix(b"\xef\xbb\xbf").lstrip())


def _kind(head: bytes) -> str:
    if head.startswith(_PICTURES):
        return PICTURE
    if b"\0" in head:
        return BINARY
    if re.match(rb"<[?!a-zA-Z]", head):
        start = head.lower()
        page = start.startswith((b"<!doctype html", b"<html"))
        return PAGE if page else JUNIT if b"<testsuite" in start else XML
    if _SAVED.match(head):
        return OUTCOME
    if _DSL.search(head) or _DOCUMENT.search(head):
        return SCENARIO
    return "" if head else NOTHING
