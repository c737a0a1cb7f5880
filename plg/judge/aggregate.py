"""What a subject reads in each window: one number, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.guardrails.guard import Hit
from plg.histogram import BUCKETS, lower_edge
from plg.judge import far_bounds
from plg.judge.from_samples import RECKONERS
from plg.judge.looks import gaps, known, undated
from plg.judge.windows import PhaseIndex, WindowCache, Windows, check_fit, ended, watched_gauge
from plg.measures import FAR, MEASURES, RECKONED_FROM, percentile, samples_needed
from plg.runner.recording import Floats, Ints, Recording, sample_step
from plg.scenario import Subject

Flags = npt.NDArray[np.bool_]
_DENSE = 1 << 22
"""Up to so many (window, bucket) pairs are added up in a dense table; beyond that rows are sorted."""


@dataclass(frozen=True, slots=True, eq=False)
class Aggregates:
    """One entry a window.

    ``values`` is NaN where there is nothing to read. ``idle`` marks windows in which nothing was due and nothing
    happened: there is nothing to judge in them. ``basis`` is the number of samples or jobs behind each value. ``low``
    and ``high`` are the smallest and largest sample, ``thin`` marks percentiles that rest on too few samples, ``blind``
    windows for a part of which there is no data.
    """

    values: Floats
    basis: Floats
    idle: Flags
    thin: Flags
    low: Floats
    high: Floats
    blind: Flags


def _plain(values: Floats, basis: Floats, idle: Flags) -> Aggregates:
    none = np.zeros(len(values), dtype=np.bool_)
    return Aggregates(values, basis, idle, none, values, values, none)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Histogram rows in order of (window, bucket), their running total, and the exact figures of each window."""

    buckets: Ints
    running: Ints
    totals: Ints
    sums: Floats
    minima: Floats
    maxima: Floats

    def quantile(self, q: float) -> Floats:
        """Nearest-rank quantile of each window, as `plg.histogram.Distribution.quantile` gives it; NaN when empty."""
        found = self.totals > 0
        out = np.full(len(self.totals), np.nan)
        if found.any():
            out[found] = self.at_rank(np.maximum(1, np.ceil(q * self.totals - 1e-9)).astype(np.int64), found)
        return out

    def at_rank(self, rank: Ints, found: Flags) -> Floats:
        """The value of this rank (from 1) in each of the windows ``found``."""
        before = np.cumsum(self.totals) - self.totals
        bucket = self.buckets[np.searchsorted(self.running, (before + rank)[found])]
        return middle(bucket, self.minima[found], self.maxima[found])


def middle(bucket: Ints, minima: Floats, maxima: Floats) -> Floats:
    """The value a bucket stands for: its middle, kept within the smallest and largest value seen."""
    centre = (lower_edge(bucket) + lower_edge(bucket + 1)) / 2
    return np.minimum(np.maximum(centre, minima), maxima)


def hits_counted(hits: Iterable[Hit]) -> list[Hit]:
    """The hits that the measure guardrail_hits counts: clips and stops, not warnings."""
    return [hit for hit in hits if hit.action in ("clip", "stop")]


def overlapping(hit: Hit, starts: Floats, ends: Floats) -> Flags:
    """Which of the stretches ``[start, end)`` a hit touches; one without length touches the one it stands in."""
    return (hit.start_s < ends) & ((hit.end_s > starts) | (hit.start_s >= starts))


