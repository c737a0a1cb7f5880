"""Collects a run into cells while it goes on, cheaply a wake-up and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plg.histogram import BUCKETS, bucket_of
from plg.runner.recording import COUNTERS, TIMES, Floats, Histograms, Ints

_FLUSH_JOBS = 4096
_FLUSH_BATCHES = 128
_COMPACT_ENTRIES = 1 << 17


Narrow = npt.NDArray[np.int32]


class _Column:
    """One time measure: pending values, then sorted (cell, bucket) counts that are compacted when they grow.

    Both are kept in 32 bits: at most 200,000 cells of 4,096 buckets, and fewer than two thousand million jobs a bucket.
    """

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self._keys: list[Narrow] = []
        self._counts: list[Narrow] = []
        self._entries = 0
        self._sums = np.zeros(cells)
        self._minima = np.full(cells, np.inf)
        self._maxima = np.full(cells, -np.inf)

    def add(self, cell: Ints, value: Floats) -> None:
        """One value (s) and the index of its cell an entry."""
        first = int(cell[0])
        if (cell == first).all():
            self._add_to_one(first, value)
            return
        keys, counts = np.unique(cell * BUCKETS + bucket_of(value), return_counts=True)
        np.add.at(self._sums, cell, value)
        np.minimum.at(self._minima, cell, value)
        np.maximum.at(self._maxima, cell, value)
        self._take(keys, counts)

    def _add_to_one(self, cell: int, value: Floats) -> None:
        # Nearly every flush falls into one cell, where counting is an order of magnitude cheaper than sorting.
        dense = np.bincount(bucket_of(value))
        buckets = np.flatnonzero(dense)
        self._sums[cell] += value.sum()
        self._minima[cell] = min(self._minima[cell], value.min())
        self._maxima[cell] = max(self._maxima[cell], value.max())
        self._take(cell * BUCKETS + buckets, dense[buckets])

    def _take(self, keys: Ints, counts: Ints) -> None:
        self._keys.append(keys.astype(np.int32))
        self._counts.append(counts.astype(np.int32))
        self._entries += len(keys)
        if self._entries > _COMPACT_ENTRIES:
            self._compact()

    def _compact(self) -> None:
        if len(self._keys) > 1:
            done, recent = self._keys[0], np.concatenate(self._keys[1:])
            # Rows before the oldest new value stand as they are: a look at a long run must not sort all of it again.
            cut = int(np.searchsorted(done, recent.min()))
            keys, where = np.unique(np.concatenate([done[cut:], recent]), return_inverse=True)
            weights = np.concatenate([self._counts[0][cut:], *self._counts[1:]])
            counts = np.bincount(where, weights=weights).astype(np.int32)
            self._keys = [np.concatenate([done[:cut], keys])]
            self._counts = [np.concatenate([self._counts[0][:cut], counts])]
        # Twice what is left: compaction costs a constant factor however many cells a run has.
        self._entries = 0

    def histograms(self) -> Histograms:
        self._compact()
        if not self._keys:
            return Histograms.empty(self._cells)
        keys, counts = self._keys[0], self._counts[0]
        offsets = np.searchsorted(keys, np.arange(self._cells + 1) * BUCKETS)
        return Histograms(
            offsets.astype(np.int64), (keys % BUCKETS).astype(np.int64), counts.astype(np.int64),
            self._sums.copy(), self._minima.copy(), self._maxima.copy(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """Gauges at ``t`` (s): jobs waiting, age of the oldest (s), processor share (1 = a core), resident bytes."""

    t: float
    queue_depth: float
    queue_age: float
    cpu: float
    memory: float
    asked: float | None = None
    """When the look at the queues began (s), where that was before ``t``: it shows them as they were since."""


class SampleLog:
    """Samples in bounded number: when full, neighbours are joined and the larger value of each gauge stays."""

    def __init__(self, limit: int = 16_384) -> None:
        self._limit = limit
        self._rows: list[Sample] = []
        self._stride = 1
        self._held: Sample | None = None
        self._held_count = 0

    def add(self, sample: Sample) -> None:
        self._held = sample if self._held is None else _larger(self._held, sample)
        self._held_count += 1
        if self._held_count >= self._stride:
            self._rows.append(self._held)
            self._held, self._held_count = None, 0
        if len(self._rows) >= self._limit:
            self._rows = [_larger(a, b) for a, b in zip(self._rows[::2], self._rows[1::2], strict=True)]
            self._stride *= 2

    def columns(self) -> tuple[Floats, dict[str, Floats]]:
        rows = self._rows + ([self._held] if self._held else [])
        table = np.array([(r.t, r.queue_depth, r.queue_age, r.cpu, r.memory) for r in rows]).reshape(-1, 5)
        names = ("queue_depth", "queue_age", "cpu", "memory")
        return table[:, 0].copy(), {name: table[:, i + 1].copy() for i, name in enumerate(names)}


def _larger(a: Sample, b: Sample) -> Sample:
    return Sample(
        a.t,
        *(float(np.fmax(getattr(a, n), getattr(b, n))) for n in ("queue_depth", "queue_age", "cpu", "memory")),
    )


class Recorder:
    """Counters and histograms of the cells given by ``edges`` (ascending, the last infinite). Times in s of the run."""

    def __init__(self, edges: Floats) -> None:
        self._edges = edges
        self._cell = 0
        cells = len(edges) - 1
        self.counters: dict[str, Ints] = {name: np.zeros(cells, dtype=np.int64) for name in COUNTERS}
        self._columns = {name: _Column(cells) for name in TIMES}
        self._sent: list[tuple[Floats, float]] = []
        self._acked: list[tuple[Floats, float]] = []
        self._timed: list[tuple[Floats, float]] = []
        self._pending = 0

    def count_now(self, counter: str, now: float, jobs: int) -> None:
        """Add ``jobs`` at the moment ``now``; moments never go back."""
        while now >= self._edges[self._cell + 1]:
            self._cell += 1
        self.counters[counter][self._cell] += jobs

    def count_due(self, counter: str, due: Floats) -> None:
        """Add one at each due time."""
        if len(due):
            np.add.at(self.counters[counter], self._cells_of(due), 1)

    def sent(self, due: Floats, now: float) -> None:
        """Jobs due at ``due`` were written at ``now``."""
        jobs = len(due)
        self.count_now("sent", now, jobs)
        self._sent.append((due, now))
        self._pending += jobs
        if self._pending >= _FLUSH_JOBS or len(self._sent) >= _FLUSH_BATCHES:
            self.flush()

    def acked(self, due: Floats, sent_at: float, now: float, *, timed: bool = True) -> None:
        """Jobs due at ``due`` and written at ``sent_at`` were confirmed at ``now``, or (not ``timed``) found to be."""
        self.count_now("acked", now, len(due))
        self._acked.append((due, now))
        if timed:
            self._timed.append((due, now - sent_at))

    def _cells_of(self, due: Floats) -> Ints:
        return np.searchsorted(self._edges, due, side="right") - 1

    def flush(self) -> None:
        """Move what is pending into the histograms."""
        if self._sent:
            due, moment = _spread(self._sent)
            self._columns["lag"].add(self._cells_of(due), np.maximum(moment - due, 0.0))
        if self._acked:
            due, moment = _spread(self._acked)
            self._columns["latency"].add(self._cells_of(due), np.maximum(moment - due, 0.0))
        if self._timed:
            due, taken = _spread(self._timed)
            self._columns["service_time"].add(self._cells_of(due), np.maximum(taken, 0.0))
        self._sent, self._acked, self._timed, self._pending = [], [], [], 0

    def histograms(self) -> dict[str, Histograms]:
        self.flush()
        return {name: column.histograms() for name, column in self._columns.items()}


def _spread(batches: Iterable[tuple[Floats, float]]) -> tuple[Floats, Floats]:
    """Batches of due times with one moment each, as two columns of equal length."""
    dues, moments = zip(*batches, strict=True)
    return np.concatenate(dues), np.repeat(np.array(moments), [len(d) for d in dues])
