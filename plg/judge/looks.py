"""What the looks at the queue tell: until when it was watched, whose jobs waited, and where nobody could see it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plg.judge.wording import counted, moment
from plg.measures import BACKLOG, QUEUE_GAUGES, RECKONED_FROM
from plg.runner.recording import Floats, Intervals, Ints, Recording, sample_step

BLIND = 1.0
"""Seconds without a look that succeeded for which a gauge has no data."""
_STAMP = 0.01
"""Seconds by which the moment that a job carries may lie after the one at which it was sent."""


def watched_until(recording: Recording) -> float:
    """End (s) of what was seen of the queue: the last look, or where the run stands if that is later."""
    last = float(recording.sample_times[-1]) if len(recording.sample_times) else 0.0
    return max(recording.ended_s, float(np.nextafter(last, np.inf)))


def known(recording: Recording, gauge: str) -> tuple[Floats, Floats]:
    """Times and values of a gauge, in order of time, without those that could not be taken.

    Processor and memory are judged while the plan lasts, the queue until the watch is over.
    """
    times = recording.sample_times
    values = recording.samples.get(gauge, np.full(len(times), np.nan))
    taken = ~np.isnan(values)
    if gauge not in QUEUE_GAUGES:
        end = recording.ended_s if recording.stop else max(recording.duration, recording.ended_s)
        taken &= times <= end + 1e-9
    order = np.argsort(times[taken], kind="stable")
    return times[taken][order], values[taken][order]


def undated(recording: Recording) -> Floats:
    """Moments at which jobs waited whose age could not be told."""
    depth, age = recording.samples["queue_depth"], recording.samples["queue_age"]
    return recording.sample_times[(depth > 0) & np.isnan(age)]


def step_of(recording: Recording, gauge: str) -> float:
    """Seconds between two looks that told a gauge, most of the time: workers are not counted at each."""
    step, times = sample_step(recording), known(recording, gauge)[0]
    return step if gauge in BACKLOG or len(times) < 2 else max(step, float(np.median(np.diff(times))))


def gaps(recording: Recording, gauge: str) -> tuple[Floats, Floats]:
    """Starts and ends of the stretches for which the queue could not be seen, in order.

    A look speaks for the time up to the next one. A stretch counts when it is longer than `BLIND`, or than twice the
    usual distance of two looks where that is more. Of processor and memory there are none: those are always at hand.
    """
    if gauge not in QUEUE_GAUGES or not len(recording.sample_times):
        return np.zeros(0), np.zeros(0)
    step = step_of(recording, gauge)
    seen, _ = known(recording, "queue_depth" if gauge in BACKLOG else gauge)
    marks = np.concatenate([[0.0], seen, [watched_until(recording)]])
    wide = np.flatnonzero(np.diff(marks) > max(BLIND, 2 * step))
    return marks[:-1][wide] + step, marks[1:][wide]


def why_unseen(recording: Recording, gauge: str) -> str:
    """Why a gauge, or what is reckoned from it, has no data for a part of the run."""
    gauge = RECKONED_FROM.get(gauge, gauge)
    if gauge == "queue_age" and len(at := undated(recording)):
        looks = int(np.count_nonzero(~np.isnan(recording.samples["queue_depth"])))
        return (
            f"{len(at):,} of {counted(looks, 'look')} found jobs that do not say when they were enqueued, "
            f"the first at {moment(float(at[0]), None)}"
        )
    starts, ends = gaps(recording, gauge)
    worst = int(np.argmax(ends - starts))
    what = "the queue" if gauge in BACKLOG else gauge
    return f"{what} could not be seen from {moment(float(starts[worst]), None)} to {moment(float(ends[worst]), None)}"


def oldest_due(recording: Recording) -> tuple[Floats, Floats]:
    """Times of the looks that found jobs waiting, and when the oldest of those was due (s; NaN where that is unknown).

    Its age tells. Where it has none, order does: with jobs taken first in, first out, n waiting jobs are the n that
    were due last of those acked. That count is known once nothing is sent any more. Jobs from before the run are due
    before 0.
    """
    times = recording.sample_times
    depth, age = recording.samples["queue_depth"], recording.samples["queue_age"]
    due = times - age
    after = (
        np.isnan(age) & (depth > 0) & (times >= (np.inf if recording.last_send_s is None else recording.last_send_s))
    )
    if after.any():
        due[after] = _due_of(recording, depth[after])
    found = depth > 0
    order = np.argsort(times[found], kind="stable")
    return times[found][order], due[found][order]


def _due_of(recording: Recording, waiting: Floats) -> Floats:
    """When the oldest of so many waiting jobs was due, counted from the last; -1 for one from before the run."""
    of = recording.histograms["latency"]
    rows = np.concatenate([[0], np.cumsum(of.counts)])
    acked: Ints = np.cumsum(np.diff(rows[of.offsets]))
    place = acked[-1] - waiting
    cell = np.searchsorted(acked, np.maximum(place, 0), side="right")
    return np.where(place >= 0, recording.edges[np.minimum(cell, recording.cells - 1)], -1.0)


def awaited(recording: Recording, during: str | None) -> float | None:
    """Age (s) of the oldest job that still waited at the last look, where it may be one of the run, or of a phase.

    None where none waited, where those that did came later, and where their age cannot be told.
    """
    times, due = oldest_due(recording)
    seen = known(recording, "queue_depth")[0]
    if not len(times) or times[-1] < seen[-1] or np.isnan(due[-1]) or recording.last_send_s is None:
        return None
    end = recording.last_send_s if during is None else max(end for _, end in recording.spans[during])
    return None if due[-1] > end + _STAMP else float(times[-1] - due[-1])


def stays(recording: Recording, gauge: str, phase: str) -> list[tuple[float, float]]:
    """When, outside of its own seconds, a phase is judged by the queue: while a job of it is the oldest waiting.

    For queue_age that is at any time, for what it reads is the age of that job. For queue_depth it is after the last
    send only, for before, later phases add to what waits. In order of time; where the queue could not be seen, what
    the last look found goes on. The other gauges are no matter of whose jobs wait.
    """
    if gauge not in BACKLOG:
        return []
    times, due = oldest_due(recording)
    seen = np.append(known(recording, "queue_depth")[0], watched_until(recording))
    ends = seen[np.searchsorted(seen, times, side="right")]
    begin = times
    if gauge == "queue_depth":
        begin = np.maximum(times, np.inf if recording.last_send_s is None else recording.last_send_s)
    pieces = recording.spans[phase]
    found: list[tuple[float, float]] = []
    for start, end in zip(begin[own := _inside(due, pieces)].tolist(), ends[own].tolist(), strict=True):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif end > start:
            found.append((start, end))
    return found


def _inside(moments: Floats, pieces: Intervals) -> npt.NDArray[np.bool_]:
    """Which moments lie within a phase, whose pieces do not overlap."""
    starts, ends = (np.sort(np.array(side, dtype=np.float64)) for side in zip(*pieces, strict=True))
    place = np.searchsorted(starts, moments, side="right") - 1
    return np.asarray((place >= 0) & (moments < ends[place]))