@dataclass(slots=True)
class Reader:
    """Reads subjects off one recording and keeps what several expectations share: windows, cells, sorted rows."""

    recording: Recording
    windows: WindowCache = field(init=False)
    _phases: PhaseIndex | None = None
    _rows: dict[tuple[str, str | None, float | None], Rows] = field(default_factory=dict)
    _cells: dict[tuple[str | None, float | None, str], Cells] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.windows = WindowCache(self.recording)

    def phase_at(self, t: float) -> str | None:
        """The phase that ``t`` falls into, the shortest where several overlap; None outside of all."""
        if self._phases is None:
            self._phases = PhaseIndex(self.recording.spans)
        return self._phases.at(t)

    def read(self, subject: Subject, width: float | None = None) -> Aggregates:
        """Readings in the whole span of the subject, or in each window of ``width``. Raises `NoData`."""
        windows = self.windows.get(subject.during, width, subject.measure)
        kind = MEASURES[subject.measure].kind
        if subject.measure in FAR:
            return self._far(subject, windows, width)
        if subject.measure in RECKONERS:
            return self._reckoned(subject, windows)
        if kind == "gauge":
            return self._gauge(subject, windows)
        if subject.measure == "guardrail_hits":
            return self._hits(windows)
        if width is not None:
            check_fit(self.recording, windows, width)
        if kind == "time":
            return self._time(subject, windows, width)
        return self._figure(subject, windows, width)

    def _reckoned(self, subject: Subject, windows: Windows) -> Aggregates:
        gauge = RECKONED_FROM[subject.measure]
        times, values = known(self.recording, gauge)
        until = np.inf if watched_gauge(subject.measure) else ended(self.recording)
        seen = times <= until
        found, basis = RECKONERS[subject.measure](times[seen], values[seen], windows)
        return replace(_plain(found, basis, basis < 0), blind=self._blind(gauge, windows))

    def _far(self, subject: Subject, windows: Windows, width: float | None) -> Aggregates:
        far_bounds.check_told(self.recording, subject.measure)
        if width is not None:
            check_fit(self.recording, windows, width)
        timed = MEASURES[subject.measure].kind == "time"
        plain = self._time(subject, windows, width) if timed else self._figure(subject, windows, width)
        return far_bounds.read(self, subject, width, plain)

    def cells(self, during: str | None, width: float | None, measure: str = "") -> Cells:
        """The cells of the windows that a measure is read in."""
        key = (during, width, watched_gauge(measure))
        if key not in self._cells:
            windows, edges = self.windows.get(during, width, measure), self.recording.edges
            first, last = windows.reach(edges)
            self._cells[key] = Cells(slice(first, last), windows.of_cells(edges[first : last + 1]))
        return self._cells[key]

    def counter(self, name: str, subject: Subject, width: float | None = None) -> Floats:
        """Sum of a counter in each window; ``errors`` are failed and unknown together."""
        if name == "errors":
            return self.counter("failed", subject, width) + self.counter("unknown", subject, width)
        count = self.windows.get(subject.during, width).count
        return self.cells(subject.during, width).tally(self.recording.counters[name], count)

    def _figure(self, subject: Subject, windows: Windows, width: float | None) -> Aggregates:
        def total(name: str) -> Floats:
            return self.counter(name, subject, width)

        planned, acked = total("planned"), total("acked")
        idle = (planned == 0) & (acked == 0) & (total("sent") == 0) & (total("errors") == 0)
        if subject.measure == "deviation":
            if windows.cut >= 0:
                planned[windows.cut] -= total("cancelled")[windows.cut]
            return _plain(deviation(acked, planned), planned, planned == 0)
        if subject.measure == "error_rate":
            return _plain(error_rate(total("errors"), total("sent")), total("sent"), idle)
        if subject.measure == "throughput":
            lengths = windows.lengths
            rate = np.divide(acked, lengths, out=np.full(len(acked), np.nan), where=lengths > 0)
            return _plain(rate, acked, np.zeros(len(acked), dtype=np.bool_))
        counts = total(subject.measure)
        return _plain(counts, planned, np.zeros(len(counts), dtype=np.bool_))

    def _hits(self, windows: Windows) -> Aggregates:
        counts = np.zeros(windows.count)
        ends = np.where(windows.opens, np.inf, windows.ends)
        for hit in hits_counted(self.recording.hits):
            counts[np.unique(windows.owner[overlapping(hit, windows.starts, ends)])] += 1
        return _plain(counts, counts, np.zeros(windows.count, dtype=np.bool_))

    def _time(self, subject: Subject, windows: Windows, width: float | None) -> Aggregates:
        rows = self.rows(subject.measure, subject.during, width)
        totals = rows.totals.astype(np.float64)
        planned, shed, cancelled = (self.counter(name, subject, width) for name in ("planned", "shed", "cancelled"))
        idle = (rows.totals == 0) & (planned <= shed + cancelled)
        aggregate = subject.aggregate or "max"
        q = percentile(aggregate)
        empty = rows.totals == 0
        low, high = (np.where(empty, np.nan, edge) for edge in (rows.minima, rows.maxima))
        if q is not None:
            thin = ~empty & (rows.totals < samples_needed(q))
            return Aggregates(rows.quantile(q), totals, idle, thin, low, high, np.zeros(len(thin), dtype=np.bool_))
        if aggregate == "mean":
            return _plain(np.divide(rows.sums, totals, out=np.full(windows.count, np.nan), where=~empty), totals, idle)
        return _plain(low if aggregate == "min" else high, totals, idle)

    def rows(self, measure: str, during: str | None, width: float | None) -> Rows:
        """The histogram rows of a time measure, added up by window."""
        key = (measure, during, width)
        if key not in self._rows:
            count = self.windows.get(during, width).count
            cells = self.cells(during, width)
            self._rows[key] = add_up(self.recording, measure, cells.owner, count, cells.at.start)
        return self._rows[key]

    def _gauge(self, subject: Subject, windows: Windows) -> Aggregates:
        times, values = known(self.recording, subject.measure)
        owner = windows.of_times(times)
        values, owner = values[owner >= 0], owner[owner >= 0]
        order = np.lexsort((values, owner))
        values, owner = values[order], owner[order]
        totals = np.bincount(owner, minlength=windows.count)
        found = totals > 0
        first = np.cumsum(totals) - totals
        low, high, out = (np.full(windows.count, np.nan) for _ in range(3))
        low[found], high[found] = values[first[found]], values[(first + totals - 1)[found]]
        blind = self._blind(subject.measure, windows)
        idle = self._unsampled(windows) & ~blind
        basis = totals.astype(np.float64)
        aggregate = subject.aggregate or "max"
        q = percentile(aggregate)
        if q is not None:
            rank = np.maximum(1, np.ceil(q * totals - 1e-9)).astype(np.int64)
            out[found] = values[(first + rank - 1)[found]]
            return Aggregates(out, basis, idle, found & (totals < samples_needed(q)), low, high, blind)
        if aggregate == "mean":
            out[found] = np.bincount(owner, weights=values, minlength=windows.count)[found] / totals[found]
        else:
            out = low if aggregate == "min" else high
        return replace(_plain(out, basis, idle), blind=blind)

    def _blind(self, gauge: str, windows: Windows) -> Flags:
        """Regions for a part of which a gauge has no data."""
        blind = np.zeros(windows.count, dtype=np.bool_)
        starts, ends = gaps(self.recording, gauge)
        first = np.searchsorted(np.where(windows.opens, np.inf, windows.ends), starts, side="right")
        last = np.searchsorted(windows.starts, ends, side="left")
        for begin, end in zip(first.tolist(), last.tolist(), strict=True):
            blind[windows.owner[begin:end]] = True
        if gauge == "queue_age":
            owner = windows.of_times(undated(self.recording))
            blind[owner[owner >= 0]] = True
        return blind

    def _unsampled(self, windows: Windows) -> Flags:
        """Windows no sample was meant for, being narrower than two steps of the sampler."""
        times = self.recording.sample_times
        tried = np.bincount(windows.of_times(times) + 1, minlength=windows.count + 1)[1:]
        return np.asarray((tried == 0) & (windows.lengths < 2 * sample_step(self.recording)))


