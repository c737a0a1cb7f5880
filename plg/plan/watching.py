"""How long a run looks at the queue after its last send."""

from __future__ import annotations

from plg.measures import FAR, QUEUE_GAUGES
from plg.queues.envelope import moment_in
from plg.scenario import Expectation, Scenario, Subject

MOST = 60.0
"""Seconds of watch at the most, where the scenario does not say how long."""
LOOK_EVERY = 0.1
"""Seconds between two looks at the queue."""
QUEUE = (*QUEUE_GAUGES, "drain_time", *FAR)
"""The measures that are read off the queue or its workers, and tell when jobs are taken."""


def watch_length(scenario: Scenario) -> float:
    """Seconds from the last send for which the queue is watched while jobs of the run wait in it: as the scenario says,
    else as long as its expectations need, at most `MOST`."""
    if scenario.watch is not None:
        return scenario.watch
    # Where jobs do not say when they were enqueued, a line about their age has no data as long as they wait.
    undated = any(job.queue.kind == "list" and moment_in(job) is None for job in scenario.jobs)
    lines = [line for line in scenario.expect if not (undated and line.subject.measure == "queue_age")]
    return max((needed(expectation) for expectation in lines), default=0.0)


def needed(expectation: Expectation) -> float:
    """Seconds after the last send until an expectation is decided, whatever the queue does; 0 where it looks at none.

    A time (drain_time, the greatest queue_age) is decided when it is past, for which there is a margin. A depth does
    not grow after the last send, so the greatest is known at once; any other figure of it changes as long as jobs wait.
    """
    sides = [side for side in (expectation.subject, expectation.relative) if side is not None]
    looks = [side for side in sides if side.measure in QUEUE]
    if not looks or (expectation.quota == 1 and all(_known_at_once(side) for side in looks)):
        return 0.0
    if expectation.bound is None or expectation.quota < 1 or not all(_is_time(side) for side in looks):
        return MOST
    return min(MOST, expectation.bound * 1.1 + 1.0)


def _known_at_once(subject: Subject) -> bool:
    return subject.measure == "queue_depth" and subject.aggregate in (None, "max")


def _is_time(subject: Subject) -> bool:
    return subject.measure == "drain_time" or (subject.measure == "queue_age" and subject.aggregate in (None, "max"))
