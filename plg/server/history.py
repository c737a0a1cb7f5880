"""What a test told so far: its curves at several resolutions, and its messages by sequence number, both bounded."""

from __future__ import annotations

import json
import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

COLUMNS = (
    "t", "target", "allowed", "actual", "queue_depth", "queue_age_s", "cpu_percent", "memory_mb", "errors",
    "lag_p99_s", "latency_p50_s", "latency_p95_s", "latency_p99_s", "due", "sent", "acked", "shed", "late",
)  # fmt: skip
"""Of every row; times in seconds, rates in jobs a second, counts since the start."""
RESOLUTIONS: Mapping[float, int] = {0.1: 6000, 1.0: 7200, 10.0: 8640}
"""Seconds between two rows, and how many rows are kept: ten minutes, two hours and a day."""
MOST_BYTES = 1023
"""A message is never larger."""
_TRANSIENT = 12_000
"""Messages kept that a newer one of their kind replaces for a client that cannot follow: ten minutes of them."""
_LASTING = 100_000


class Ring:
    """The newest ``rows`` rows of so many numbers, oldest first; each has the number of the message that told it."""

    def __init__(self, width: int, rows: int) -> None:
        self._width, self._rows = width + 1, rows
        self._data = array("d")
        self._first = 0

    def __len__(self) -> int:
        return len(self._data) // self._width

    def add(self, seq: int, row: Sequence[float]) -> None:
        """Add a row, in place of the oldest where it is full."""
        values = array("d", [seq, *row])
        if len(self) < self._rows:
            self._data.extend(values)
            return
        at = self._first * self._width
        self._data[at : at + self._width] = values
        self._first = (self._first + 1) % self._rows

    def since(self, seq: int) -> Iterator[Sequence[float]]:
        """The rows after message ``seq``, without its number."""
        count = len(self)
        for index in range(count):
            at = ((self._first + index) % count) * self._width
            if self._data[at] > seq:
                yield self._data[at + 1 : at + self._width]


class _Coarse:
    """Rows of a coarser grid: least, largest and last value of each column in every stretch."""

    def __init__(self, step: float, rows: int) -> None:
        self.step, self.ring = step, Ring(3 * len(COLUMNS), rows)
        self._stretch = -1
        self._least: list[float] = []
        self._most: list[float] = []
        self._last: Sequence[float] = ()
        self._seq = 0

    def add(self, seq: int, row: Sequence[float]) -> None:
        stretch = int(row[0] / self.step + 1e-6)
        if stretch != self._stretch:
            self._flush()
            self._stretch, self._least, self._most = stretch, list(row), list(row)
        else:
            self._least = [_lesser(a, b) for a, b in zip(self._least, row, strict=True)]
            self._most = [-_lesser(-a, -b) for a, b in zip(self._most, row, strict=True)]
        self._last, self._seq = row, seq

    def _flush(self) -> None:
        if self._last:
            self.ring.add(self._seq, [*self._least, *self._most, *self._last])

    def rows(self, since: int) -> list[Sequence[float]]:
        """With the stretch that goes on as the last one."""
        found = list(self.ring.since(since))
        if self._last and self._seq > since:
            found.append([*self._least, *self._most, *self._last])
        return found


def _lesser(a: float, b: float) -> float:
    """The smaller of two numbers; of a number and NaN the number."""
    return b if a != a or b < a else a


class Curves:
    """The rows of a test at all resolutions."""

    def __init__(self) -> None:
        (fine, rows), *coarse = RESOLUTIONS.items()
        self._fine, self._ring = fine, Ring(len(COLUMNS), rows)
        self._coarse = {step: _Coarse(step, rows) for step, rows in coarse}
        self._latest = 0.0

    def add(self, seq: int, row: Sequence[float]) -> None:
        """Add a row, told by message ``seq``."""
        self._ring.add(seq, row)
        for coarse in self._coarse.values():
            coarse.add(seq, row)
        self._latest = row[0]

    def fitting(self) -> float:
        """The finest resolution that still has all of the test."""
        return next((step for step, rows in RESOLUTIONS.items() if self._latest <= step * rows), 10.0)

    def document(self, since: int, resolution: float | None = None) -> dict[str, Any]:
        """The rows after message ``since`` by column, with ``min`` and ``max`` where rows stand for more than one."""
        step = self.fitting() if resolution is None else resolution
        if step == self._fine:
            return {"resolution_s": step, "series": _columns(list(self._ring.since(since)))}
        rows, width = self._coarse[step].rows(since), len(COLUMNS)
        return {
            "resolution_s": step,
            "series": _columns([row[2 * width :] for row in rows]),
            "min": _columns([row[:width] for row in rows]),
            "max": _columns([row[width : 2 * width] for row in rows]),
        }


def _columns(rows: Sequence[Sequence[float]]) -> dict[str, list[float | None]]:
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    return {name: [known(value) for value in column] for name, column in zip(COLUMNS, columns, strict=True)}


def known(value: float | None) -> float | None:
    """None for what is not known, else the number, to six digits behind the point."""
    return None if value is None or not math.isfinite(value) else round(value, 6)


class Message(NamedTuple):
    """One message of the stream: ``seq`` counts from 1 within its test, ``text`` is JSON."""

    seq: int
    kind: str
    text: str

    @property
    def transient(self) -> bool:
        """Whether a newer one of its kind says all that it says."""
        return self.kind in ("rate_update", "metrics_update")


class Messages:
    """The messages of one test in order. Of the transient ones those of about ten minutes are kept."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self.seq = self._transient = self._lasting = 0

    def add(self, kind: str, t: float | None, fields: Mapping[str, Any]) -> int:
        """Append a message; its number."""
        self.seq += 1
        message = Message(self.seq, kind, fitted({"type": kind, "seq": self.seq, "t": known(t), **fields}))
        if message.transient:
            self._transient += 1
        elif self._lasting >= _LASTING:
            return self.seq
        else:
            self._lasting += 1
        self._messages.append(message)
        if self._transient >= _TRANSIENT + _TRANSIENT // 8:
            self._trim()
        return self.seq

    def _trim(self) -> None:
        extra = self._transient - _TRANSIENT
        kept = []
        for message in self._messages:
            if message.transient and extra > 0:
                extra -= 1
            else:
                kept.append(message)
        self._messages, self._transient = kept, _TRANSIENT

    def after(self, seq: int, most: int | None = None) -> list[Message]:
        """Those after number ``seq``, the oldest ``most`` of them."""
        at = bisect_right(self._messages, seq, key=lambda message: message.seq)
        return self._messages[at : None if most is None else at + most]


def fitted(message: dict[str, Any]) -> str:
    """The message as JSON of at most `MOST_BYTES` bytes; its longest text is cut where it has to be."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    while len(text.encode("utf-8", "replace")) > MOST_BYTES:
        name = max((n for n, v in message.items() if isinstance(v, str)), key=lambda n: len(message[n]))
        message[name] = message[name][: max(1, len(message[name]) // 2)].rstrip("…") + "…"
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return text
