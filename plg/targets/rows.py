"""Many jobs made at once: a matrix of bytes, one row a job, in which only the digits differ.

Jobs of one kind whose numbers have the same count of digits are equally long. So a batch is the same row over and over,
and what changes (the sequence number, the moment of sending) is written into all rows by columns, three digits at a time
from a table. This costs some tens of nanoseconds a job where a string a job costs microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from plg.language.templates import Slot

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Piece = str | Slot | None
"""Constant text, a slot for a number, or None for the moment of sending (seconds with six decimals)."""

_DIGITS = np.array([list(b"%03d" % n) for n in range(1000)], dtype=np.uint8)
_HEX = np.array([list(b"%03x" % n) for n in range(4096)], dtype=np.uint8)
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


@dataclass(slots=True)
class RowWriter:
    """Writes jobs of one kind. ``pieces`` spell one job; each becomes a RESP bulk string with ``head`` before it."""

    pieces: Sequence[Piece]
    head: bytes = b""
    _rows: dict[int, _Row] = field(default_factory=dict)

    def write(self, seq: Ints, wall: float) -> list[Bytes]:
        """The jobs numbered ``seq`` (ascending, not negative), leaving at ``wall``, as matrices in their order.

        There is one matrix unless a power of ten lies within ``seq``.
        """
        first, last = len(str(int(seq[0]))), len(str(int(seq[-1])))
        if first == last:
            return [self._matrix(seq, first, wall)]
        cuts = np.searchsorted(seq, [10**digits for digits in range(first, last)])
        parts = np.split(seq, cuts)
        return [self._matrix(part, first + i, wall) for i, part in enumerate(parts) if len(part)]

    def _matrix(self, seq: Ints, digits: int, wall: float) -> Bytes:
        form = self._rows.get(digits)
        if form is None:
            form = self._rows[digits] = self._form(digits)
        rows = np.empty((len(seq), len(form.row)), dtype=np.uint8)
        rows[:] = form.row
        if form.seq:
            _write_number(rows, form.seq, seq, digits, 1000, _DIGITS)
        if form.seq_hex:
            _write_number(rows, form.seq_hex, seq, _HEX_WIDTH, 4096, _HEX)
        for places, text in ((form.wall, b"%.6f" % wall), (form.now_ms, b"%d" % int(wall * 1000))):
            for at in places:
                rows[:, at : at + len(text)] = np.frombuffer(text, dtype=np.uint8)
        return rows

    def _form(self, digits: int) -> _Row:
        widths = {"seq": digits, "seq_hex": _HEX_WIDTH, "now_ms": _NOW_MS_WIDTH}
        size = sum(
            len(p.encode()) if isinstance(p, str) else _WALL_WIDTH if p is None else widths[p.kind] for p in self.pieces
        )
        text = bytearray(self.head + b"$%d\r\n" % size)
        places: dict[str, list[int]] = {"seq": [], "seq_hex": [], "now_ms": [], "wall": []}
        for piece in self.pieces:
            if isinstance(piece, str):
                text += piece.encode()
                continue
            kind = "wall" if piece is None else piece.kind
            places[kind].append(len(text))
            text += b"0" * (_WALL_WIDTH if piece is None else widths[piece.kind])
        text += b"\r\n"
        return _Row(np.frombuffer(bytes(text), dtype=np.uint8), **{kind: tuple(at) for kind, at in places.items()})


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
