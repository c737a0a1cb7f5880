"""One time measure over the cells of a run: a histogram a cell, in memory that hardly grows with the run."""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from plg.histogram import BUCKETS, bucket_of, counts_of
from plg.runner.recording import Floats, Histograms, Ints

_COMPACT_ENTRIES = 1 << 14
"""New counts that are kept as they came, before they are sorted into the rest."""
_SETTLED_ENTRIES = 1 << 13
"""Sorted counts in cells that are past which make a block."""
_MOST_PARTS = 64
"""Sorted counts that wait are so few that a look at the newest cells need not search many."""
_OPEN_CELLS = 3
_LONG_RUN = 1000
"""Values in a row of one cell, on average, for which each run is counted by itself."""
_FIRST = np.zeros(1, dtype=np.int64)
_ESCAPE = 255


class Squeezed(NamedTuple):
    """Whole numbers, most of them small: a byte each, deflated, and those of 255 or more beside them in their order."""

    small: bytes
    large: Ints

    @staticmethod
    def of(numbers: Ints) -> Squeezed:
        """None of ``numbers`` is negative."""
        small = np.minimum(numbers, _ESCAPE).astype(np.uint8)
        return Squeezed(zlib.compress(small.data, level=1), numbers[numbers >= _ESCAPE])

    def restore(self) -> Ints:
        numbers = np.frombuffer(zlib.decompress(self.small), dtype=np.uint8).astype(np.int64)
        numbers[numbers == _ESCAPE] = self.large
        return numbers


class Counts(NamedTuple):
    """How many values there are of each key ``cell * BUCKETS + bucket``; keys ascend and none comes twice."""

    keys: Ints
    counts: Ints

    @staticmethod
    def of_cell(cell: int, dense: Ints) -> Counts:
        """Of one cell, from as many counts as it has buckets, or from the first of them."""
        buckets = np.flatnonzero(dense)
        return Counts(cell * BUCKETS + buckets, dense[buckets])

    @staticmethod
    def none() -> Counts:
        return Counts(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))

    @staticmethod
    def gathered(parts: list[Counts]) -> Counts:
        keys, counts = np.concatenate([p.keys for p in parts]), np.concatenate([p.counts for p in parts])
        if (keys[1:] > keys[:-1]).all():
            return Counts(keys, counts)  # as nearly always: cells were closed in their order
        keys, where = np.unique(keys, return_inverse=True)
        return Counts(keys, np.bincount(where, weights=counts).astype(np.int64))

    def between(self, first: int, last: int) -> Counts:
        """Those of the cells from ``first`` up to ``last``, which is not among them."""
        low, high = self.keys.searchsorted([first * BUCKETS, last * BUCKETS]).tolist()
        return Counts(self.keys[low:high], self.counts[low:high])

    def rows(self, first: int, sums: Floats, minima: Floats, maxima: Floats) -> Histograms:
        """Histograms of the cells from ``first`` on, one for each of the ``sums``."""
        edges = np.arange(first, first + len(sums) + 1) * BUCKETS
        return Histograms(
            np.searchsorted(self.keys, edges), self.keys % BUCKETS, self.counts, sums, minima, maxima
        )  # fmt: skip

    def upto(self, key: int) -> tuple[Counts, Counts]:
        """Those below ``key``, and the others."""
        cut = int(np.searchsorted(self.keys, key))
        return Counts(self.keys[:cut], self.counts[:cut]), Counts(self.keys[cut:].copy(), self.counts[cut:].copy())


class _Block:
    """Counts that will hardly change any more, in a byte or so each: neighbouring keys are close, and counts small."""

    def __init__(self, counts: Counts) -> None:
        self.first, self.last = int(counts.keys[0]), int(counts.keys[-1])
        self._gaps = Squeezed.of(np.diff(counts.keys))
        self._counts = Squeezed.of(counts.counts)

    def counts(self) -> Counts:
        keys = np.cumsum(np.concatenate([[self.first], self._gaps.restore()]))
        return Counts(keys, self._counts.restore())