def deviation(acked: Floats, planned: Floats) -> Floats:
    """|acked - planned| / planned; 0 where nothing was planned and nothing came, NaN where something came unplanned."""
    rest = np.where(acked == 0, 0.0, np.nan)
    return np.asarray(np.divide(np.abs(acked - planned), planned, out=rest, where=planned > 0))


def error_rate(errors: Floats, sent: Floats) -> Floats:
    """errors / sent, at most 1 (an answer may come in a later window than its job was sent in); NaN without either."""
    of = np.maximum(sent, errors)
    return np.asarray(np.divide(errors, of, out=np.full(len(of), np.nan), where=of > 0))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells that windows reach over, ``at`` a stretch of all, and the window of each of them (-1: none)."""

    at: slice
    owner: Ints

    @property
    def inside(self) -> Ints:
        """Indices, among all cells, of those in a window."""
        return np.asarray(np.flatnonzero(self.owner >= 0) + self.at.start)

    def tally(self, column: npt.NDArray[Any], count: int) -> Floats:
        """Sum of a column of one entry a cell, in each of ``count`` windows."""
        kept = self.owner >= 0
        return tally(self.owner[kept], column[self.at][kept], count)


def tally(owner: Ints, amounts: npt.NDArray[Any], count: int) -> Floats:
    """Sum of the amounts of each of ``count`` owners."""
    return np.bincount(owner, weights=amounts, minlength=count).astype(np.float64)


def add_up(recording: Recording, measure: str, cells: Ints, count: int, first: int = 0) -> Rows:
    """The histograms of a time measure by window, where ``cells`` gives the window of each cell from the ``first`` on
    (-1: none)."""
    histograms = recording.histograms[measure].part(first, first + len(cells))
    owner = np.repeat(cells, np.diff(histograms.offsets))
    inside = owner >= 0
    key = owner[inside] * BUCKETS + histograms.buckets[inside]
    counts = histograms.counts[inside]
    if count * BUCKETS <= _DENSE:
        dense = np.bincount(key, weights=counts, minlength=count * BUCKETS)
        key = np.flatnonzero(dense)
        counts = dense[key].astype(np.int64)
    elif np.any(key[1:] < key[:-1]):
        order = np.argsort(key, kind="stable")
        key, counts = key[order], counts[order]
    kept = cells >= 0
    minima, maxima = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(minima, cells[kept], histograms.minima[kept])
    np.maximum.at(maxima, cells[kept], histograms.maxima[kept])
    return Rows(
        key % BUCKETS, np.cumsum(counts), tally(key // BUCKETS, counts, count).astype(np.int64),
        tally(cells[kept], histograms.sums[kept], count), minima, maxima,
    )  # fmt: skip
