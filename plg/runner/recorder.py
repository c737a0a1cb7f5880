"""Counts a run into cells while it goes on, cheaply a wake-up and in bounded memory, and makes the recording of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from plg.answers import Answers
from plg.guardrails.guard import Hit
from plg.runner.cell_histogram import CellHistogram
from plg.runner.cells import Cells
from plg.runner.grid import Grid
from plg.runner.recording import COUNTERS, LIVE_COUNTERS, TIMES, Floats, Histograms, Ints, Recording, Stall
from plg.runner.sampler import Sample, SampleLog
from plg.runner.watch import Watch
from plg.stop import Stop

_FLUSH_JOBS = 8192
_FLUSH_GROUPS = 1024
_TIDY_JOBS = 1024
_MOST_ERROR_TEXTS = 20
_ALL = slice(None)


class _Departed:
    """Jobs that left: due times, and of each departure its moment and its size."""

    def __init__(self) -> None:
        self.dues: list[Floats] = []
        self.moments: list[float] = []
        self.sizes: list[int] = []
        self.jobs = 0

    def add(self, due: Floats, moments: Sequence[float], sizes: Sequence[int]) -> None:
        self.dues.append(due)
        self.moments += moments
        self.sizes += sizes
        self.jobs += len(due)


class Recorder:
    """Counts one run in the cells of its grid. Times in seconds of the run; moments never go back.

    What comes in groups is only noted, and sorted in when there is much of it: until `flush`, counters and histograms
    lack what is pending. The totals (``sent``, ``acked``, ``errors``, ``late``, ``shed``) are those of this moment,
    ``errors`` has the ``failed`` in it; ``gauges`` and ``depth`` are what the last look at the queues found,
    ``worst_lag`` the largest lag (s) since it was last set to 0.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid, self._edges = grid, grid.edges
        cells = len(grid.edges) - 1
        self._table = np.zeros((len(LIVE_COUNTERS), cells), dtype=np.int64)
        self._counters: dict[str, Ints] = dict(zip(LIVE_COUNTERS, self._table, strict=True))
        self._lost = np.zeros(cells, dtype=np.int64)
        self._planned_until = np.concatenate([[0], np.cumsum(grid.planned)])
        self._reached = 0
        self._times = {name: CellHistogram(cells) for name in TIMES}
        self.samples = SampleLog()
        self._error_texts: dict[str, int] = {}
        self._departed = _Departed()
        self._answered = Answers()
        self.sent = self.acked = self.errors = self.failed = self.late = self.shed = 0
        self.gauges: Mapping[str, float] = {}
        self.depth: int | None = None
        self.worst_lag = 0.0

    # -- what happens ---------------------------------------------------------------------------------------------

    def add_sent(self, due: Floats, moments: Sequence[float], sizes: Sequence[int]) -> None:
        """The jobs due at ``due`` were written, ``sizes[i]`` of them at ``moments[i]``."""
        self.sent += len(due)
        first = 0
        for moment, size in zip(moments, sizes, strict=True):
            self.worst_lag = max(self.worst_lag, moment - float(due[first]))
            first += size
        departed = self._departed
        departed.add(due, moments, sizes)
        if departed.jobs >= _FLUSH_JOBS or len(departed.moments) >= _FLUSH_GROUPS:
            self.flush()

    def take(self, answers: Answers) -> None:
        """Count answers."""
        confirmed = answers.confirmed()
        if confirmed is not answers:
            for counter, rows in (("failed", answers.failed), ("unknown", answers.unknown)):
                for row, words in rows.items():
                    self._add_error(counter, answers.moments[row], answers.sizes[row], words)
                    np.add.at(self._lost, self._cells_of(answers.dues[row]), 1)
        self._answered.extend(confirmed)
        self.acked += sum(confirmed.sizes)

    def _add_error(self, counter: str, moment: float, jobs: int, words: str) -> None:
        self._count(counter, np.array([moment]), np.array([jobs]))
        self.errors += jobs
        self.failed += jobs * (counter == "failed")
        if words in self._error_texts or len(self._error_texts) < _MOST_ERROR_TEXTS:
            self._error_texts[words] = self._error_texts.get(words, 0) + jobs

    def add_shed(self, due: Floats) -> None:
        """Arrivals were clipped by a guardrail."""
        self._count_due("shed", due)
        self.shed += len(due)

    def add_late(self, due: Floats) -> None:
        """Arrivals were dropped because they were overdue by more than max_lag."""
        self._count_due("late", due)
        self.late += len(due)

    def add_held(self, due: Floats) -> None:
        """Arrivals, among the sent or the late ones, were kept waiting by plg itself, or their answers were."""
        self._count_due("held", due)

    def add_overdue(self, now: float, jobs: int) -> None:
        """A number of the held ``jobs`` leave after all."""
        if jobs:
            self._counters["overdue"][self._cell_of(now)] += jobs

    def add_sample(self, sample: Sample) -> None:
        """A look at the gauges."""
        self.samples.add(sample)
        self.gauges = sample.gauges
        self.depth = None if math.isnan(sample["queue_depth"]) else int(sample["queue_depth"])

    @property
    def last_error(self) -> str:
        """The words of the error that was met last for the first time; empty when there was none."""
        return next(reversed(self._error_texts), "")

    # -- what is made of it ---------------------------------------------------------------------------------------

    @property
    def counters(self) -> dict[str, Ints]:
        """All counts so far."""
        self.flush()
        return self._counters

    def in_flight(self, cells: slice = _ALL) -> Ints:
        """Jobs by due time that were sent and not answered yet, of what is sorted in."""
        return self._times["lag"].totals[cells] - self._times["latency"].totals[cells] - self._lost[cells]

    def histograms(self) -> dict[str, Histograms]:
        """All times so far."""
        self.flush()
        return {name: times.histograms() for name, times in self._times.items()}

    def recording(
        self,
        ended: float,
        taken: int,
        stop: Stop | None,
        watch: Watch,
        hits: tuple[Hit, ...],
        stalls: tuple[Stall, ...],
    ) -> Recording:
        """What is known at ``ended``, when ``taken`` arrivals of the plan had been dealt with."""
        grid = self.grid
        counters = {name: self.counters[name].copy() for name in COUNTERS}
        counters["planned"] = grid.planned
        # What was taken is a prefix of the plan, so what is left of each cell follows from its running total.
        counters["cancelled"] = np.diff(np.maximum(self._planned_until - taken, 0))
        times, samples = self.samples.columns()
        return Recording(
            edges=grid.edges,
            window=grid.window,
            duration=grid.duration,
            spans=grid.spans,
            counters=counters,
            histograms=self.histograms(),
            sample_times=times,
            samples=samples,
            target_rate=grid.target_rate,
            allowed_rate=grid.allowed_rate,
            delayed_s=grid.delayed,
            hits=hits,
            ended_s=ended,
            start_depth=watch.start_depth,
            end_depth=watch.end_depth,
            start_untaken=watch.start_untaken,
            end_untaken=watch.end_untaken,
            end_age_s=watch.end_age,
            last_send_s=watch.last_send,
            drain_s=watch.drain_s,
            drain_waited_s=watch.waiting_s,
            stop=stop.name if stop else None,
            stop_detail=stop.detail if stop else "",
            stop_by=stop.by if stop else "",
            errors=tuple(self._error_texts.items()),
            lost=watch.lost,
            taken=watch.taken,
            stalls=stalls,
        )

    def closed(self, since: int, now: float, taken: int) -> Cells:
        """The cells from ``since`` on to which nothing can be added any more, up to the first to which something can.

        All that happened until ``now`` is told to the recorder, and what became of the first ``taken`` arrivals of the
        plan that were not sent. A cell is closed when its end is past, what was due in it is dealt with, and all of it
        that was sent is answered.
        """
        self.flush()
        over = int(self._edges.searchsorted(now, "left")) - 1
        dealt_with = int(self._planned_until.searchsorted(taken, "right")) - 1
        last = max(since, min(over, dealt_with))
        open_cells = np.flatnonzero(self.in_flight(slice(since, last)))
        return self._cut(since, since + int(open_cells[0]) if len(open_cells) else last, taken)

    def rest(self, since: int, now: float, taken: int, seams: Ints) -> Cells:
        """The cells from ``since`` on; those after ``now`` in which nothing has happened yet as one, or as several that
        the ``seams`` part (ascending indices of edges)."""
        self.flush()
        last = len(self._edges) - 1
        end = min(last, max(self._reached, int(self._edges.searchsorted(now, "right")) - 1) + 1)
        so_far = self._cut(since, end, taken)
        if end == last:
            return so_far
        later = Cells.empty(np.unique([end, *seams[seams > end], last - 1, last]))
        self._fill(later, taken)
        return so_far.joined(later)

    def _cut(self, first: int, last: int, taken: int) -> Cells:
        cells = Cells(
            np.arange(first, last + 1), self._table[:, first:last].copy(),
            {name: times.between(first, last) for name, times in self._times.items()},
        )  # fmt: skip
        cells.counter("in_flight")[:] = self.in_flight(slice(first, last))
        self._fill(cells, taken)
        return cells

    def _fill(self, cells: Cells, taken: int) -> None:
        """Write down what the plan has for the cells. What was taken is a prefix of it, so that what is left of each
        cell follows from its running total."""
        until = self._planned_until[cells.edges]
        cells.counter("planned")[:] = np.diff(until)
        cells.counter("cancelled")[:] = np.diff(np.maximum(until - taken, 0))

    # -- sorting in -----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Move what is pending into counters and histograms."""
        for _ in self._pieces():
            pass

    def tidy(self) -> Iterator[None]:
        """The same in pieces, with a ``yield`` between, if there is enough to be worth it."""
        if self._departed.jobs >= _TIDY_JOBS:
            yield from self._pieces()

    def _pieces(self) -> Iterator[None]:
        departed, answered = self._departed, self._answered
        self._departed, self._answered = _Departed(), Answers()
        for counter, time, groups in (("sent", "lag", departed), ("acked", "latency", answered)):
            if groups.dues:
                due, moments, sizes = np.concatenate(groups.dues), np.array(groups.moments), np.array(groups.sizes)
                self._count(counter, moments, sizes)
                yield
                self._add(time, due, np.repeat(moments, sizes) - due)
                yield
        if answered.timed:
            dues = [answered.dues[row] for row in answered.timed]
            taken = [answered.moments[row] - answered.sent[row] for row in answered.timed]
            self._add("service_time", np.concatenate(dues), np.repeat(taken, [len(due) for due in dues]))

    def _count(self, counter: str, moments: Floats, jobs: Ints) -> None:
        """Add ``jobs[i]`` at ``moments[i]``."""
        np.add.at(self._counters[counter], self._cells_of(moments), jobs)

    def _count_due(self, counter: str, due: Floats) -> None:
        """Add one at each due time; they are in order."""
        if not len(due):
            return
        column, first, last = self._counters[counter], self._cell_of(due[0]), self._cell_of(due[-1])
        if first == last:
            column[first] += len(due)
            return
        # How many lie before each edge between them is all there is to know of arrivals in order.
        before = due.searchsorted(self._edges[first + 1 : last + 1], "left")
        column[first:last] += before
        column[first + 1 : last] -= before[:-1]
        column[last] += len(due) - before[-1]

    def _add(self, time: str, due: Floats, value: Floats) -> None:
        np.maximum(value, 0.0, out=value)
        first, last = self._cells_between(due)
        if first == last:
            self._times[time].add_to_one(first, value)
        else:
            self._times[time].add(self._cells_of(due), value)

    def _cells_between(self, moments: Floats) -> tuple[int, int]:
        """The first and the last cell of any moment."""
        last = self._cell_of(moments.max())
        return self._cell_of(moments.min()), last

    def _cell_of(self, moment: float) -> int:
        cell = int(self._edges.searchsorted(moment, "right")) - 1
        self._reached = max(self._reached, cell)
        return cell

    def _cells_of(self, moments: Floats) -> Ints:
        """The cell of each moment, whatever their order."""
        # A search among the few edges between the first and the last is cheaper than one among all.
        first, last = self._cells_between(moments)
        return self._edges[first + 1 : last + 1].searchsorted(moments, "right") + first


def nothing_sent(grid: Grid, stop: Stop) -> Recording:
    """The recording of a run that never began: every planned arrival is cancelled."""
    return Recorder(grid).recording(0.0, 0, stop, Watch(None), (), ())