class CellHistogram:
    """Counts values (s) by cell and bucket.

    The newest cells are open: they have a count for every bucket. Closed ones keep only those that are not 0; they
    wait, are sorted into the recent, and settle in blocks.
    """

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self._blocks: list[_Block] = []
        self._open: dict[int, Ints] = {}
        self._recent: list[Counts] = []
        self._waiting = 0
        self._sums = np.zeros(cells)
        self._minima = np.full(cells, np.inf)
        self._maxima = np.full(cells, -np.inf)
        self.totals = np.zeros(cells, dtype=np.int64)
        """How many values each cell has."""

    def add(self, cell: Ints, value: Floats) -> None:
        """One value (s) and the index of its cell an entry; the values may be written over."""
        runs = np.concatenate([_FIRST, np.flatnonzero(cell[1:] != cell[:-1]) + 1])
        if len(value) < _LONG_RUN * len(runs):
            self._add_mixed(cell, value, runs)
            return
        for start, end in pairwise([*runs.tolist(), len(value)]):
            self.add_to_one(int(cell[start]), value[start:end])

    def _add_mixed(self, cell: Ints, value: Floats, runs: Ints) -> None:
        cells = cell[runs]
        np.add.at(self.totals, cells, np.diff(runs, append=len(value)))
        np.add.at(self._sums, cells, np.add.reduceat(value, runs))
        np.minimum.at(self._minima, cells, np.minimum.reduceat(value, runs))
        np.maximum.at(self._maxima, cells, np.maximum.reduceat(value, runs))
        self._take(Counts(*np.unique(cell * BUCKETS + bucket_of(value), return_counts=True)))

    def add_to_one(self, cell: int, value: Floats) -> None:
        """Values (s, not negative) that are all of one ``cell``; they are written over."""
        largest = value.max()
        self.totals[cell] += len(value)
        self._sums[cell] += value.sum()
        self._minima[cell] = min(self._minima[cell], value.min())
        self._maxima[cell] = max(self._maxima[cell], largest)
        dense = counts_of(value, largest)
        row = self._open.get(cell)
        if row is None and len(self._open) == _OPEN_CELLS:
            oldest = min(self._open)
            if cell < oldest:
                self._take(Counts.of_cell(cell, dense))
                return
            self._close(oldest)
        if row is None:
            row = self._open[cell] = np.zeros(BUCKETS, dtype=np.int64)
        row[: len(dense)] += dense

    def _close(self, cell: int) -> None:
        self._take(Counts.of_cell(cell, self._open.pop(cell)))

    def _take(self, counts: Counts) -> None:
        self._recent.append(counts)
        self._waiting += len(counts.keys)
        if self._waiting > _COMPACT_ENTRIES or len(self._recent) > _MOST_PARTS:
            self._compact()

    def _compact(self) -> None:
        """Sort what waits into the recent; take back the blocks that it reaches into, and let what is past settle."""
        self._waiting = 0
        if not self._recent:
            return
        earliest = min(int(counts.keys[0]) for counts in self._recent)
        while self._blocks and self._blocks[-1].last >= earliest:
            self._recent.append(self._blocks.pop().counts())
        if len(self._recent) > 1:
            self._recent = [Counts.gathered(self._recent)]
        [recent] = self._recent
        # The cell before the newest may still be added to: what was sent is answered a little later.
        settled, rest = recent.upto((int(recent.keys[-1]) // BUCKETS - 1) * BUCKETS)
        if len(settled.keys) >= _SETTLED_ENTRIES:
            # Blocks of bounded size: what comes late takes back only those it reaches into.
            for at in range(0, len(settled.keys), _SETTLED_ENTRIES):
                part = slice(at, at + _SETTLED_ENTRIES)
                self._blocks.append(_Block(Counts(settled.keys[part], settled.counts[part])))
            self._recent = [rest]

    def histograms(self) -> Histograms:
        """What was counted so far."""
        for cell in sorted(self._open):
            self._close(cell)
        self._compact()
        parts = [block.counts() for block in self._blocks] + self._recent
        if not parts:
            return Histograms.empty(self._cells)
        keys, counts = np.concatenate([p.keys for p in parts]), np.concatenate([p.counts for p in parts])
        return Counts(keys, counts).rows(0, self._sums.copy(), self._minima.copy(), self._maxima.copy())

    def between(self, first: int, last: int) -> Histograms:
        """The same of the cells from ``first`` up to ``last``, which is not among them, at the cost of these."""
        if first == last:
            return Histograms.empty(0)
        low, high = first * BUCKETS, last * BUCKETS
        parts = [Counts.of_cell(cell, dense) for cell, dense in self._open.items() if first <= cell < last]
        parts += [p.between(first, last) for p in self._recent if p.keys[-1] >= low and p.keys[0] < high]
        for block in reversed(self._blocks):
            if block.last < low:
                break
            if block.first < high:
                parts.append(block.counts().between(first, last))
        span = slice(first, last)
        found = Counts.gathered(parts or [Counts.none()])
        return found.rows(first, self._sums[span].copy(), self._minima[span].copy(), self._maxima[span].copy())
