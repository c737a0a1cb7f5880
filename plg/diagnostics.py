"""Faults a user can mend: one value, one exception that carries them, one renderer per format.

Nothing else reaches a user when a scenario is wrong: no traceback, no wording of a library.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Where a node stands in a document: ``("jobs", 0, "queue")``."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source file. Lines and columns count from 1; the end column is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault or remark.

    ``code`` is a stable kebab-case word listed in the documentation, ``severity`` is ``error`` or ``warning``,
    ``path`` names the node of the document and ``span`` its place in ``file`` where a source text is known.
    """

    code: str
    message: str
    file: str = "<document>"
    span: Span | None = None
    help: str = ""
    severity: str = "error"
    path: Path = field(default=())


class ScenarioError(Exception):
    """A scenario that cannot be run. ``diagnostics`` holds every fault found, in source order."""

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(d.message for d in diagnostics))
        self.diagnostics = tuple(diagnostics)
        self.sources = dict(sources or {})


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to ``word``, or None where nothing is near enough to suggest."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
