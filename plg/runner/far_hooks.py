"""What workers tell of their jobs (`plg.worker`): streams that plg makes, reads in small pieces, and removes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plg.dataclass import dataclass
from plg.queues.base import Question
from plg.queues.tracing import Tracing
from plg.targets.base import TargetError
from plg.targets.inquiry import Inquiry

_SPARE = 3600.0
"""Seconds for which a stream outlives its run, where plg does not live to remove it."""
_PAGE = 1000
_MOST_WHY = 60
"""Bytes of a worker's reason."""
_MOST_SEQ = 1 << 62
APART = 0.005
"""Clocks that differ by less (s) count as one: it cannot be told from the way to the server."""


@dataclass(frozen=True, slots=True)
class Told:
    """One record: the job's number, seconds since the epoch by the worker's clock, and how it ended: done, failed,
    retry, dropped for the reason ``why``, or "" where it was only started."""

    seq: int
    started: float | None
    finished: float | None
    end: str
    attempt: int
    worker: str
    why: str = ""


class Hooks:
    """The streams of a run. ``heard`` records came so far; ``offsets`` says by worker how far (s) the server's clock is
    ahead of its own.

    Several generators of one run (``parts``) read the same streams: each reads all, and none takes anything away. The
    last that is done removes them, which each tells by what the others leave there.
    """

    def __init__(self, tracings: Sequence[Tracing | None], inquiry: Inquiry, parts: int = 1) -> None:
        self._parts, self._left = parts, 0
        self._tracings = {tracing.stream: tracing for tracing in tracings if tracing is not None}
        self._inquiry = inquiry
        self._last: dict[str, bytes] = dict.fromkeys(self._tracings, b"-")
        self._offsets: dict[str, float] = {}
        self._entries = dict.fromkeys(self._tracings, 0)
        self.heard = self.size = 0
        self._given_up = 0
        self._removed = ""

    @property
    def missed(self) -> str:
        """Why not all is known that workers had to tell; a clause, empty where all is."""
        if self._given_up and not self._removed:
            many = f"{self._given_up:,} record{'s' * (self._given_up != 1)}"
            return f"workers gave up {many} of jobs that they could not send in time"
        return self._removed

    def open(self, run_id: str, lasting: float) -> None:
        """Make the streams, for a run that lasts so many seconds at most. Raises `TargetError`."""
        questions: list[Question] = []
        for key in self._tracings:
            questions += [("XADD", key, "*", "run", run_id), ("EXPIRE", key, round(lasting + _SPARE))]
        for answer in self._inquiry.ask(questions):
            if isinstance(answer, Exception):
                raise TargetError("refused", f"{next(iter(self._tracings))} cannot be written: {answer}")

    def read(self, most: int) -> tuple[list[Told], bool]:
        """Up to so many records of each stream, and whether there may be more. Raises `TargetError`."""
        asked: list[Question] = [("XRANGE", key, last, "+", "COUNT", most) for key, last in self._last.items()]
        answers = self._inquiry.ask(asked)
        found, more, read = list[Told](), False, list[Question]()
        for key, entries in zip(self._tracings, answers, strict=True):
            if isinstance(entries, Exception):
                raise TargetError("refused", f"{key} cannot be read: {entries}")
            more |= len(entries) == most
            for stamp, fields in entries:
                told = self._told(self._tracings[key], stamp, fields or [])
                found += [told] if told is not None else []
            self._entries[key] += len(entries)
            if entries:
                self._last[key] = b"(" + entries[-1][0]
                if self._parts == 1:
                    read.append(("XTRIM", key, "MINID", entries[-1][0]))
                self.size += sum(len(word) + 6 for _, fields in entries for word in fields or [])
        if read:
            self._inquiry.ask(read)
        self.heard += len(found)
        return found, more

    def take_stock(self) -> Callable[[], None]:
        """Ask how much was told by now; what this gives is called once all of that has been read. Raises
        `TargetError`."""
        answers = self._inquiry.ask([("XINFO", "STREAM", key) for key in self._tracings])

        def compare() -> None:
            for key, answer in zip(self._tracings, answers, strict=True):
                if isinstance(answer, Exception):
                    if "no such key" in str(answer).lower():
                        self._removed = f"{key}, in which workers tell of their jobs, was removed by somebody"
                    continue
                # Redis before 7 does not say how many entries there were.
                added = dict(zip(answer[::2], answer[1::2], strict=False)).get(b"entries-added", 0)
                if added > self._entries[key]:
                    lost = added - self._entries[key]
                    self._removed = (
                        f"{lost:,} of {added:,} records of workers were removed from {key} before they were read"
                    )

        return compare

    def _told(self, tracing: Tracing, stamp: bytes, fields: Sequence[bytes]) -> Told | None:
        given = dict(zip(fields[::2], fields[1::2], strict=False))
        self._left += b"left" in given
        seq = tracing.seq_of(given.get(b"id", b""))
        if seq is None or seq > _MOST_SEQ:
            return None
        self._given_up += int(_number(given.get(b"lost")) or 0)
        worker = given.get(b"w", b"").decode("utf-8", "replace")
        sent = _number(given.get(b"t"))
        if sent is not None and worker:
            # The server writes whole milliseconds down, rounded off; the shortest way tells most.
            ahead = int(stamp.partition(b"-")[0]) / 1000 + 0.0005 - sent
            self._offsets[worker] = min(ahead, self._offsets.get(worker, ahead))
        return Told(
            seq, _number(given.get(b"s")), _number(given.get(b"f")), given.get(b"end", b"").decode("ascii", "replace"),
            int(_number(given.get(b"n")) or 1), worker, given.get(b"why", b"")[:_MOST_WHY].decode("utf-8", "replace"),
        )  # fmt: skip

    @property
    def offsets(self) -> dict[str, float]:
        """0 for a clock that cannot be told from the server's."""
        return {worker: 0.0 if abs(offset) < APART else offset for worker, offset in self._offsets.items()}

    def close(self) -> None:
        """Remove the streams, once all generators have left them. Raises `TargetError`."""
        if self._parts > 1:
            first = next(iter(self._tracings))
            self._inquiry.ask([("XADD", first, "NOMKSTREAM", "*", "left", "1")])
            while self.read(_PAGE)[1]:
                pass
            if self._left < self._parts:
                return
        self._inquiry.ask([("DEL", key) for key in self._tracings])


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if abs(value) < 1e12 else None
