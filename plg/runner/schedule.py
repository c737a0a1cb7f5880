"""The arrivals of a plan as a queue that is taken from the front."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from plg.plan import Chunk
from plg.runner.recording import Floats, Ints

Mask = npt.NDArray[np.bool_]


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

    __slots__ = ("_chunk", "_chunks", "_due", "_kept", "_position", "head", "taken")

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self.taken = 0
        self._advance()

    def _advance(self) -> None:
        self._position = 0
        self._chunk = next(self._chunks, None)
        while self._chunk is not None and len(self._chunk.due) == 0:
            self._chunk = next(self._chunks, None)
        if self._chunk is None:
            self.head = math.inf
            return
        self._due = self._chunk.due
        self._kept = None if self._chunk.kept.all() else self._chunk.kept
        self.head = float(self._due[0])

    def take(self, until: float, limit: int) -> Batch | None:
        """The arrivals due at or before ``until``, at most ``limit`` of them; None when there are none."""
        chunk, start = self._chunk, self._position
        if chunk is None or limit <= 0 or self.head > until:
            return None
        due = self._due[start : start + limit]
        due = due[: due.searchsorted(until, "right")]
        end = start + len(due)
        kept = None if self._kept is None else self._kept[start:end]
        batch = Batch(chunk.seq[start:end], due, chunk.kind[start:end], kept)
        self.taken += end - start
        self._position = end
        if end == len(self._due):
            self._advance()
        else:
            self.head = float(self._due[end])
        return batch
