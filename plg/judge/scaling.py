"""What an autoscaler did about a backlog: when it decided, when its workers took jobs, and whether they were enough.

Between the first job that had to wait and a queue that is empty again there are three links. *Decision*: from the start
of the backlog until the first new worker registers. *Start*: from there until it takes its first job. *Capacity*: all
workers are there, and the backlog still grows. The one that took longest is named.
"""

from __future__ import annotations

import numpy as np

from plg.judge.looks import known, step_of
from plg.judge.wording import counted, figure
from plg.outcome import ScaleUp
from plg.runner.recording import Floats, Recording

_LEAST = 5
"""Jobs above the depth at the start that make a backlog, at its deepest."""
_AT_ONCE = 0.05
"""Seconds that nobody can tell from none."""
_TOLERANCE = 0.02
"""Share of the deepest that may wait without being a backlog yet."""


def scale_up(recording: Recording) -> ScaleUp | None:
    """The rise to the deepest backlog of a run, and the workers that came meanwhile; None where none came or were
    counted, or nothing was held up."""
    times, depth = known(recording, "queue_depth")
    counted_at, workers = known(recording, "workers")
    if len(workers) < 2 or not len(depth):
        return None
    base = recording.start_depth or 0
    peak = int(np.argmax(depth))
    if depth[peak] - base < _LEAST:
        return None
    calm = np.flatnonzero(depth[:peak] <= base + max(1.0, _TOLERANCE * (depth[peak] - base)))
    began = float(times[calm[-1]] if len(calm) else times[0])
    before = float(workers[max(0, int(np.searchsorted(counted_at, began, side="right")) - 1)])
    more = np.flatnonzero((counted_at > began) & (workers > before))
    if not len(more):
        return None
    came = float(counted_at[more[0]])
    most = float(workers[counted_at > began].max())
    full = float(counted_at[np.flatnonzero((counted_at > began) & (workers == most))[0]])
    took = _first_job(recording, began, came, before)
    empty = np.flatnonzero((times > times[peak]) & (depth <= base))
    drained = float(times[empty[0]]) if len(empty) else None
    growing = max(0.0, float(times[peak]) - max(full, took or full))
    links = {"decision": came - began, "start": (took or came) - came, "capacity": growing}
    slowest = max(links, key=lambda name: links[name])
    near = 2 * step_of(recording, "workers")
    return ScaleUp(
        began, came, took, full, float(times[peak]), int(depth[peak]), drained, int(before), int(most), growing,
        slowest if links[slowest] > near else None,
    )  # fmt: skip


def _first_job(recording: Recording, began: float, came: float, before: float) -> float | None:
    """When a new worker was first seen to have a job: more were at hand than the workers before had. Where that is not
    told, and there were none before, when the queue first shrank."""
    at, held = known(recording, "in_flight")
    # A worker may take a job before it is counted, but not long before.
    since = came - step_of(recording, "workers")
    if len(held):
        old = held[(at >= began) & (at < since)]
        new = np.flatnonzero((at >= since) & (held > max(old.max(initial=0.0), 0.0)))
        return max(came, float(at[new[0]])) if len(new) else None
    if before:
        return None
    times, depth = known(recording, "queue_depth")
    shrank = np.flatnonzero((times[1:] >= since) & (np.diff(depth) < 0)) + 1
    return max(came, float(times[shrank[0]])) if len(shrank) else None


def told(found: ScaleUp) -> str:
    """The sentence of every report."""
    began, came = found.backlog_s, found.registered_s
    said = f"scaled up from {found.before:,} to {counted(found.most, 'worker')}: a backlog began at {_at(began)}"
    said += f", the first new worker registered {_for(came - began)} later"
    if found.first_job_s is not None:
        soon = found.first_job_s - came
        said += f" and had a job {_for(soon)} after that" if soon >= _AT_ONCE else " and had a job at once"
    if found.all_there_s > came:
        said += f", all were there at {_at(found.all_there_s)}"
    if found.growing_s > 0:
        said += f", and the backlog still grew for {_for(found.growing_s)}"
    said += f"; it was deepest at {_at(found.deepest_s)} ({counted(found.deepest, 'job')})"
    said += f" and drained at {_at(found.drained_s)}" if found.drained_s is not None else ", and not drained"
    return f"{said}; {_MEANING.get(found.slowest or '', 'no link held it up')}"


_MEANING = {
    "decision": "the slowest link was the decision: nobody had asked for workers yet, or none had come up",
    "start": "the slowest link was the start: workers had registered and took no jobs",
    "capacity": "the slowest link was the capacity: all workers were there, and more jobs came than they could do",
}


def _at(seconds: float) -> str:
    return figure(round(seconds, 1), "s")


_for = _at


def fit(times: Floats, values: Floats, start: float, end: float) -> tuple[Floats, Floats, float] | None:
    """The line of least squares through the samples of a stretch: its two ends, and how fast it rises a second."""
    inside = (times >= start) & (times < end)
    t, y = times[inside], values[inside]
    if len(t) < 3 or t[-1] <= t[0]:
        return None
    slope, level = np.polyfit(t - t[0], y, 1)
    ends = np.array([t[0], t[-1]])
    return ends, np.maximum(level + slope * (ends - t[0]), 0.0), float(slope)
