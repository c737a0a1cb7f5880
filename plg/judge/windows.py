"""Windows as wide as the rate needs: the rows on which rates and percentiles of a run can be shown truly.

A window of the recording is a fixed time. At 25/s one of 50ms has one job or two, which as a rate is 20/s or 40/s, and
its 99th percentile is that of one job. These windows hold a number of jobs instead, and end where the rate jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plg.judge.readings import Flags, add_up, middle, tally
from plg.judge.series import grid, rows_of_cells, until_of
from plg.measures import samples_needed
from plg.runner.recording import Floats, Ints, Recording

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_WINDOWS = 25
"""A run of few jobs has about so many windows."""
_FEWEST, _ENOUGH = 5, 20
"""Jobs that a window of rates holds at least, and at most has to hold."""
_SHORTEST = 0.1
"""Seconds of a window of rates: answers that come a millisecond sooner or later do not show in it."""
_FOR_P99 = 120
"""Jobs that a window of percentiles is to hold: as many as p99 takes, and some that may have failed."""
_JUMP = 0.25
"""A rate that changes by so much of the run's highest within one row has jumped."""
_MOST_SEAMS = 400


def actual_rate(recording: Recording) -> tuple[Floats, Floats]:
    """Start (s) and acked jobs a second of each window; the last entry repeats the one before it, at its end.

    Jobs are whole, and an answer comes a little sooner or later: where the count is that near to the plan's curve, the
    curve is used. Answers after the plan's end are spread evenly over the time in which they came; those of a few jobs
    are counted in the plan's last window. Both are empty for a run that never began.
    """
    if recording.ended_s == 0:
        return np.zeros(0), np.zeros(0)
    base = _Base.of(recording)
    least = float(np.clip(base.jobs[-1] / _WINDOWS, _FEWEST, _ENOUGH))
    starts, lengths = base.windows(least, _FEWEST)
    if recording.counters["acked"][-1] >= _FEWEST and not recording.stop:
        starts = np.append(starts, recording.duration)
        lengths = np.append(lengths, max(_last_answer(recording) - recording.duration, recording.window))
    acked = _levelled(recording, rows_of_cells(recording, starts), len(starts))
    return np.append(starts, starts[-1:] + lengths[-1:]), np.append(acked / lengths, acked[-1:] / lengths[-1:])


