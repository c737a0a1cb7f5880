"""Delimited text (CSV and its kin) row by row: bounded in memory, and every fault with its line.

The `csv` module takes a quotation mark that is never closed for the rest of the file, and has a limit for values that
is set for a whole process. So rows are read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

MAX_BYTES = 512 * 1024 * 1024
"""The largest file that is read."""
MAX_VALUE = 1_000_000
"""The most characters of one value."""
MAX_LINE = 8_000_000
"""The most characters of one line."""
SEPARATORS = {",": "`,`", ";": "`;`", "\t": "a tab"}
_QUOTED = re.compile(r'"[^"]*"')


class DelimitedError(ValueError):
    """A file that cannot be read as rows. ``line`` counts from 1; 0 speaks of the whole file."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class Row(NamedTuple):
    """The values of one row, and the line that it begins in."""

    line: int
    cells: list[str]


def shown(text: str) -> str:
    """A value in a sentence: quoted and short."""
    text = text.strip()
    return repr(text if len(text) <= 30 else text[:29] + "…")


def read_rows(path: Path, *, comments: bool = False, multiline: bool = True) -> Iterator[Row]:
    """Rows of ``path``, empty lines passed over; the first one decides which of `SEPARATORS` holds.

    Values may stand in double quotes, in which a double quote is doubled and, with ``multiline``, lines may end.
    ``comments`` passes over lines that begin with ``#``. Raises `DelimitedError`.
    """
    try:
        if path.is_dir():
            raise DelimitedError("this is a folder, not a file")
        if path.stat().st_size > MAX_BYTES:
            raise DelimitedError(f"the file is larger than {MAX_BYTES // 2**20} MiB")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _Reader(stream, comments, multiline).rows()
    except FileNotFoundError:
        raise DelimitedError("there is no such file") from None
    except OSError as error:
        raise DelimitedError(f"it cannot be read: {(error.strerror or 'unknown reason').lower()}") from None
    except UnicodeDecodeError:
        raise _not_text(path) from None


def _not_text(path: Path) -> DelimitedError:
    """The first line that is no UTF-8."""
    with path.open("rb") as stream:
        if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return DelimitedError("this is UTF-16; save the file as UTF-8")
        stream.seek(0)
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                return DelimitedError(f"byte 0x{byte:02x} is not UTF-8 text; save the file as UTF-8", number)
    return DelimitedError("this is not UTF-8 text; save the file as UTF-8")


class _Reader:
    def __init__(self, stream: TextIO, comments: bool, multiline: bool) -> None:
        self.stream, self.comments, self.multiline = stream, comments, multiline
        self.line = 0
        self.separator = ""

    def rows(self) -> Iterator[Row]:
        while text := self.next_line():
            if not text.strip() or (self.comments and text.lstrip().startswith("#")):
                continue
            first = self.line
            self.separator = self.separator or self.separator_of(text)
            cells = self.quoted(text) if '"' in text else text.rstrip("\r\n").split(self.separator)
            if len(text) > MAX_VALUE and max(map(len, cells)) > MAX_VALUE:
                raise DelimitedError(f"a value is longer than {MAX_VALUE:,} characters", first)
            yield Row(first, cells)

    def next_line(self) -> str:
        """The next line with its end; empty after the last."""
        text = self.stream.readline(MAX_LINE + 1)
        self.line += 1
        if len(text) > MAX_LINE:
            raise DelimitedError(f"the line is longer than {MAX_LINE:,} characters", self.line)
        if "\0" in text:
            raise DelimitedError("this is binary data, not text", self.line)
        return text

    def separator_of(self, text: str) -> str:
        """The separator of the first row; a comma where there is none at all."""
        bare = _QUOTED.sub("", text)
        found = [separator for separator in SEPARATORS if separator in bare]
        if len(found) > 1:
            words = " and ".join(SEPARATORS[separator] for separator in found)
            message = f"the first row holds {words}; which one separates the columns is not clear"
            raise DelimitedError(message, self.line)
        if not found and "|" in bare:
            raise DelimitedError("columns are separated by `,`, `;` or a tab, not by `|`", self.line)
        return found[0] if found else ","

    def quoted(self, text: str) -> list[str]:
        """The values of a row with quotation marks, with as many further lines as an open one takes in."""
        cells: list[str] = []
        position = 0
        while True:
            start = len(text) - len(text[position:].lstrip(" "))
            if text.startswith('"', start):
                value, text, position = self.quotation(text, start + 1)
                cells.append(value)
                rest = text.find(self.separator, position)
                if text[position : len(text) if rest < 0 else rest].strip(" \r\n"):
                    raise DelimitedError('a `"` stands inside a value; inside quotes it is doubled', self.line)
            else:
                rest = text.find(self.separator, position)
                cells.append(text[position:].rstrip("\r\n") if rest < 0 else text[position:rest])
            if rest < 0:
                return cells
            position = rest + len(self.separator)

    def quotation(self, text: str, position: int) -> tuple[str, str, int]:
        """The value of the quotation that opened before ``position``; the line that it ends in, and where."""
        opened, parts, length = self.line, [], 0
        while True:
            end = text.find('"', position)
            part = text[position : None if end < 0 else end]
            length += len(part)
            if length > MAX_VALUE:
                why = f"a value is longer than {MAX_VALUE:,} characters"
                raise DelimitedError(why + (', or its `"` is never closed' if self.line > opened else ""), opened)
            parts.append(part)
            if end >= 0 and text.startswith('"', end + 1):
                parts.append('"')
                position = end + 2
            elif end >= 0:
                return "".join(parts), text, end + 1
            else:
                following = self.next_line() if self.multiline else ""
                if not following:
                    raise DelimitedError('this `"` is never closed', opened)
                # The line end belongs to the value, as it stands in the file.
                text, position = following, 0
