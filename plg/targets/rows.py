"""Many jobs made at once: a matrix of bytes, one row a job, in which only the digits differ.

Jobs of one kind whose numbers have the same count of digits are equally long. So a batch is the same row over and
over, and what changes (the sequence number, the moment of sending) is written into all rows by columns, some digits at
a time from a table. This costs some tens of nanoseconds a job where a string a job costs microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from plg.language.templates import Slot

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Piece = str | Slot | None
"""Constant text, a slot for a number, or None for the moment of sending (seconds with six decimals)."""


class _Table(NamedTuple):
    """All numbers of up to ``group`` digits to a ``base``: ``digits[size]`` has those of ``size`` digits, each as one
    value of as many bytes."""

    base: int
    group: int
    digits: Mapping[int, npt.NDArray[Any]]


def _table(base: int, form: bytes, kinds: Mapping[int, str]) -> _Table:
    digits = {
        size: np.frombuffer(b"".join([form % (size, n) for n in range(base**size)]), dtype=kind)
        for size, kind in kinds.items()
    }
    return _Table(base, max(kinds), digits)


_DECIMAL = _table(10, b"%0*d", {1: "u1", 2: "u2", 3: "V3", 4: "u4"})
_HEX = _table(16, b"%0*x", {1: "u1", 2: "u2"})
_BUFFERS = 4
"""Thousands of rows kept; one batch may lie in all but one of them."""
_HEX_WIDTH = 12
_NOW_MS_WIDTH = 13
_WALL_WIDTH = 17
_LARGE_GROUP = 24
"""From so many jobs a moment on it is quicker to write the moment a group than a job."""


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One row with its slots: offsets of the numbers of each kind, and of the moments."""

    row: Bytes
    seq: tuple[int, ...]
    seq_hex: tuple[int, ...]
    now_ms: tuple[int, ...]
    wall: tuple[int, ...]


class RowWriter:
    """Writes jobs of one kind. ``pieces`` spell one job; each becomes a RESP bulk string with ``head`` before it.

    Where the numbers are known to follow one another (``consecutive``), they are made a thousand at a time, and the
    thousand after next from the same bytes: its last three digits are those that stand there already.
    """

    def __init__(self, pieces: Sequence[Piece], head: bytes = b"", *, consecutive: bool = False) -> None:
        self._pieces, self._head, self._consecutive = pieces, head, consecutive
        self._forms: dict[int, _Row] = {}
        self._thousands: list[tuple[int, int, Bytes] | None] = [None] * _BUFFERS

    def stamped(
        self, numbered: Sequence[tuple[_Row, Bytes]], ends: Sequence[int], walls: Sequence[float]
    ) -> list[Bytes]:
        """The rows of `numbered`, with the moments at which they leave written into them.

        They leave in groups: group i ends before job ``ends[i]`` and leaves at ``walls[i]`` (s since the epoch).
        """
        if sum(len(rows) for _, rows in numbered) < _LARGE_GROUP * len(ends):
            wall = np.repeat(walls, [end - start for start, end in pairwise([0, *ends])])
            for form, rows in numbered:
                _write_moments(rows, form, wall[: len(rows)])
                wall = wall[len(rows) :]
        else:
            _write_by_group(numbered, ends, walls)
        return [rows for _, rows in numbered]

    def numbered(self, seq: Ints) -> list[tuple[_Row, Bytes]]:
        """The jobs numbered ``seq`` (ascending, not negative), as matrices in their order, one row a job, each with its
        form; their moments are still to be written.

        There is mostly one matrix; more where a thousand or a power of ten is passed. All are valid until the next
        call.
        """
        first, last = int(seq[0]), int(seq[-1])
        if self._consecutive and first >= 1000 and last - first == len(seq) - 1 < 1000 * (_BUFFERS - 1):
            return self._from_thousands(first, last + 1)
        digits = len(str(first))
        if last < 10**digits:
            return [self._matrix(seq, digits)]
        cuts = np.searchsorted(seq, [10**more for more in range(digits, len(str(last)))])
        return [self._matrix(part, digits + i) for i, part in enumerate(np.split(seq, cuts)) if len(part)]

    def _from_thousands(self, first: int, end: int) -> list[tuple[_Row, Bytes]]:
        parts = []
        while first < end:
            thousand, start = divmod(first, 1000)
            stop = min(1000, start + end - first)
            form, rows = self._thousand(thousand)
            parts.append((form, rows[start:stop]))
            first += stop - start
        return parts

    def _thousand(self, thousand: int) -> tuple[_Row, Bytes]:
        place, digits = thousand % _BUFFERS, len(str(thousand)) + 3
        made = self._thousands[place]
        if made is not None and made[0] == thousand:
            return self._forms[digits], made[2]
        seq = np.arange(thousand * 1000, thousand * 1000 + 1000)
        if made is None or made[1] != digits:
            _, rows = self._matrix(seq, digits)
        else:
            rows = made[2]
            _write_text(rows, self._forms[digits].seq, b"%d" % thousand)
            if self._forms[digits].seq_hex:
                _write_number(rows, self._forms[digits].seq_hex, seq, _HEX_WIDTH, _HEX)
        self._thousands[place] = thousand, digits, rows
        return self._forms[digits], rows

    def _matrix(self, seq: Ints, digits: int) -> tuple[_Row, Bytes]:
        form = self._forms.get(digits)
        if form is None:
            form = self._forms[digits] = self._form(digits)
        rows = np.empty((len(seq), len(form.row)), dtype=np.uint8)
        rows[:] = form.row
        if form.seq:
            _write_number(rows, form.seq, seq, digits, _DECIMAL)
        if form.seq_hex:
            _write_number(rows, form.seq_hex, seq, _HEX_WIDTH, _HEX)
        return form, rows

    def _form(self, digits: int) -> _Row:
        widths = {"seq": digits, "seq_hex": _HEX_WIDTH, "now_ms": _NOW_MS_WIDTH}
        size = sum(
            len(p.encode()) if isinstance(p, str) else _WALL_WIDTH if p is None else widths[p.kind]
            for p in self._pieces
        )
        text = bytearray(self._head + b"$%d\r\n" % size)
        places: dict[str, list[int]] = {"seq": [], "seq_hex": [], "now_ms": [], "wall": []}
        for piece in self._pieces:
            if isinstance(piece, str):
                text += piece.encode()
                continue
            kind = "wall" if piece is None else piece.kind
            places[kind].append(len(text))
            text += b"0" * (_WALL_WIDTH if piece is None else widths[piece.kind])
        text += b"\r\n"
        return _Row(np.frombuffer(bytes(text), dtype=np.uint8), **{kind: tuple(at) for kind, at in places.items()})


