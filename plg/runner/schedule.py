"""The arrivals of a plan as a queue that is taken from the front."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plg.plan import Chunk
from plg.runner.recording import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Arrivals in due order: sequence numbers, due times (s of the run), index of the job kind, and whether the rate
    limit keeps each."""

    seq: Ints
    due: Floats
    kind: npt.NDArray[np.intp]
    kept: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.seq)

    def where(self, mask: npt.NDArray[np.bool_]) -> Batch:
        return Batch(self.seq[mask], self.due[mask], self.kind[mask], self.kept[mask])


class Schedule:
    """Reads chunks only as they are needed, so that its memory does not grow with the run."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._chunk: Chunk | None = None
        self._position = 0
        self.taken = 0
        self._advance()

    def _advance(self) -> None:
        self._position = 0
        self._chunk = next(self._chunks, None)
        while self._chunk is not None and len(self._chunk.due) == 0:
            self._chunk = next(self._chunks, None)

    def next_due(self) -> float:
        """Due time of the first arrival that is left; infinity when none is."""
        return math.inf if self._chunk is None else float(self._chunk.due[self._position])

    def take(self, until: float, limit: int) -> Batch | None:
        """The arrivals due at or before ``until``, at most ``limit`` of them; None when there are none."""
        chunk, start = self._chunk, self._position
        if chunk is None or limit <= 0 or chunk.due[start] > until:
            return None
        end = start + int(np.searchsorted(chunk.due[start : start + limit], until, side="right"))
        batch = Batch(chunk.seq[start:end], chunk.due[start:end], chunk.kind[start:end], chunk.kept[start:end])
        self.taken += end - start
        self._position = end
        if end == len(chunk.due):
            self._advance()
        return batch
