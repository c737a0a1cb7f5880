"""Faults a user can mend: one value, one exception that carries them, one renderer per format.

Nothing else reaches a user when a scenario is wrong: no traceback, no wording of a library.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from plg.dataclass import dataclass

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


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the node at ``path``, before it has a place in a source.

    ``at_key`` points at the node's key instead of its value, ``offsets`` (characters) at a part of its text.
    ``missing`` is the field that is not there, ``name`` the param that a reference names. What was given ``outside`` of
    the source, as on the command line, has no place in it.
    """

    code: str
    message: str
    path: Path = ()
    help: str = ""
    at_key: bool = False
    offsets: tuple[int, int] | None = None
    severity: str = "error"
    missing: str = ""
    name: str = ""
    outside: bool = False

    def at(self, path: Path) -> Fault:
        """This fault of the node at ``path``."""
        return replace(self, path=path)


class ScenarioError(Exception):
    """A scenario that cannot be run. ``diagnostics`` holds every fault found, in source order."""

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(d.message for d in diagnostics))
        self.diagnostics = tuple(diagnostics)
        self.sources = dict(sources or {})


_FEW = 100
"""Known words up to this number are all compared with one that is not known."""
_LONG = 32
"""Characters from which a word is looked up by its halves, not by all that it leaves with one character less."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to ``word``, or None where nothing is near enough to suggest."""
    candidates = known.near(word) if isinstance(known, Words) else list(known)
    found = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return found[0] if found else None


class Words(Collection[str]):
    """Names that a file gives, in its order, and those near a word without a look at each.

    A file may have thousands of names and as many words that are none of them. Where the names are more than a few,
    those are near that share with the word what is left of both without one character: a wrong, a missing, an added
    and two swapped characters all leave that.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = dict.fromkeys(names)
        self._left: dict[str, list[str]] = {}

    def __contains__(self, word: object) -> bool:
        return word in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def near(self, word: str) -> list[str]:
        """At most `_FEW` names of which one may be meant by ``word``."""
        if len(self._names) <= _FEW:
            return list(self._names)
        if not self._left:
            for name in self._names:
                for left in _leavings(name):
                    self._left.setdefault(left, []).append(name)
        found: dict[str, None] = {}
        for left in _leavings(word):
            found.update(dict.fromkeys(self._left.get(left, ())[: _FEW - len(found)]))
            if len(found) >= _FEW:
                break
        return list(found)


def _leavings(word: str) -> Iterator[str]:
    """The word, and what stays of it without one character; of a long one its two halves."""
    if len(word) > _LONG:
        yield word[: _LONG // 2]
        yield word[-_LONG // 2 :]
        return
    yield word
    for index in range(len(word)):
        yield word[:index] + word[index + 1 :]