def _write_by_group(parts: Sequence[tuple[_Row, Bytes]], ends: Sequence[int], walls: Sequence[float]) -> None:
    """Few moments for many jobs: the same digits into all rows of a group at once."""
    first = 0
    for form, rows in parts:
        start = 0
        for end, wall in zip(ends, walls, strict=True):
            group = rows[start : max(start, end - first)]
            if not len(group):
                continue  # all of it lies in another matrix
            if form.wall:
                _write_text(group, form.wall, b"%017.6f" % wall)
            if form.now_ms:
                _write_text(group, form.now_ms, b"%013d" % int(wall * 1000))
            start += len(group)
        first += len(rows)


def _write_moments(rows: Bytes, form: _Row, wall: Floats) -> None:
    """A moment of its own for each job, in ascending order."""
    if form.wall:
        micros = np.rint(wall * 1e6).astype(np.int64)
        _write_second(rows, form.wall, micros, 1_000_000, b"%010d.000000", 6)
    if form.now_ms:
        _write_second(rows, form.now_ms, (wall * 1000).astype(np.int64), 1000, b"%010d000", 3)


def _write_second(rows: Bytes, places: tuple[int, ...], ticks: Ints, second: int, text: bytes, width: int) -> None:
    """Moments in ``ticks``, so many of them a ``second``: all jobs of a second have the same ``text`` but for the last
    ``width`` digits."""
    start = 0
    while start < len(ticks):
        whole = int(ticks[start]) // second
        end = int(ticks.searchsorted((whole + 1) * second))
        alike, part = text % whole, rows[start:end]
        _write_text(part, places, alike)
        tails = [at + len(alike) - width for at in places]
        _write_number(part, tails, ticks[start:end] - whole * second, width, _DECIMAL)
        start = end


def _write_number(rows: Bytes, places: Sequence[int], number: Ints, width: int, table: _Table) -> None:
    """Write the last ``width`` digits of ``number`` at each of ``places``, a few at a time from the right."""
    rest, end = number, width
    while end > 0:
        size = min(table.group, end)
        high = rest // table.base**size
        digits = table.digits[size].take(rest - high * table.base**size)
        for at in places:
            _field(rows, at + end - size, digits.dtype)[...] = digits
        rest, end = high, end - size


def _write_text(rows: Bytes, places: Sequence[int], text: bytes) -> None:
    """Write the same ``text`` into all rows at each of ``places``."""
    same = np.frombuffer(text, dtype=f"V{len(text)}")
    for at in places:
        _field(rows, at, same.dtype)[...] = same


def _field(rows: Bytes, at: int, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """The same few bytes of each row as one value, which is written several times quicker than bytes by themselves."""
    return np.ndarray(len(rows), kind, rows, at, rows.strides[:1])
