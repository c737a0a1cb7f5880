"""Many jobs made at once: a matrix of bytes, one row a job, in which only the digits differ.

Jobs of one kind whose numbers have the same count of digits are equally long. So a batch is the same row over and
over, and what changes (the sequence number, the moment of sending) is written into all rows by columns, three digits at
a time from a table. This costs some tens of nanoseconds a job where a string a job costs microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plg.language.templates import Slot

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Piece = str | Slot | None
"""Constant text, a slot for a number, or None for the moment of sending (seconds with six decimals)."""

_DIGITS = np.array([list(b"%03d" % n) for n in range(1000)], dtype=np.uint8)
_HEX = np.array([list(b"%03x" % n) for n in range(4096)], dtype=np.uint8)
_BUFFERS = 4
"""Thousands of rows kept; one batch may lie in all but one of them."""
_HEX_WIDTH = 12
_NOW_MS_WIDTH = 13
_WALL_WIDTH = 17


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

    def write(self, seq: Ints, wall: float) -> list[Bytes]:
        """The jobs numbered ``seq`` (ascending, not negative), leaving at ``wall``, as matrices in their order.

        Matrices are valid until the next call. There is mostly one; more where a thousand or a power of ten is passed.
        """
        first, last = int(seq[0]), int(seq[-1])
        if self._consecutive and first >= 1000 and last - first == len(seq) - 1 < 1000 * (_BUFFERS - 1):
            return self._from_thousands(first, last + 1, wall)
        digits = len(str(first))
        if last < 10**digits:
            return [self._matrix(seq, digits, wall)]
        cuts = np.searchsorted(seq, [10**more for more in range(digits, len(str(last)))])
        return [self._matrix(part, digits + i, wall) for i, part in enumerate(np.split(seq, cuts)) if len(part)]

    def _from_thousands(self, first: int, end: int, wall: float) -> list[Bytes]:
        matrices = []
        while first < end:
            thousand, start = divmod(first, 1000)
            stop = min(1000, start + end - first)
            form, rows = self._thousand(thousand)
            rows = rows[start:stop]
            _write_moment(rows, form, wall)
            matrices.append(rows)
            first += stop - start
        return matrices

    def _thousand(self, thousand: int) -> tuple[_Row, Bytes]:
        place, digits = thousand % _BUFFERS, len(str(thousand)) + 3
        made = self._thousands[place]
        if made is not None and made[0] == thousand:
            return self._forms[digits], made[2]
        seq = np.arange(thousand * 1000, thousand * 1000 + 1000)
        if made is None or made[1] != digits:
            rows = self._matrix(seq, digits, 0.0)
        else:
            rows = made[2]
            high = np.frombuffer(b"%d" % thousand, dtype=np.uint8)
            for at in self._forms[digits].seq:
                rows[:, at : at + digits - 3] = high
            if self._forms[digits].seq_hex:
                _write_number(rows, self._forms[digits].seq_hex, seq, _HEX_WIDTH, 4096, _HEX)
        self._thousands[place] = thousand, digits, rows
        return self._forms[digits], rows

    def _matrix(self, seq: Ints, digits: int, wall: float) -> Bytes:
        form = self._forms.get(digits)
        if form is None:
            form = self._forms[digits] = self._form(digits)
        rows = np.empty((len(seq), len(form.row)), dtype=np.uint8)
        rows[:] = form.row
        if form.seq:
            _write_number(rows, form.seq, seq, digits, 1000, _DIGITS)
        if form.seq_hex:
            _write_number(rows, form.seq_hex, seq, _HEX_WIDTH, 4096, _HEX)
        _write_moment(rows, form, wall)
        return rows

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


def _write_moment(rows: Bytes, form: _Row, wall: float) -> None:
    for at in form.wall:
        rows[:, at : at + _WALL_WIDTH] = np.frombuffer(b"%017.6f" % wall, dtype=np.uint8)
    for at in form.now_ms:
        rows[:, at : at + _NOW_MS_WIDTH] = np.frombuffer(b"%013d" % int(wall * 1000), dtype=np.uint8)


def _write_number(rows: Bytes, places: tuple[int, ...], number: Ints, width: int, base: int, table: Bytes) -> None:
    """Write the last ``width`` digits of ``number`` at each of ``places``, three at a time from the right."""
    groups = []
    rest = number
    for _ in range((width + 2) // 3):
        high = rest // base
        groups.append(table[rest - high * base])
        rest = high
    for at in places:
        end = at + width
        for group in groups:
            start = max(at, end - 3)
            rows[:, start:end] = group[:, 3 - (end - start) :]
            end = start
