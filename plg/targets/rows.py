"""Many jobs made at once: a matrix of bytes, one row a job, in which only the digits differ.

Jobs of one kind whose numbers have the same count of digits are equally long. So a batch is the same row over and
over, and what changes (the sequence number, the moment of sending) is written into all rows by columns, some digits at
a time from a table. This costs some tens of nanoseconds a job where a string a job costs microseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.queues.recipe import Slot, varint

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sized:
    """Pieces with their length before them: see `plg.queues.recipe.Measured`."""

    pieces: tuple[bytes | Slot, ...]


Word = tuple[bytes | Slot | Sized, ...]
"""One RESP bulk string: constants, slots, and what has its length before it."""


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
_LARGE_GROUP = 24
"""From so many jobs a moment on it is quicker to write the moment a group than a job."""


class Moment(NamedTuple):
    """How a moment of sending is written: in ticks of which there are so many a ``second``.

    All moments of a second are alike but for the last ``digits``; ``text`` gives that second with zeros for them.
    ``single`` writes one moment (s since the epoch). Where milliseconds are written ``times`` a number, no digits are
    alike: a second stands for all times.
    """

    second: int
    digits: int
    width: int
    text: Callable[[int], bytes]
    single: Callable[[float], bytes]
    times: int = 1

    def ticks(self, wall: Floats) -> Ints:
        """Moments (s since the epoch) in ticks: milliseconds are cut, as clocks do, and microseconds rounded."""
        if self.second != 1_000_000:
            return (wall * 1000).astype(np.int64) * self.times
        return np.rint(wall * self.second).astype(np.int64)


def _iso(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000", time.gmtime(second)).encode()


def _iso_of(microseconds: int) -> bytes:
    second, rest = divmod(microseconds, 1_000_000)
    return _iso(second)[:-6] + b"%06d" % rest


MOMENTS: Mapping[str, Moment] = {
    "now_ms": Moment(1000, 3, 13, lambda second: b"%010d000" % second, lambda wall: b"%d" % int(wall * 1000)),
    "now_s": Moment(1_000_000, 6, 17, lambda second: b"%010d.000000" % second, lambda wall: b"%.6f" % wall),
    "now_us": Moment(1_000_000, 6, 16, lambda second: b"%010d000000" % second, lambda wall: b"%d" % round(wall * 1e6)),
    "now_iso": Moment(1_000_000, 6, 26, _iso, lambda wall: _iso_of(round(wall * 1e6))),
    "now_ms_4096": Moment(10**16, 16, 16, lambda _: b"0" * 16, lambda wall: b"%d" % (int(wall * 1000) * 4096), 4096),
}
"""The moments by the slot that asks for them; ``now_iso`` is UTC without the Z."""


def single(slot: Slot) -> Callable[[int, float, str], bytes]:
    """What writes the slot for one job, at a moment of sending."""
    if slot.kind == "seq":
        return lambda seq, wall, phase: b"%d" % seq
    if slot.kind == "seq_hex":
        return lambda seq, wall, phase: b"%012x" % seq
    write, plus = MOMENTS[slot.kind].single, slot.plus
    return lambda seq, wall, phase: write(wall + plus)


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One row with its slots: offsets of the numbers of each kind, and of the moments by their slot."""

    row: Bytes
    seq: tuple[int, ...]
    seq_hex: tuple[int, ...]
    moments: Mapping[Slot, tuple[int, ...]]


class RowWriter:
    """Writes jobs of one kind. ``parts`` spell one job: bytes as they are, and words that become RESP bulk strings.

    Where the numbers are known to follow one another (``consecutive``), they are made a thousand at a time, and the
    thousand after next from the same bytes: its last three digits are those that stand there already.
    """

    def __init__(self, parts: Sequence[bytes | Word], *, consecutive: bool = False) -> None:
        self._parts, self._consecutive = parts, consecutive
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
        widths = {"seq": digits, "seq_hex": _HEX_WIDTH} | {kind: moment.width for kind, moment in MOMENTS.items()}
        text = bytearray()
        places: dict[Slot, list[int]] = {}
        for part in self._parts:
            if isinstance(part, bytes):
                text += part
                continue
            flat = list(_flat(part, widths))
            text += b"$%d\r\n" % _length(flat, widths)
            for piece in flat:
                if isinstance(piece, Slot):
                    places.setdefault(piece, []).append(len(text))
                    text += b"0" * widths[piece.kind]
                else:
                    text += piece
            text += b"\r\n"
        numbers = {kind: tuple(places.pop(Slot(kind), ())) for kind in ("seq", "seq_hex")}
        moments = {slot: tuple(at) for slot, at in places.items()}
        return _Row(np.frombuffer(bytes(text), dtype=np.uint8), **numbers, moments=moments)


def _flat(word: Word, widths: Mapping[str, int]) -> Iterator[bytes | Slot]:
    """The pieces of a word, lengths written out."""
    for piece in word:
        if isinstance(piece, Sized):
            yield varint(_length(piece.pieces, widths))
            yield from piece.pieces
        else:
            yield piece


def _length(pieces: Sequence[bytes | Slot], widths: Mapping[str, int]) -> int:
    return sum(widths[piece.kind] if isinstance(piece, Slot) else len(piece) for piece in pieces)


def _write_by_group(parts: Sequence[tuple[_Row, Bytes]], ends: Sequence[int], walls: Sequence[float]) -> None:
    """Few moments for many jobs: the same digits into all rows of a group at once."""
    first = 0
    for form, rows in parts:
        start = 0
        for end, wall in zip(ends, walls, strict=True):
            group = rows[start : max(start, end - first)]
            if not len(group):
                continue  # all of it lies in another matrix
            for slot, places in form.moments.items():
                _write_text(group, places, MOMENTS[slot.kind].single(wall + slot.plus))
            start += len(group)
        first += len(rows)


def _write_moments(rows: Bytes, form: _Row, wall: Floats) -> None:
    """A moment of its own for each job, in ascending order; what the jobs of a second have in common at once."""
    for slot, places in form.moments.items():
        moment = MOMENTS[slot.kind]
        ticks, start = moment.ticks(wall + slot.plus if slot.plus else wall), 0
        while start < len(ticks):
            whole = int(ticks[start]) // moment.second
            end = int(ticks.searchsorted((whole + 1) * moment.second))
            part = rows[start:end]
            _write_text(part, places, moment.text(whole))
            tails = [at + moment.width - moment.digits for at in places]
            _write_number(part, tails, ticks[start:end] - whole * moment.second, moment.digits, _DECIMAL)
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
