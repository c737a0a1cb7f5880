"""Windows as wide as the rate needs: the rows on which rates and percentiles of a run can be shown truly.

A window of the recording is a fixed time. At 25/s one of 50ms has one job or two, which as a rate is 20/s or 40/s, and
its 99th percentile is that of one job. These windows hold a number of jobs instead. None crosses a break of the target:
the plan is cut at the seams of phases and where the rate jumps, and each stretch between has windows of its own.
"""

from __future__ import annotations

import numpy as np

from plg.dataclass import dataclass
from plg.judge.aggregate import Flags, add_up, middle
from plg.judge.series import rows_of_cells, until_of
from plg.measures import samples_needed
from plg.runner.recording import Floats, Ints, Recording

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_WINDOWS = 25
"""A run of few jobs has about so many windows."""
_FEWEST, _ENOUGH = 5, 20
"""Jobs that a window of rates holds at least, where its stretch has them, and at most has to hold."""
_SHORTEST = 0.1
"""Seconds of a window of rates, where its stretch is that long."""
_FOR_P99 = 120
"""Jobs that a window of percentiles is to hold: as many as p99 takes, and some that may have failed."""
_MOST = 4000
"""Windows of a run, but for those of stretches that have only one."""
_PROMPT = 0.05
"""Seconds after which an answer still counts as given when the job was due. More is seen as a delay."""
_JUMP, _SEEN = 0.1, 0.01
"""A rate jumps where it changes by this share of the higher of the two rates, and of the highest of the run."""


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Rates (jobs/s) over the same windows. ``t`` (s) has the start of each, and the end of the last.

    Each column has the last value twice, once for the end. All are empty for a run that never began.
    """

    t: Floats
    target: Floats
    allowed: Floats
    actual: Floats


def rates(recording: Recording) -> Rates:
    """What the pattern asked for, what the guardrails left of it, and what was acked.

    Answers after the plan's end have a last window of their own, in which nothing was asked for.
    """
    if recording.ended_s == 0:
        return Rates(*np.zeros((4, 0)))
    base = _Base.of(recording)
    total = base.weight.sum()
    least = max(float(np.clip(total / _WINDOWS, _FEWEST, _ENOUGH)), float(total) / _MOST)
    picks = base.windows(least, _SHORTEST)
    t, widths = base.edges[picks], np.diff(base.edges[picks])
    acked = np.maximum.accumulate(_acked(recording, base)[picks])
    columns = [np.diff(base.target[picks]), np.diff(base.allowed[picks]), np.diff(acked)]
    left = float(recording.total("acked") - acked[-1])
    if left > 0.5 + 1e-6:
        after = max(_last_answer(recording) - t[-1], recording.window)
        t, widths = np.append(t, t[-1] + after), np.append(widths, after)
        columns = [np.append(column, more) for column, more in zip(columns, (0.0, 0.0, left), strict=True)]
    held = [np.append(column / widths, column[-1:] / widths[-1:]) for column in columns]
    return Rates(t, *held)


def _acked(recording: Recording, base: _Base) -> Floats:
    """Jobs acked until each edge.

    An answer that came at once counts where its job was due. Jobs are whole and stand in the middle of their share of
    the plan: where those that were due are within one of the plan's curve, the curve is used.
    """
    counters = recording.counters
    lost = counters["failed"] + counters["unknown"] + counters["late"]
    due = base.until(counters["planned"] - counters["cancelled"] - counters["shed"] - lost)
    curve = base.allowed - base.until(lost)
    if curve[-1] < _FEWEST:  # so few that what the plan's last share of a job was rounded to would show
        curve = curve * min(1.0, due[-1] / max(curve[-1], 1e-9))
    answered, end = base.until(counters["acked"]), max(_last_answer(recording), base.edges[-1] + 1e-9)
    if recording.stop and recording.ended_s < recording.duration:
        answered[-1], end = recording.total("acked"), base.edges[-1] + 1e-9
    soon = np.append(answered, recording.total("acked"))
    soon = np.interp(base.edges + _PROMPT, np.append(base.edges, end), soon)
    prompt = (soon >= due - 0.5) & (answered <= due + 0.5)
    smooth = np.where(np.abs(due - curve) <= 1, curve, due)
    return np.where(prompt, smooth, answered)


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
    base = _Base.of(recording)
    bounds = base.edges[base.windows(max(_FOR_P99, float(base.weight.sum()) / _MOST), 0.0)]
    starts, lengths = bounds[:-1], np.diff(bounds)
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
    """The cells of the plan as the finest rows: ``edges`` (s), and jobs asked for and allowed until each of them.

    ``weight`` (jobs) of a row is what there is to see in it. ``breaks`` are the edges that no window may cross, as
    ascending indices from the first to the last.
    """

    edges: Floats
    target: Floats
    allowed: Floats
    weight: Floats
    breaks: Ints

    @staticmethod
    def of(recording: Recording) -> _Base:
        until = max(until_of(recording), 1e-9)
        inner = recording.edges[recording.edges < until]
        edges = np.append(inner, until)
        widths, rows = np.diff(edges), len(inner)
        asked, left = recording.target_rate[:rows], recording.allowed_rate[:rows]
        # In silence, what is answered late is what there is to see.
        weight = np.where(left > 0, left * widths, recording.counters["acked"][:rows])
        seams = np.array([moment for spans in recording.spans.values() for span in spans for moment in span])
        jumps = np.flatnonzero(_jumps(asked) | _jumps(left)) + 1
        breaks = np.unique(np.concatenate([[0], jumps, np.searchsorted(inner, seams - 1e-6), [rows]]))
        target, allowed = (np.append(0.0, np.cumsum(rate * widths)) for rate in (asked, left))
        return _Base(edges, target, allowed, weight, breaks)

    def until(self, counter: Ints) -> Floats:
        """The running total of a counter's cells at each edge."""
        return np.append(0.0, np.cumsum(counter[: len(self.edges) - 1]))

    def windows(self, least: float, shortest: float) -> Ints:
        """The edges at which windows begin, and the last edge, as indices.

        Each stretch between two breaks has as many windows of alike weight as leaves each ``least`` jobs and
        ``shortest`` seconds, and one at least.
        """
        jobs = np.append(0.0, np.cumsum(self.weight))
        first, last = self.breaks[:-1], self.breaks[1:]
        weight, length = jobs[last] - jobs[first], self.edges[last] - self.edges[first]
        count = np.floor(weight / least + 1e-6)
        if shortest:
            count = np.minimum(count, np.floor(length / shortest + 1e-6))
        count = np.maximum(count, 1).astype(np.int64)
        stretch = np.repeat(np.arange(len(count)), count)
        number = np.arange(len(stretch)) - np.repeat(np.cumsum(count) - count, count)
        marks = jobs[first][stretch] + weight[stretch] * number / count[stretch]
        picks = np.clip(np.searchsorted(jobs, marks - 1e-6), first[stretch], last[stretch])
        return np.unique(np.concatenate([np.where(number == 0, first[stretch], picks), [len(self.edges) - 1]]))


def _jumps(rate: Floats) -> Flags:
    """Which rows, from the second on, begin with another rate than the one before."""
    change, higher = np.abs(np.diff(rate)), np.maximum(rate[1:], rate[:-1])
    silence = (rate[1:] > 0) != (rate[:-1] > 0)
    return np.asarray(silence | ((change > _JUMP * higher) & (change > _SEEN * rate.max(initial=0.0))))
