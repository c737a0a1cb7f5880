"""Neighbouring cells of a run that goes on: joined with those behind them, and made fewer where nobody parts them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plg.dataclass import dataclass
from plg.histogram import BUCKETS
from plg.runner.cell_histogram import Counts
from plg.runner.recording import LIVE_COUNTERS, TIMES, Histograms, Ints

_ROW = {name: row for row, name in enumerate(LIVE_COUNTERS)}


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Neighbouring cells. ``edges`` are ascending indices of the edges of the run's grid, one more than there are
    cells; ``table`` has a row for each of `LIVE_COUNTERS` and a column for each cell."""

    edges: Ints
    table: Ints
    histograms: Mapping[str, Histograms]

    @staticmethod
    def empty(edges: Ints) -> Cells:
        """Cells between these edges in which nothing has happened."""
        cells = len(edges) - 1
        table = np.zeros((len(LIVE_COUNTERS), cells), dtype=np.int64)
        return Cells(edges, table, {name: Histograms.empty(cells) for name in TIMES})

    @property
    def end(self) -> int:
        """The edge at which they end."""
        return int(self.edges[-1])

    def counter(self, name: str) -> Ints:
        """A counter's column, to be read or written."""
        column: Ints = self.table[_ROW[name]]
        return column

    def joined(self, later: Cells) -> Cells:
        """These, and behind them those that begin at their end."""
        return Cells(
            np.concatenate([self.edges, later.edges[1:]]),
            np.concatenate([self.table, later.table], axis=1),
            {name: Histograms.joined([of, later.histograms[name]]) for name, of in self.histograms.items()},
        )

    def merged(self, kept: Ints) -> Cells:
        """As few cells as the ``kept`` edges allow: those of the ends stay too."""
        starts = np.flatnonzero(np.isin(self.edges[:-1], kept))
        if not len(self.edges) > 1 or len(starts) == len(self.edges) - 1:
            return self
        starts = starts if len(starts) and starts[0] == 0 else np.concatenate([[0], starts])
        return Cells(
            self.edges[np.append(starts, -1)],
            np.add.reduceat(self.table, starts, axis=1),
            {name: _merged(of, starts) for name, of in self.histograms.items()},
        )


def _merged(of: Histograms, starts: Ints) -> Histograms:
    """One histogram for the cells from each of the ``starts`` up to the next."""
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(of.sums)))
    keys = np.repeat(group, np.diff(of.offsets)) * BUCKETS + of.buckets
    return Counts.gathered([Counts(keys, of.counts)]).rows(
        0, np.add.reduceat(of.sums, starts), np.minimum.reduceat(of.minima, starts),
        np.maximum.reduceat(of.maxima, starts),
    )  # fmt: skip