def _levelled(recording: Recording, cells: Ints, count: int) -> Floats:
    """Jobs acked in each window, as the plan's curve less the jobs known to be lost has them where it is near.

    Near is less than a job, or than a twentieth of a window's jobs up to two. What is left out or added by that is
    never more, also over all windows.
    """
    widths = np.diff(np.minimum(recording.edges, until_of(recording)))
    planned = np.where(widths > 0, widths * recording.allowed_rate, 0.0)
    lost = recording.counters["failed"] + recording.counters["unknown"] + recording.counters["late"]
    curve = np.cumsum(tally(cells, planned - lost, count))
    acked = tally(cells, recording.counters["acked"], count)
    until = np.cumsum(acked)
    near = np.clip(acked / 20, 1, 2)
    ahead = 0.0
    for i, gap in enumerate((until - curve)[:-1].tolist()):
        if abs(gap - ahead) < near[i]:
            until[i] = curve[i] + ahead
        else:
            ahead = gap
    return np.maximum(np.diff(until, prepend=0.0), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """A time measure by due time, in seconds.

    ``t`` has the start and the end of each window, and so have the ``curves`` (p50, p90, p99, max), with NaN where a
    window lacks the samples. ``jobs_t`` and ``jobs`` are the jobs of windows without a 99th percentile, or
    ``all_jobs`` of a run that has few: each stands for those of one cell whose times are alike.
    """

    t: Floats
    curves: dict[str, Floats]
    jobs_t: Floats
    jobs: Floats
    all_jobs: bool


def times(recording: Recording, measure: str, most: int = 2000) -> Times:
    """One of the ``lag``, ``latency`` and ``service_time`` of a run; ``most`` jobs are few."""
    starts, lengths = _Base.of(recording).windows(_FOR_P99, _FOR_P99)
    cells = rows_of_cells(recording, starts)
    rows = add_up(recording, measure, cells, len(starts))
    known = {name: rows.totals >= samples_needed(q) for name, q in PERCENTILES.items()}
    curves = {name: np.where(known[name], rows.quantile(q), np.nan) for name, q in PERCENTILES.items()}
    dotted = np.ones(len(starts), dtype=np.bool_) if rows.totals.sum() <= most else ~known["p99"]
    curves["max"] = np.where(dotted, np.nan, rows.maxima)
    t = np.column_stack([starts, starts + lengths]).ravel()
    held = {name: np.repeat(values, 2) for name, values in curves.items()}
    return Times(t, held, *_jobs(recording, measure, dotted[cells]), bool(dotted.all()))


def _jobs(recording: Recording, measure: str, shown: Flags) -> tuple[Floats, Floats]:
    """Moment (s) and time (s) of the jobs in the cells ``shown``: the middle of the cell, the middle of the bucket."""
    histograms = recording.histograms[measure]
    cell = np.repeat(np.arange(recording.cells), np.diff(histograms.offsets))
    cell, buckets = cell[shown[cell]], histograms.buckets[shown[cell]]
    until = np.minimum(recording.edges[1:], recording.duration)
    return (recording.edges[cell] + until[cell]) / 2, middle(buckets, histograms.minima[cell], histograms.maxima[cell])


def _last_answer(recording: Recording) -> float:
    """The latest moment (s) at which a job of any cell can have been answered."""
    until = np.minimum(recording.edges[1:], recording.duration)
    return float(np.max(until + np.maximum(recording.histograms["latency"].maxima, 0.0), initial=recording.duration))


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """The finest rows: ``edges`` (s) and the jobs to be sent until each of them; ``hard`` are edges that no window may
    cross, ascending indices from the first to the last."""

    edges: Floats
    jobs: Floats
    hard: Ints

    @staticmethod
    def of(recording: Recording) -> _Base:
        starts, _, planned = grid(recording)
        until = max(until_of(recording), float(starts[planned - 1]) + 1e-9)
        seams = {moment for spans in recording.spans.values() for span in spans for moment in span}
        if len(seams) > _MOST_SEAMS:
            seams = set()
        inner = np.unique(np.concatenate([starts[:planned], [moment for moment in seams if 0 < moment < until]]))
        inner = inner[np.concatenate([[True], np.diff(inner) > 1e-6])]
        edges = np.append(inner, until)
        owner = rows_of_cells(recording, inner)
        widths = np.diff(np.minimum(recording.edges, until))
        sent = tally(owner, np.where(widths > 0, widths * recording.allowed_rate, 0.0), len(inner))
        asked = tally(owner, np.where(widths > 0, widths * recording.target_rate, 0.0), len(inner))
        # In silence, what is answered late is what there is to see.
        idle = np.where(sent > 0, sent, tally(owner, recording.counters["acked"], len(inner)))
        jumps = _jumps(asked / np.diff(edges)) | _jumps(sent / np.diff(edges))
        marked = np.isin(inner[1:], sorted(seams)) | jumps | ((sent[1:] > 0) != (sent[:-1] > 0))
        hard = np.concatenate([[0], np.flatnonzero(marked) + 1, [len(inner)]])
        return _Base(edges, np.append(0.0, np.cumsum(idle)), hard)

    def windows(self, least: float, few: float) -> tuple[Floats, Floats]:
        """Starts and lengths (s) of windows with ``least`` jobs or more.

        One that ends at a hard edge may have fewer, but not less than a ``few``.
        """
        picks, last = [0], len(self.edges) - 1
        while picks[-1] < last:
            picks.append(self._end(picks[-1], least, few))
        bounds = self.edges[picks]
        return bounds[:-1], np.diff(bounds)

    def _end(self, start: int, least: float, few: float) -> int:
        """Index of the edge at which the window that begins at edge ``start`` ends."""
        wall = self._wall(start, few)
        enough = int(np.searchsorted(self.jobs, self.jobs[start] + least - 1e-6))
        first = max(enough, int(np.searchsorted(self.edges, self.edges[start] + _SHORTEST - 1e-9)))
        if first >= wall or self.jobs[wall] - self.jobs[first] < least - 1e-6:
            return wall
        return first

    def _wall(self, start: int, few: float) -> int:
        """The next hard edge; one that leaves the window less than a ``few`` jobs is passed, unless silence begins."""
        after = self.hard[np.searchsorted(self.hard, start, side="right") :]
        held = self.jobs[after] - self.jobs[start]
        at_silence = (self.jobs[np.minimum(after + 1, len(self.jobs) - 1)] == self.jobs[after]) | (held == 0)
        far = np.flatnonzero((held >= few) | at_silence)
        return int(after[far[0]] if len(far) else after[-1])


def _jumps(rate: Floats) -> Flags:
    """Which rows, from the second on, begin with another rate than the one before."""
    return np.asarray(np.abs(np.diff(rate)) > _JUMP * rate.max(initial=0.0))
