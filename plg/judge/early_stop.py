"""Looks at a run that goes on, each at the cost of what is new since the one before.

A look reads the cells that are not closed yet. The closed ones are merged, in as few as the lines tell apart, and of a
window whose cells are closed only its verdict is kept. The rules of `plg.judge.stop_rules` are applied to these few
cells. What they find broken is confirmed by `first_breach` on the whole recording, which alone ends a run.

Two kinds of lines are not read so closely, but suspected as long as they may be broken: those on gauges and hits,
unless all values so far keep the bound; and windows, gauges or hits that are compared with another phase, once that is
over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np

from plg.judge.aggregate import Flags, Reader, hits_counted
from plg.judge.breach import holds
from plg.judge.expectations import allowance
from plg.judge.stop_rules import (
    AT_THE_END,
    JUST,
    breach_of_sum,
    broken_for_good,
    failed_windows,
    first_breach,
    is_over,
    summed,
)
from plg.judge.windows import NoData, Windows, intervals_of
from plg.measures import MEASURES, QUEUE_GAUGES
from plg.outcome import ExpectationResult
from plg.runner.cells import Cells
from plg.runner.grid import Grid
from plg.runner.live import Live
from plg.runner.recorder import nothing_sent
from plg.runner.recording import LIVE_COUNTERS, Floats, Ints, Recording
from plg.scenario import Expectation, Subject
from plg.stop import Stop

_NEAR = 1e-9
"""Relative distance from its bound at which a mean is suspected: sums of other parts are rounded otherwise."""


class Counts(Protocol):
    """What several generators of one run have counted, by the text of the expectation: this one, and all ``others``."""

    counted: dict[str, float]
    others: dict[str, float]


def or_stop(
    expectations: Iterable[Expectation],
    grid: Grid,
    broken: Callable[[ExpectationResult], None],
    counts: Counts | None = None,
) -> Callable[[Live], str | None] | None:
    """What looks for a reason to end a run that goes on: its text, or None; None where no line may end it.

    ``broken`` is told of it. With ``counts`` a line that only the sum over all generators breaks ends the run as well.
    """
    early_stop = EarlyStop(expectations, grid, counts)

    def look(live: Live) -> str | None:
        found = early_stop.look(live)
        if found is not None:
            broken(found)
        return found.text if found is not None else None

    return look if early_stop.stopping else None


class EarlyStop:
    """The expectations that may end one run, ``stopping``: those marked ``or stop``."""

    def __init__(self, expectations: Iterable[Expectation], grid: Grid, counts: Counts | None = None) -> None:
        self.stopping = tuple(e for e in expectations if e.stop)
        self._counts = counts
        self._sums = () if counts is None else tuple(filter(summed, self.stopping))
        self._sums_hits = any(e.subject.measure == "guardrail_hits" for e in self._sums)
        self._grid = grid
        self._blank = replace(nothing_sent(grid, Stop("user", "")), stop=None)
        self._tilings: dict[tuple[str | None, float], _Tiling] = {}
        self._lines: list[_Line] = []
        moments: list[float] = []
        for expectation in self.stopping:
            line = self._line(expectation)
            if line is not None:
                self._lines.append(line)
                moments += [m for side in _sides(expectation) for piece in self._pieces(side) for m in piece]
        self._seams = _nearest(grid.edges[:-1], np.array(moments))
        self._base = Cells.empty(np.zeros(1, dtype=np.int64))

    def look(self, live: Live) -> ExpectationResult | None:
        """What `first_breach` finds in the whole recording, or what all generators have broken together."""
        few = _Few(self, live)
        suspects = [line.expectation for line in self._lines if line.may_be_broken(few)]
        together = [self._together(e, few.reader) for e in self._sums]
        if few.was_read:
            self._settle(live.now)
        found = first_breach(suspects, live.recording()) if suspects else None
        return found or next(filter(None, together), None)

    def _together(self, expectation: Expectation, reader: Reader) -> ExpectationResult | None:
        assert self._counts is not None, "sums are of counts"
        return breach_of_sum(expectation, reader, self._counts.counted, self._counts.others)

    def read(self, live: Live) -> Reader:
        """What is recorded so far, in few cells, with the windows that are past and not settled."""
        closed = live.closed(self._base.end)
        if closed.end > self._base.end:
            self._base = self._base.joined(closed)
        cells = self._base.joined(live.rest(self._base.end, self._seams))
        reader = Reader(
            replace(
                self._blank,
                edges=self._grid.edges[cells.edges],
                counters={name: cells.counter(name) for name in LIVE_COUNTERS},
                histograms=cells.histograms,
                target_rate=np.zeros(0),
                allowed_rate=np.zeros(0),
                ended_s=live.now,
                stalls=live.stalls,
                hits=live.hits() if self._sums_hits else (),
            )
        )
        for (during, width), tiling in self._tilings.items():
            reader.windows.put(during, width, tiling.windows.part(tiling.settled, tiling.past(live.now)))
        return reader

    def _line(self, expectation: Expectation) -> _Line | None:
        """How to look at an expectation; None where it never ends a run."""
        subject, relative, width = expectation.subject, expectation.relative, expectation.window
        sides = _sides(expectation)
        try:
            starts = [self._pieces(side)[0][0] for side in sides]
        except NoData:
            return None
        if any(side.measure in AT_THE_END for side in sides):
            return None
        if width is not None and subject.measure in QUEUE_GAUGES and expectation.quota < 1:
            return None
        sampled = any(MEASURES[side.measure].kind == "gauge" or side.measure == "guardrail_hits" for side in sides)
        if relative is not None and (sampled or width is not None):
            return _Compared(expectation, self._blank)
        if sampled:
            return _Bounded(expectation, starts[0])
        if width is None:
            return _Span(expectation)
        tiling = self._tilings.get((subject.during, width))
        if tiling is None:
            windows = Reader(self._blank).windows.get(subject.during, width)
            tiling = self._tilings[subject.during, width] = _Tiling(windows, self._grid.edges)
        return tiling.line(expectation)

    def _pieces(self, side: Subject) -> list[tuple[float, float]]:
        return intervals_of(self._blank, side.during)

    def _settle(self, now: float) -> None:
        """Keep the verdicts of the windows whose cells are closed, and of closed cells what is still told apart."""
        end = self._base.end
        kept = [self._seams]
        for tiling in self._tilings.values():
            tiling.settle(now, end)
            kept.append(tiling.firsts[tiling.settled : int(tiling.firsts.searchsorted(end))])
        self._base = self._base.merged(np.concatenate(kept))


class _Few:
    """A live run, and the reader of its few cells, which is made when it is first asked for."""

    def __init__(self, judge: EarlyStop, live: Live) -> None:
        self.live, self._judge = live, judge
        self._reader: Reader | None = None

    @property
    def was_read(self) -> bool:
        return self._reader is not None

    @property
    def reader(self) -> Reader:
        if self._reader is None:
            self._reader = self._judge.read(self.live)
        return self._reader


class _Line(Protocol):
    """An expectation, and whether it may be broken for good."""

    expectation: Expectation

    def may_be_broken(self, few: _Few) -> bool: ...


class _Span:
    """A line on a whole span."""

    def __init__(self, expectation: Expectation) -> None:
        self.expectation, self._asked = expectation, _stricter(expectation)

    def may_be_broken(self, few: _Few) -> bool:
        return broken_for_good(few.reader, self._asked, few.live.now) is not None


class _Bounded:
    """A line on a gauge or on hits: it keeps its bound where all values do that were seen since its span began."""

    def __init__(self, expectation: Expectation, start: float) -> None:
        self.expectation, self._asked, self._start = expectation, _stricter(expectation), start
        self._low, self._high, self._seen = np.inf, -np.inf, 0

    def may_be_broken(self, few: _Few) -> bool:
        asked = self._asked
        assert asked.bound is not None, "a line that is compared is looked at otherwise"
        if asked.subject.measure == "guardrail_hits":
            self._low, self._high = 0.0, float(len(hits_counted(few.live.hits())))
        else:
            self._see(few.live)
        if self._low > self._high:
            return False
        if asked.op == "!=":
            return self._low <= asked.bound <= self._high
        return not holds(asked.op, np.array([self._low, self._high]), asked.bound).all()

    def _see(self, live: Live) -> None:
        log = live.recorder.samples
        times, gauges = log.columns(self._seen)
        values = gauges[self._asked.subject.measure][times >= self._start]
        self._low = float(np.fmin.reduce(values, initial=self._low))
        self._high = float(np.fmax.reduce(values, initial=self._high))
        self._seen = log.added


class _Compared:
    """A line that is suspected as soon as what it is compared with is over."""

    def __init__(self, expectation: Expectation, blank: Recording) -> None:
        self.expectation, self._blank = expectation, blank

    def may_be_broken(self, few: _Few) -> bool:
        relative = self.expectation.relative
        assert relative is not None, "a line without comparison is looked at otherwise"
        return is_over(self._blank, relative.during, few.live.now)


class _Tiling:
    """The windows of one width in one span, and the lines on them. Windows are settled in their order; ``firsts`` has
    the first cell of each."""

    def __init__(self, windows: Windows, edges: Floats) -> None:
        self.windows, self.settled = windows, 0
        self._lines: list[_Windows] = []
        owner = windows.of_cells(edges)
        cells = np.flatnonzero(owner >= 0)
        firsts, ends = np.full(windows.count, len(edges)), np.zeros(windows.count, dtype=np.int64)
        np.minimum.at(firsts, owner[cells], cells)
        np.maximum.at(ends, owner[cells], cells + 1)
        # A window without a cell of its own has its place all the same.
        self.firsts: Ints = np.minimum.accumulate(firsts[::-1])[::-1]
        self._ends: Ints = np.maximum.accumulate(ends)

    def line(self, expectation: Expectation) -> _Windows:
        """A line on these windows."""
        self._lines.append(_Windows(expectation, self))
        return self._lines[-1]

    def past(self, now: float) -> int:
        """How many windows are past."""
        return int(self.windows.ends.searchsorted(now + JUST, "right"))

    def settle(self, now: float, closed: int) -> None:
        """Settle the windows that are past and have only cells before the edge ``closed``."""
        until = max(self.settled, min(self.past(now), int(self._ends.searchsorted(closed, "right"))))
        for line in self._lines:
            line.settle(until - self.settled)
        self.settled = until


class _Windows:
    """A line on windows: how many of the settled ones have failed, and which of the others as they stand."""

    def __init__(self, expectation: Expectation, tiling: _Tiling) -> None:
        self.expectation, self._asked, self._tiling = expectation, _stricter(expectation), tiling
        self._allowed = allowance(expectation.quota, tiling.windows.count)
        self._failed = 0
        self._failing: Flags = np.zeros(0, dtype=np.bool_)

    def may_be_broken(self, few: _Few) -> bool:
        count = self._tiling.past(few.live.now) - self._tiling.settled
        self._failing = np.zeros(count, dtype=np.bool_)
        if count:
            self._failing = self._read(few)
        return self._failed + int(self._failing.sum()) > self._allowed

    def _read(self, few: _Few) -> Flags:
        assert self._asked.bound is not None, "a line that is compared is looked at otherwise"
        try:
            return failed_windows(few.reader, self._asked, self._asked.bound, few.live.now)[1]
        except NoData:
            return self._failing

    def settle(self, windows: int) -> None:
        """The first ``windows`` of those that were read are settled."""
        self._failed += int(self._failing[:windows].sum())
        self._failing = self._failing[windows:]


def _sides(expectation: Expectation) -> list[Subject]:
    """What is asked of, and what it is compared with, if it is."""
    return [side for side in (expectation.subject, expectation.relative) if side is not None]


def _stricter(expectation: Expectation) -> Expectation:
    """The line with a bound that a mean breaks which is rounded otherwise."""
    if expectation.subject.aggregate != "mean" and (
        expectation.relative is None or expectation.relative.aggregate != "mean"
    ):
        return expectation
    near = {"<": 1 - _NEAR, "<=": 1 - _NEAR, ">": 1 + _NEAR, ">=": 1 + _NEAR}.get(expectation.op, 1.0)
    bound = None if expectation.bound is None else expectation.bound * near
    return replace(expectation, bound=bound, factor=expectation.factor * near)


def _nearest(edges: Floats, moments: Floats) -> Ints:
    """Indices of the edges nearest to the moments, ascending."""
    after = np.clip(np.searchsorted(edges, moments), 1, len(edges) - 1)
    return np.unique(np.where(moments - edges[after - 1] < edges[after] - moments, after - 1, after))
