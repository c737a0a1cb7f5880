"""A scenario file as it was read: its text, the plain document in it, and where every node of the document stood."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path as FilePath
from typing import Any, BinaryIO

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, Path, ScenarioError, Span

MAX_BYTES = 16 * 1024 * 1024
"""The largest scenario that is read."""
MAX_SYNTAX_ERRORS = 50
"""After so many syntax errors the rest of a file is not looked at."""
MORE_ERRORS = f"; there are more: after {MAX_SYNTAX_ERRORS} syntax errors the rest of the file is not looked at"
"""What the last of them says beside."""
MAX_DEPTH = 200
"""How deep blocks, lists and mappings may nest."""

Document = dict[str, Any]
Range = tuple[int, int]
"""A stretch of text: offset of its first character and of the one after its last."""


class Lines:
    """Offsets of a text turned into lines and columns (both from 1)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] = []

    def _index(self) -> list[int]:
        if not self._starts:
            self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        return self._starts

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at ``offset``."""
        starts = self._index()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def span(self, stretch: Range) -> Span:
        """The span of a stretch of text."""
        line, column = self.place(min(stretch[0], len(self._text)))
        end_line, end_column = self.place(min(max(stretch), len(self._text)))
        return Span(line, column, end_line, end_column)


class Spans(Mapping[Path, Span]):
    """Where each node of a document stood. Kept as offsets; a `Span` is made when one is asked for.

    ``places`` has the value of a node, ``key_places`` the key in front of it, ``pieces`` the parts of an expectation:
    offsets in its text with the stretches of the source they came from.
    """

    def __init__(self, text: str) -> None:
        self.lines = Lines(text)
        self.places: dict[Path, Range] = {}
        self.key_places: dict[Path, Range] = {}
        self.pieces: dict[Path, list[tuple[int, int, Range]]] = {}
        self.verbatim: set[Path] = set()

    def clear(self) -> None:
        """Forget every place: the text is read anew."""
        for places in (self.places, self.key_places, self.pieces, self.verbatim):
            places.clear()

    def __getitem__(self, path: Path) -> Span:
        return self.lines.span(self.places[path])

    def __iter__(self) -> Iterator[Path]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def nearest(self, path: Path) -> Span | None:
        """The span of ``path`` or of the closest node around it; that of its key where nothing is written for a value.

        A caret under the blank after a key would show nothing.
        """
        for end in range(len(path), -1, -1):
            node = path[:end]
            if node in self.places:
                first, last = self.places[node]
                return self.lines.span(
                    self.key_places[node] if first == last and node in self.key_places else (first, last)
                )
        return None

    def key(self, path: Path) -> Span | None:
        """The span of the key of ``path`` where it has one of its own, else of its value."""
        return self.lines.span(self.key_places[path]) if path in self.key_places else self.nearest(path)

    def within(self, path: Path, start: int, end: int) -> Span | None:
        """The span of the characters ``start`` to ``end`` of the string at ``path``."""
        pieces = [place for first, last, place in self.pieces.get(path, ()) if first < end and start < last]
        if pieces:
            return self.lines.span((pieces[0][0], pieces[-1][1]))
        if path in self.verbatim:
            first, last = self.places[path]
            quoted = 1 if self.lines._text[first : first + 1] in ("'", '"') else 0
            return self.lines.span((min(first + quoted + start, last), min(first + quoted + end, last)))
        return self.nearest(path)


@dataclass(frozen=True)
class Source:
    """What a scenario file held: ``document`` is plain data, ``spans`` places its nodes in ``text``.

    ``faults`` are those of the text itself. Where there are any, ``document`` is only what could be saved of it:
    ``lost`` names the statements that are not whole, and ``phase NAME`` for each phase that is not in it. ``folder`` is
    where its files lie; None for a source that may use none.
    """

    document: Document
    spans: Spans
    text: str
    file: str
    folder: FilePath | None
    faults: tuple[Diagnostic, ...] = field(default=())
    lost: frozenset[str] = frozenset()


def refusal(code: str, message: str, file: str, *, help: str = "", span: Span | None = None) -> ScenarioError:
    """A `ScenarioError` with one fault that concerns the whole file."""
    return ScenarioError([Diagnostic(code, message, file, span, help)])


def read_bytes(path: FilePath, what: str = "scenario") -> bytes:
    """The bytes of ``path``; refuses what cannot be a scenario (or ``what`` else is read) before reading it."""
    file = str(path)
    try:
        if path.is_dir():
            raise refusal("unreadable-file", f"{file} is a folder, not a {what}", file)
        with path.open("rb") as stream:
            return bounded(stream, file)
    except FileNotFoundError:
        there = f"{file} is a link to a file that is not there" if path.is_symlink() else f"there is no file {file}"
        raise refusal("unreadable-file", there, file) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be opened"
        raise refusal("unreadable-file", f"{file} cannot be read: {reason}", file) from None


def bounded(stream: BinaryIO, file: str) -> bytes:
    """All bytes of a stream, named ``file`` where they are too many."""
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise refusal("file-too-large", f"{file} is larger than {MAX_BYTES // 2**20} MiB", file)
    return data


def decode(data: bytes, file: str, what: str = "scenario") -> str:
    """The text of a scenario file, or of ``what`` else is read: UTF-8, line ends as ``\\n``, no byte order mark."""
    if b"\0" in data:
        raise refusal("not-text", f"{file} holds binary data", file, help=f"a {what} is UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise refusal(
            "not-text",
            f"{file} is not UTF-8 text: byte 0x{data[error.start]:02x} in line {line}",
            file,
            help="save the file in UTF-8",
            span=Span(line, 1, line, 1),
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
