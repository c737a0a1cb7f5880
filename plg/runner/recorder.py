"""Collects a run into cells while it goes on, cheaply a wake-up and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plg.measures import GAUGES
from plg.runner.cell_histogram import CellHistogram
from plg.runner.recording import COUNTERS, TIMES, Floats, Histograms, Ints

_FLUSH_JOBS = 8192
_FLUSH_GROUPS = 1024
_TIDY_JOBS = 1024
_AT = {name: place for place, name in enumerate(GAUGES, start=1)}
"""Where a gauge stands in a row of samples; the moment stands first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Gauges at ``t`` (s), by their names in `plg.measures.GAUGES`; one that could not be taken is left out or NaN."""

    t: float
    gauges: Mapping[str, float]
    age_at_least: float = math.nan
    """What the age is at least, where it cannot be told in whole: a limit is held against that."""
    asked: float | None = None
    """When the look at the queues began (s), where that was before ``t``: it shows them as they were since."""
    fault: str = ""
    """Why the queues could not be seen, where they could not."""
    untaken: float = math.nan
    """Jobs among the waiting that no worker has been given."""

    def __getitem__(self, gauge: str) -> float:
        return self.gauges.get(gauge, math.nan)

    def row(self) -> Floats:
        """``t``, then each gauge in the order of their table."""
        return np.array([self.t, *(self[name] for name in GAUGES)])


class SampleLog:
    """Samples in bounded number: when full, neighbours are joined and the larger value of each gauge stays."""

    def __init__(self, limit: int = 16_384) -> None:
        # All rows stand here from the start, so that a long run holds no more than a short one.
        self._rows = np.full((limit, 1 + len(GAUGES)), np.nan)
        self._used = 0
        self._stride = 1
        self._held = 0

    def add(self, sample: Sample) -> None:
        self.add_row(sample.row())

    def add_row(self, row: Floats) -> None:
        """Add a sample given as `Sample.row` gives it."""
        if self._held == 0:
            if self._used == len(self._rows):
                self._halve()
            self._rows[self._used] = row
            self._used += 1
        else:
            self._rows[self._used - 1] = _larger(self._rows[self._used - 1], row)
        self._held = (self._held + 1) % self._stride

    def _halve(self) -> None:
        half = len(self._rows) // 2
        self._rows[:half] = _larger(self._rows[0 : 2 * half : 2], self._rows[1 : 2 * half : 2])
        self._used = half
        self._stride *= 2

    def columns(self) -> tuple[Floats, dict[str, Floats]]:
        """The moments, and each gauge at them."""
        table = self._rows[: self._used]
        return table[:, 0].copy(), {name: table[:, at].copy() for name, at in _AT.items()}


def _larger(a: Floats, b: Floats) -> Floats:
    """The larger of each gauge, at the moment of the former."""
    joined = np.fmax(a, b)
    joined[..., 0] = a[..., 0]
    # Jobs whose age could not be told are not made good by an empty queue a moment later.
    age = _AT["queue_age"]
    joined[..., age] = np.where(_undated(a) | _undated(b), np.nan, joined[..., age])
    return joined


def _undated(rows: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((rows[..., _AT["queue_depth"]] > 0) & np.isnan(rows[..., _AT["queue_age"]]))


class _Groups:
    """Jobs in the order in which something happened to them: due times, and of each group its moment and its size."""

    def __init__(self) -> None:
        self.due: list[Floats] = []
        self.moments: list[float] = []
        self.sizes: list[int] = []

    def add(self, dues: Sequence[Floats], moments: Sequence[float], sizes: Sequence[int]) -> None:
        self.due += dues
        self.moments += moments
        self.sizes += sizes

    def columns(self) -> tuple[Floats, Floats, Ints]:
        """Due times, the moment of each group, and the sizes."""
        return np.concatenate(self.due), np.array(self.moments), np.array(self.sizes)


class Recorder:
    """Counters and histograms of the cells given by ``edges`` (ascending, the last infinite). Times in s of the run.

    What comes in groups is given as one column of due times and, a group, its moment and its number of jobs. It is
    looked at only when there is much of it: until `flush`, counters and histograms lack what is pending.
    """

    def __init__(self, edges: Floats) -> None:
        self._edges = edges
        cells = len(edges) - 1
        self._counters: dict[str, Ints] = {name: np.zeros(cells, dtype=np.int64) for name in COUNTERS}
        self._columns = {name: CellHistogram(cells) for name in TIMES}
        self._sent, self._acked = _Groups(), _Groups()
        self._timed: list[tuple[Floats, float]] = []
        self._pending = 0

    def count(self, counter: str, moments: Floats, jobs: Ints) -> None:
        """Add ``jobs[i]`` at ``moments[i]``."""
        np.add.at(self._counters[counter], self._cells_of(moments), jobs)

    def count_due(self, counter: str, due: Floats) -> None:
        """Add one at each due time."""
        if len(due):
            np.add.at(self._counters[counter], self._cells_of(due), 1)

    def sent(self, due: Floats, moments: Sequence[float], sizes: Sequence[int]) -> None:
        """The jobs due at ``due`` were written, ``sizes[i]`` of them at ``moments[i]``."""
        self._sent.add((due,), moments, sizes)
        self._pending += len(due)
        if self._pending >= _FLUSH_JOBS or len(self._sent.moments) >= _FLUSH_GROUPS:
            self.flush()

    def acked(self, dues: Sequence[Floats], moments: Sequence[float], sizes: Sequence[int]) -> None:
        """The jobs due at ``dues`` were found confirmed, ``sizes[i]`` of them all at ``moments[i]``."""
        self._acked.add(dues, moments, sizes)

    def timed(self, due: Floats, taken: float) -> None:
        """Of these, among the acked ones, somebody waited for the answer: it took so long (s) from their sending."""
        self._timed.append((due, taken))

    def flush(self) -> None:
        """Move what is pending into counters and histograms."""
        for _ in self._pieces():
            pass

    def tidy(self) -> Iterator[None]:
        """The same in pieces, with a ``yield`` between, if there is enough to be worth it."""
        if self._pending >= _TIDY_JOBS:
            yield from self._pieces()

    def _pieces(self) -> Iterator[None]:
        sent, acked, timed = self._sent, self._acked, self._timed
        self._sent, self._acked, self._timed, self._pending = _Groups(), _Groups(), [], 0
        for counter, time, groups in (("sent", "lag", sent), ("acked", "latency", acked)):
            if groups.due:
                due, moments, sizes = groups.columns()
                self.count(counter, moments, sizes)
                yield
                self._add(time, due, np.repeat(moments, sizes) - due)
                yield
        if timed:
            dues, times = zip(*timed, strict=True)
            self._add("service_time", np.concatenate(dues), np.repeat(times, [len(due) for due in dues]))

    def _add(self, time: str, due: Floats, value: Floats) -> None:
        np.maximum(value, 0.0, out=value)
        first, last = self._cells_between(due)
        if first == last:
            self._columns[time].add_to_one(first, value)
        else:
            self._columns[time].add(self._cells_of(due), value)

    def _cells_between(self, moments: Floats) -> tuple[int, int]:
        """The first and the last cell of any moment."""
        edges = self._edges
        return (
            int(edges.searchsorted(moments.min(), "right")) - 1,
            int(edges.searchsorted(moments.max(), "right")) - 1,
        )

    def _cells_of(self, moments: Floats) -> Ints:
        """The cell of each moment, whatever their order."""
        # A search among the few edges between the first and the last is cheaper than one among all.
        first, last = self._cells_between(moments)
        return self._edges[first + 1 : last + 1].searchsorted(moments, "right") + first

    @property
    def counters(self) -> dict[str, Ints]:
        """All counts so far."""
        self.flush()
        return self._counters

    def histograms(self) -> dict[str, Histograms]:
        """All times so far."""
        self.flush()
        return {name: column.histograms() for name, column in self._columns.items()}
