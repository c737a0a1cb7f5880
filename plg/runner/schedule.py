"""The arrivals of a plan as a queue that is taken from the front."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from plg.plan import Chunk, Plan
from plg.plan.plan import CHUNK
from plg.runner.recording import Floats, Ints

Mask = npt.NDArray[np.bool_]
AHEAD = 6144
"""Arrivals that can be seen ahead, if the plan has them: no batch ends sooner for a reason of its own."""
_CHUNK_S, _FEWEST = 0.1, 2048
"""Arrivals are worked out for this time (s) at once, or this number of them: work that fits between two departures."""


class Batch:
    """Arrivals in due order: sequence numbers, due times (s of the run), index of the job kind; and whether the rate
    limit keeps each, None where it keeps them all."""

    __slots__ = ("due", "kept", "kind", "seq")

    def __init__(self, seq: Ints, due: Floats, kind: npt.NDArray[np.intp], kept: Mask | None = None) -> None:
        self.seq, self.due, self.kind, self.kept = seq, due, kind, kept

    def __len__(self) -> int:
        return len(self.due)

    def split(self) -> tuple[Floats, Batch]:
        """Due times of the arrivals that the rate limit sheds, and the batch of those it keeps."""
        if self.kept is None:
            return self.due[:0], self
        return self.due[~self.kept], Batch(self.seq[self.kept], self.due[self.kept], self.kind[self.kept])


class Schedule:
    """Reads chunks only as they are needed, so that its memory does not grow with the run.

    ``head`` is the due time of the first arrival that is left, infinity when none is; ``taken`` counts the others.
    """

    __slots__ = ("_chunks", "_due", "_ended", "_kept", "_kind", "_position", "_seq", "head", "taken")

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._ended = False
        self._seq: Ints = np.zeros(0, dtype=np.int64)
        self._due: Floats = np.zeros(0)
        self._kind: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._kept: Mask | None = None
        self._position = self.taken = 0
        self._move(0)

    @staticmethod
    def of(plan: Plan) -> Schedule:
        """All arrivals of a plan, worked out piece by piece."""
        return Schedule(plan.chunks(max(_FEWEST, min(CHUNK, int(plan.peak_rate * _CHUNK_S)))))

    def ahead(self, until: float, limit: int, passed: int = 0) -> Batch | None:
        """The arrivals due at or before ``until`` behind the first ``passed``, at most ``limit``; None where none are.

        They are left where they are: `skip` takes those that were dealt with. A batch ends where a chunk does, but not
        within the next `AHEAD` arrivals.
        """
        start = self._position + passed
        if limit <= 0 or start >= len(self._due) or self._due[start] > until:
            return None
        due = self._due[start : start + limit]
        end = start + int(due.searchsorted(until, "right"))
        kept = None if self._kept is None else self._kept[start:end]
        return Batch(self._seq[start:end], self._due[start:end], self._kind[start:end], kept)

    def due_after(self, count: int) -> float:
        """Due time of the arrival behind the next ``count``; infinity where it cannot be seen yet."""
        at = self._position + count
        return float(self._due[at]) if at < len(self._due) else math.inf

    def skip(self, count: int) -> None:
        """The first ``count`` arrivals have been dealt with."""
        self.taken += count
        self._move(self._position + count)

    def take(self, until: float, limit: int) -> Batch | None:
        """`ahead` and `skip` in one."""
        batch = self.ahead(until, limit)
        if batch is not None:
            self.skip(len(batch))
        return batch

    def _move(self, position: int) -> None:
        self._position = position
        while len(self._due) - self._position < AHEAD and not self._ended:
            self._join(next(self._chunks, None))
        self.head = float(self._due[self._position]) if self._position < len(self._due) else math.inf

    def _join(self, chunk: Chunk | None) -> None:
        """Put the next chunk behind what is left."""
        if chunk is None:
            self._ended = True
            return
        rest = slice(self._position, None)
        left = len(self._due) - self._position
        kept = None if chunk.kept.all() else chunk.kept
        if left and (kept is not None or self._kept is not None):
            before = np.ones(left, dtype=np.bool_) if self._kept is None else self._kept[rest]
            kept = np.concatenate([before, chunk.kept])
        self._seq = np.concatenate([self._seq[rest], chunk.seq])
        self._due = np.concatenate([self._due[rest], chunk.due])
        self._kind = np.concatenate([self._kind[rest], chunk.kind])
        self._kept, self._position = kept, 0
