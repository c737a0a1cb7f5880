"""Between which two values a figure of the workers lies.

A job that was not started has waited longer than anybody knows, and one that was not finished may still fail. So each
figure is known to lie between two values: what it is if the unknown ones are as small as can be, and if they are as
large. A line has a verdict only where both give the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plg.judge.windows import NoData
from plg.measures import FAR, FAR_TIMES, percentile, samples_needed
from plg.runner.recording import Floats, Ints, Recording
from plg.scenario import Subject

if TYPE_CHECKING:
    from plg.judge.aggregate import Aggregates, Reader, Rows

UNREAD = "nobody read what the workers did in this run"


def check_told(recording: Recording, measure: str) -> None:
    """Raise `NoData` where a measure of the workers was not taken."""
    if measure not in FAR:
        return
    if recording.far is None or measure not in (*recording.histograms, *recording.counters):
        raise NoData(UNREAD if recording.far is None else recording.far.untold.get(measure, UNREAD))
    if why := recording.far.untold.get(measure):
        raise NoData(why)


def bounds(reader: Reader, subject: Subject, width: float | None) -> tuple[Floats, Floats]:
    """The least and the largest value that each window can have."""
    recording = reader.recording
    assert recording.far is not None, "it was checked that there is a record"
    if subject.measure in FAR_TIMES:
        return _bounds_of_time(reader, subject, width)
    value = reader.counter(subject.measure, subject, width)
    most = value + may_still_count(reader, subject, width)
    return value, np.full(len(value), np.inf) if recording.far.doubt else most


def may_still_count(reader: Reader, subject: Subject, width: float | None) -> Floats:
    """Of how many jobs of each window it is not known whether they count."""
    far, unfinished = reader.recording.far, reader.counter("unfinished", subject, width)
    if subject.measure == "lost":
        # One that waits is there; one that a worker has may be lost, for the worker may have been killed.
        return unfinished if far is None else np.minimum(unfinished, far.in_flight)
    # A job that is nowhere may have been run, more than once, and failed, before its record went.
    return unfinished + reader.counter("lost", subject, width)


def _bounds_of_time(reader: Reader, subject: Subject, width: float | None) -> tuple[Floats, Floats]:
    traced = reader.counter("traced", subject, width).astype(np.int64)
    known, least = (reader.rows(name, subject.during, width) for name in (subject.measure, f"{subject.measure}_least"))
    missing, unknown = (np.maximum(traced - rows.totals, 0) for rows in (known, least))
    q = percentile(subject.aggregate or "max")
    if q is not None:
        return _quantile(least, q, unknown, low=True), _quantile(known, q, missing, low=False)
    if subject.aggregate == "mean":
        count = np.maximum(traced, 1)
        return least.sums / count, np.where(missing > 0, np.inf, known.sums / count)
    if subject.aggregate == "min":
        return np.where(unknown > 0, 0.0, _or(least.minima, 0.0)), known.minima
    return _or(least.maxima, 0.0), np.where(missing > 0, np.inf, known.maxima)


def _or(values: Floats, otherwise: float) -> Floats:
    return np.where(np.isfinite(values), values, otherwise)


def _quantile(rows: Rows, q: float, missing: Ints, *, low: bool) -> Floats:
    """The quantile of all jobs of a window, where the ``missing`` have the least times, or the largest."""
    total = rows.totals + missing
    rank = np.maximum(1, np.ceil(q * total - 1e-9)).astype(np.int64)
    own = rank - missing if low else rank
    found = np.where(total > 0, 0.0 if low else np.inf, np.nan)
    within = (own >= 1) & (own <= rows.totals)
    if within.any():
        found[within] = rows.at_rank(own, within)
    return found


def read(reader: Reader, subject: Subject, width: float | None, plain: Aggregates) -> Aggregates:
    """The aggregates with ``blind`` windows, whose value is not known, and the values that are known at least. What is
    known of a job that has not ended counts too."""
    least, most = bounds(reader, subject, width)
    values = np.where(np.isfinite(most), most, np.where(least > 0, least, np.nan))
    blind = (least != most) & ~np.isnan(most)
    if subject.measure not in FAR_TIMES:
        # Where the verdict is the same for all that the count may come to, what was counted is shown.
        counted = np.where(np.isfinite(most), least, values)
        return replace(plain, values=counted, blind=blind)
    traced, q = reader.counter("traced", subject, width), percentile(subject.aggregate or "")
    thin = plain.thin if q is None else (traced > 0) & (traced < samples_needed(q))
    # What the samples agree on is not known where some have no value yet.
    low, high = np.where(blind, 0.0, plain.low), np.where(blind, np.inf, plain.high)
    return replace(plain, values=values, basis=traced, thin=thin, low=low, high=high, blind=blind)
