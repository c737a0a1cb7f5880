"""When a broken expectation broke: the moment from which its value, reckoned from the start of its span, stayed wrong.

The value so far is followed cell by cell (sample by sample for a gauge) with running sums, so the cost is one pass over
the recording whatever the measure. A percentile is not computed at each step: it is told from the running number of
samples below, in and above the bucket of the bound, which decides every comparison as the percentile itself would.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from plg.histogram import bucket_of
from plg.judge.aggregate import Reader, deviation, error_rate, hits_counted, middle, overlapping
from plg.judge.looks import known
from plg.measures import MEASURES, RECKONED_FROM, percentile
from plg.runner.recording import Floats, Ints
from plg.scenario import Subject

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def holds(op: str, values: Floats, bound: float) -> npt.NDArray[np.bool_]:
    """Whether each value satisfies the expectation. NaN never does, not even under ``!=``."""
    return np.asarray(OPERATORS[op](values, bound)) & ~np.isnan(values)


def one_way(subject: Subject) -> int:
    """1 for a reading that can only grow as the run goes on, -1 for one that can only shrink, else 0."""
    kind = MEASURES[subject.measure].kind
    if kind == "count":
        return 1
    if kind == "gauge":
        return {"max": 1, "min": -1}.get(subject.aggregate or "max", 0)
    if kind == "time":
        return {"max": 1, "min": -1}.get(subject.aggregate or "", 0)
    return 0


def decided(subject: Subject, op: str, values: Floats, bound: float) -> npt.NDArray[np.bool_]:
    """Whether aggregates that lack a part of their span give the verdict of the whole, whatever the part holds."""
    direction = one_way(subject)
    if not direction:
        return np.zeros(len(values), dtype=np.bool_)
    beyond = direction * (values - bound) > 0
    if op in ("==", "!="):
        return np.asarray(beyond)
    farther = holds(op, np.full(len(values), direction * np.inf), bound)
    return np.asarray((holds(op, values, bound) == farther) & ~np.isnan(values))


def first_breach_time(reader: Reader, subject: Subject, op: str, bound: float, value: float) -> float | None:
    """The earliest time (s) from which the value so far is in breach to the end; None where that has no meaning.

    ``value`` is the reading of the whole span, known to break the bound.
    """
    if subject.measure == "drain_time" or subject.measure in RECKONED_FROM or _fell_short(subject, op, value, bound):
        return None
    kind = MEASURES[subject.measure].kind
    if kind == "gauge":
        times, values = _gauge_so_far(reader, subject, bound)
    elif subject.measure == "guardrail_hits":
        times, values = _hits_so_far(reader, subject)
    else:
        cells = reader.cells(subject.during, None).inside
        times = reader.recording.edges[cells]
        values = (_time_so_far if kind == "time" else _figure_so_far)(reader, subject, cells, bound)
    broken = ~holds(op, values, bound) & ~np.isnan(values)
    if not len(broken) or not broken[-1]:
        return None
    good = np.flatnonzero(~broken)
    moment = float(times[good[-1] + 1 if len(good) else 0])
    if kind == "gauge":
        return moment
    # What a stop cancelled was due later, but is missing since the stop.
    return min(moment, reader.recording.ended_s) if reader.recording.stop else moment


def _fell_short(subject: Subject, op: str, value: float, bound: float) -> bool:
    """Whether the breach is that something never came about (``acked >= 100`` with 90): such a breach has no moment."""
    direction = one_way(subject)
    if direction == 0:
        return False
    return direction * (bound - value) > 0 or (value == bound and op == {1: ">", -1: "<"}[direction])


def _figure_so_far(reader: Reader, subject: Subject, cells: Ints, bound: float) -> Floats:
    counters = reader.recording.counters

    def running(name: str) -> Floats:
        if name == "errors":
            return running("failed") + running("unknown")
        return np.cumsum(counters[name][cells]).astype(np.float64)

    if subject.measure == "deviation":
        planned = running("planned")
        return np.where(planned > 0, deviation(running("acked"), planned), np.nan)
    if subject.measure == "error_rate":
        return error_rate(running("errors"), running("sent"))
    if subject.measure == "throughput":
        elapsed = np.cumsum(np.diff(reader.recording.edges)[cells])
        elapsed[-1] = reader.windows.get(subject.during).lengths[0]
        return np.asarray(running("acked") / np.minimum(elapsed, elapsed[-1]))
    return running(subject.measure)


def _time_so_far(reader: Reader, subject: Subject, cells: Ints, bound: float) -> Floats:
    first = int(cells[0]) if len(cells) else 0
    histograms = reader.recording.histograms[subject.measure].part(first, int(cells[-1]) + 1 if len(cells) else 0)
    cells = cells - first

    def running(counts: Ints) -> Ints:
        before = np.concatenate([[0], np.cumsum(counts)])
        return np.cumsum((before[histograms.offsets[1:]] - before[histograms.offsets[:-1]])[cells])

    total = running(histograms.counts)
    low = np.minimum.accumulate(histograms.minima[cells])
    high = np.maximum.accumulate(histograms.maxima[cells])
    aggregate = subject.aggregate or "max"
    q = percentile(aggregate)
    if q is None:
        values = np.cumsum(histograms.sums[cells]) / np.maximum(total, 1) if aggregate == "mean" else high
        values = low if aggregate == "min" else values
        return np.where(total > 0, values, np.nan)
    edge = bucket_of(np.array([bound]))
    below = running(np.where(histograms.buckets < edge, histograms.counts, 0))
    upto = running(np.where(histograms.buckets <= edge, histograms.counts, 0))
    rank = np.maximum(1, np.ceil(q * total - 1e-9))
    there = middle(edge, low, high)
    told = np.where(rank <= below, -np.inf, np.where(rank > upto, np.inf, there))
    return np.where(total > 0, told, np.nan)


def _gauge_so_far(reader: Reader, subject: Subject, bound: float) -> tuple[Floats, Floats]:
    times, values = known(reader.recording, subject.measure)
    inside = reader.windows.get(subject.during, None, subject.measure).of_times(times) >= 0
    times, values = times[inside], values[inside]
    aggregate = subject.aggregate or "max"
    total = np.arange(1, len(values) + 1)
    q = percentile(aggregate)
    if q is not None:
        rank = np.maximum(1, np.ceil(q * total - 1e-9))
        below, upto = np.cumsum(values < bound), np.cumsum(values <= bound)
        return times, np.where(rank <= below, -np.inf, np.where(rank > upto, np.inf, bound))
    if aggregate == "mean":
        return times, np.cumsum(values) / total
    return times, (np.minimum if aggregate == "min" else np.maximum).accumulate(values)


def _hits_so_far(reader: Reader, subject: Subject) -> tuple[Floats, Floats]:
    """Each hit counts from its start, or from the start of the stretch it reached into."""
    span = reader.windows.get(subject.during)
    ends = np.where(span.opens, np.inf, span.ends)
    moments = []
    for hit in hits_counted(reader.recording.hits):
        touched = np.flatnonzero(overlapping(hit, span.starts, ends))
        if len(touched):
            moments.append(max(hit.start_s, float(span.starts[touched[0]])))
    return np.array(sorted(moments)), np.arange(1.0, len(moments) + 1)
