"""``or stop``: whether a run that is still going has broken an expectation already.

What is judged early must not be mended by what is still to come, or rest on too little:

- windows: those wholly past (the last of the plan waits for the last answers); broken when more have failed than the
  quota allows of all windows of the span. Of the queue's, where some may fail: never, for the watch adds to them;
- a span that is past: as at the end of the run;
- of a time, a window or a span is past when all that was due in it has been answered, or was never sent;
- counts, ``max`` and ``min``: as soon as no later event can mend them (``errors == 0`` at the first error);
- ``deviation``: by the arrivals certainly lost (shed, late, failed, unknown) of those due, from 100 due on;
- ``error_rate``: from 100 jobs sent on;
- ``throughput``: only a value too high can be known before the span is past;
- percentiles and means: from 100 samples on (20 of a gauge), and twice what the percentile needs;
- ``drain_time``, ``residue``, ``cancelled``, ``backlog_slope``, ``flaps`` and what the workers did: never, the run is
  over when they are known.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace

import numpy as np

from plg.judge.aggregate import Flags, Reader
from plg.judge.breach import decided, holds, one_way
from plg.judge.expectations import Finding, WindowFindings, allowance, dress, find_unexcused, relative_bound, sort_out
from plg.judge.soundness import excuse
from plg.judge.windows import NoData, intervals_of
from plg.judge.wording import counted
from plg.measures import FAR, MEASURES, OF_THE_RUN, QUEUE_GAUGES, RECKONED_FROM, percentile, samples_needed
from plg.outcome import ExpectationResult
from plg.runner.recording import Recording, slack
from plg.scenario import Expectation, Subject

JUST = 1e-9
"""A window that ends so many seconds from now is past."""
MIN_JOBS = 100
"""Arrivals due (or jobs sent) before a share of them can end a run."""
MIN_SAMPLES = 100
MIN_GAUGE_SAMPLES = 20
AT_THE_END = (*OF_THE_RUN, "cancelled", *FAR, *RECKONED_FROM)
"""What nobody knows before the run is over: all that is still to come would count as cancelled, and the workers are
read to the end only then. What is reckoned from all samples of a span is refused to end a run."""


def first_breach(
    expectations: Sequence[Expectation], recording: Recording, now: float | None = None
) -> ExpectationResult | None:
    """The first expectation marked ``or stop`` that is broken for good at ``now``, or None.

    ``recording`` is a snapshot of the running run, complete up to ``now`` (s from its start; default
    ``recording.ended_s``); whatever it says of a stop is passed over, and so are expectations without ``or stop``.
    """
    moment = recording.ended_s if now is None else now
    reader = Reader(replace(recording, stop=None))
    for expectation in expectations:
        if not expectation.stop:
            continue
        found = broken_for_good(reader, expectation, moment)
        if found is None:
            continue
        # The windows that plg itself spoiled are left out one by one.
        if expectation.window is None and excuse(reader, expectation, "fail", found.observed, found.bound):
            continue
        return dress(reader, expectation, found)
    return None


def broken_for_good(reader: Reader, expectation: Expectation, now: float) -> Finding | None:
    """What breaks the expectation for good by now, whoever is to blame; None where nothing does."""
    try:
        found = _look(reader, expectation, now)
    except NoData:
        return None
    return found if found is not None and found.verdict == "fail" else None


def summed(expectation: Expectation) -> bool:
    """Whether each shard of a run has its part of the figure, and the sum of the parts alone can break the line."""
    kind, name = MEASURES[expectation.subject.measure].kind, expectation.subject.measure
    whole = expectation.window is None and expectation.relative is None and name not in FAR
    return whole and (kind == "count" or name == "throughput") and expectation.op in ("<", "<=", "==")


def breach_of_sum(
    expectation: Expectation, reader: Reader, counted: MutableMapping[str, float], others: Mapping[str, float]
) -> ExpectationResult | None:
    """A breach by what this shard and the ``others`` have counted together; what this one has is put into ``counted``.

    Both hold figures by the text of the expectation, which is `summed`.
    """
    own = _reading(reader, expectation.subject)
    if own is None or expectation.bound is None:
        return None
    counted[expectation.text] = own
    total = own + others.get(expectation.text, 0.0)
    if not _beyond(1, expectation.op, total, expectation.bound):
        return None
    if holds(expectation.op, np.array([total]), expectation.bound)[0]:
        return None
    found = Finding("fail", total, expectation.bound, "broken by all shards together", reader.recording.ended_s)
    return dress(reader, expectation, found)


def _look(reader: Reader, expectation: Expectation, now: float) -> Finding | None:
    """The finding where something can be said by now. Raises `NoData`."""
    subject = expectation.subject
    if any(side.measure in AT_THE_END for side in (subject, expectation.relative) if side is not None):
        return None
    bound = expectation.bound
    if expectation.relative is not None:
        if not _past(reader, expectation.relative, now):
            return None
        bound = relative_bound(reader, expectation.relative, expectation.factor)
    assert bound is not None, "an expectation has a bound or something to be compared with"
    if expectation.window is not None:
        return _windows(reader, expectation, bound, now)
    if _past(reader, subject, now):
        return find_unexcused(reader, expectation)
    value = _value_so_far(reader, subject, expectation.op, bound, now)
    if value is None or holds(expectation.op, np.array([value]), bound)[0]:
        return None
    return Finding("fail", value, bound, "broken while the run was going", now)


def _past(reader: Reader, subject: Subject, now: float) -> bool:
    """Whether nothing to come can count in the span any more."""
    return is_over(reader.recording, subject.during, now) and not _open(reader, subject, None)[0]


def is_over(recording: Recording, during: str | None, now: float) -> bool:
    """Whether the span is over; one that ends with the plan takes its last answers. Raises `NoData`."""
    last = recording.duration - slack(recording.duration)
    return all(end <= now and end < last for _, end in intervals_of(recording, during))


def _open(reader: Reader, subject: Subject, width: float | None) -> Flags:
    """In which windows of a time measure jobs may still get theirs: not yet sent, or not yet answered."""
    if MEASURES[subject.measure].kind != "time":
        return np.zeros(reader.windows.get(subject.during, width, subject.measure).count, dtype=np.bool_)
    planned, shed, late = (reader.counter(name, subject, width) for name in ("planned", "shed", "late"))
    unsent = planned - shed - late - reader.rows("lag", subject.during, width).totals
    if subject.measure == "lag":
        return np.asarray(unsent > 0)
    return np.asarray((unsent > 0) | (reader.counter("in_flight", subject, width) > 0))


def _windows(reader: Reader, expectation: Expectation, bound: float, now: float) -> Finding | None:
    subject = expectation.subject
    windows = reader.windows.get(subject.during, expectation.window, subject.measure)
    findings, final = failed_windows(reader, expectation, bound, now)
    if subject.measure in QUEUE_GAUGES:
        # The watch adds windows, so that a share of them is known only at its end.
        if expectation.quota < 1:
            return None
        final[-1] = False
    failed = np.flatnonzero(final)
    allowed = allowance(expectation.quota, windows.count)
    if len(failed) <= allowed:
        return None
    worst = float(findings.values[failed[allowed]])
    detail = f"{counted(len(failed), 'window')} failed ({allowed:,} allowed of {windows.count:,})"
    return Finding("fail", worst, bound, detail, float(windows.starts[failed[0]]))


def failed_windows(reader: Reader, expectation: Expectation, bound: float, now: float) -> tuple[WindowFindings, Flags]:
    """The windows sorted out, and which of them have failed for good. Raises `NoData`."""
    subject, width = expectation.subject, expectation.window
    windows = reader.windows.get(subject.during, width, subject.measure)
    findings = sort_out(reader, reader.read(subject, width), expectation, bound)
    past = ~windows.opens & (windows.ends <= now + JUST)
    past &= ~_open(reader, subject, width) | decided(subject, expectation.op, findings.values, bound)
    return findings, findings.failed & past


def _value_so_far(reader: Reader, subject: Subject, op: str, bound: float, now: float) -> float | None:
    """The value so far where a breach by it would be final; None where it is too early to tell."""
    direction = one_way(subject)
    if direction:
        value = _reading(reader, subject)
        return value if value is not None and _beyond(direction, op, value, bound) else None
    if subject.measure == "deviation":
        return _certain_loss(reader, subject, now) if op in ("<", "<=") else None
    if subject.measure == "throughput":
        value = _reading(reader, subject)
        return value if value is not None and _beyond(1, op, value, bound) else None
    aggregates = reader.read(subject)
    enough: float = MIN_JOBS
    kind = MEASURES[subject.measure].kind
    if kind in ("time", "gauge"):
        q = percentile(subject.aggregate or "")
        enough = max(MIN_SAMPLES if kind == "time" else MIN_GAUGE_SAMPLES, 2 * samples_needed(q) if q else 0)
    value = float(aggregates.values[0])
    return None if aggregates.basis[0] < enough or np.isnan(value) or aggregates.blind[0] else value


def _reading(reader: Reader, subject: Subject) -> float | None:
    value = float(reader.read(subject).values[0])
    return None if np.isnan(value) else value


def _beyond(direction: int, op: str, value: float, bound: float) -> bool:
    """Whether a value that can only move in ``direction`` has passed the last one that would do."""
    upper = {1: ("<", "<="), -1: (">", ">=")}[direction]
    return op in upper or (op == "==" and direction * (value - bound) > 0)


def _certain_loss(reader: Reader, subject: Subject, now: float) -> float | None:
    """Lost arrivals of those due, over the cells wholly past; jobs still on their way count as if acknowledged."""
    recording = reader.recording
    cells = reader.cells(subject.during, None).inside
    cells = cells[recording.edges[cells + 1] <= now + JUST]
    due = recording.total("planned", cells)
    if due < MIN_JOBS:
        return None
    return sum(recording.total(name, cells) for name in ("shed", "late", "failed", "unknown")) / due
