"""Ways through a document: its phases, their names, its jobs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from plg.diagnostics import Path, Words
from plg.language.source import Document
from plg.language.vocabulary import NESTED


def walk(pattern: Any) -> Iterator[tuple[Path, Document]]:
    """Every phase of a pattern with its path, outer ones first, in the order of the text."""
    stack: list[tuple[Path, Any]] = [(("pattern",), pattern)]
    while stack:
        path, phase = stack.pop()
        if not isinstance(phase, dict):
            continue
        yield path, phase
        nested = NESTED.get(phase.get("type", "")) if isinstance(phase.get("type"), str) else None
        children = phase.get(nested) if nested else None
        if isinstance(children, list):
            stack += [((*path, str(nested), index), child) for index, child in reversed(list(enumerate(children)))]


def phase_names(pattern: Any) -> Words:
    """The names by which ``during`` may speak of phases: their own, and ``phase-1`` … for the outermost without one."""
    names = {phase["name"]: None for _, phase in walk(pattern) if isinstance(phase.get("name"), str)}
    outer = pattern.get("phases") if isinstance(pattern, dict) and pattern.get("type") == "custom" else [pattern]
    nameless = sum(isinstance(p, dict) and "name" not in p for p in outer) if isinstance(outer, list) else 0
    free = (f"phase-{number}" for number in itertools.count(1) if f"phase-{number}" not in names)
    return Words([*names, *itertools.islice(free, nameless)])


def each_job(document: Document) -> Iterator[tuple[Path, Document]]:
    """The jobs of a document, whichever way they are given."""
    if isinstance(document.get("job_config"), dict):
        yield ("job_config",), document["job_config"]
    jobs = document.get("jobs")
    for index, job in enumerate(jobs if isinstance(jobs, list) else []):
        if isinstance(job, dict):
            yield ("jobs", index), job
