"""How long a run looks at the queue after its last send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plg.dataclass import dataclass
from plg.measures import BACKLOG, FAR, MEASURES, QUEUE_GAUGES
from plg.patterns.spans import PhaseSpan
from plg.queues.envelope import moment_in
from plg.scenario import Expectation, Recovery, Scenario, Subject

MOST = 60.0
"""Seconds of watch at the most, where the scenario does not say how long."""
LOOK_EVERY = 0.1
"""Seconds between two looks at the queue."""
QUEUE = (*QUEUE_GAUGES, "drain_time", "backlog_slope", *FAR)
"""The measures that are read off the queue or its workers, and tell when jobs are taken."""
COUNT_OFTEN, COUNT_NOW_AND_THEN = 0.5, 2.0
"""Seconds between two looks at who works: where a line asks for it, and for the report alone."""
MARGIN = 0.5
"""Seconds for which a run goes on looking after the deadline of a line."""

HOLD = 1.0
"""Seconds for which a measure that returns to its bound has to hold it, where the line does not say."""


def asks_for_workers(scenario: Scenario) -> bool:
    """Whether a line speaks of the number of workers."""
    return any(side.measure in ("workers", "flaps") for line in scenario.expect for side in sides(line))


def sides(line: Expectation) -> list[Subject]:
    """What a line speaks of, and what that is compared with, if it is."""
    return [side for side in (line.subject, line.relative) if side is not None]


def deadlines(recovery: Recovery, spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """From when and until when (s of the run) something has to come true, each time that its phase stands."""
    starts = [end if recovery.since == "end" else start for start, end in spans]
    return [(start, start + recovery.within) for start in starts]


def hold_of(line: Expectation) -> float:
    """Seconds for which a line has to hold, or the width of the windows that it is read in."""
    assert line.recovery is not None, "a line without a deadline is judged otherwise"
    return line.window if line.window is not None else min(HOLD, line.recovery.within / 4)


@dataclass(frozen=True, slots=True)
class Awaited:
    """A line that a run is watched for until its deadline, ``until_s`` of the run, unless it comes true before."""

    text: str
    until_s: float


def awaited(scenario: Scenario, phases: Mapping[str, PhaseSpan]) -> Awaited | None:
    """The line that the run is watched for the longest after its traffic; None where there is none.

    Times need jobs that are due: nothing is watched for them. A ``watch`` in the scenario goes before.
    """
    found = None
    for line in scenario.expect:
        phase = phases.get(line.recovery.phase) if line.recovery is not None else None
        if line.recovery is None or phase is None or MEASURES[line.subject.measure].kind != "gauge":
            continue
        end = phase.end if line.recovery.since == "end" else phase.end - phase.duration
        until = end + line.recovery.within + MARGIN
        if scenario.watch is None and until > scenario.pattern.duration and (found is None or until > found.until_s):
            found = Awaited(line.text, until)
    return found


def watch_length(scenario: Scenario) -> float:
    """Seconds from the last send for which the queue is watched while jobs of the run wait in it: as the scenario says,
    else as long as its expectations need, at most `MOST`."""
    if scenario.watch is not None:
        return scenario.watch
    # Where jobs do not say when they were enqueued, a line about their age has no data as long as they wait.
    undated = any(job.queue.kind == "list" and moment_in(job) is None for job in scenario.jobs)
    lines = [line for line in scenario.expect if not (undated and line.subject.measure == "queue_age")]
    longest = max((needed(expectation) for expectation in lines), default=0.0)
    # Jobs that are delayed are still to come when the last has been sent.
    return longest + scenario.longest_delay if longest else 0.0


def needed(expectation: Expectation) -> float:
    """Seconds after the last send until an expectation is decided, whatever the queue does; 0 where it looks at none.

    A time (drain_time, the greatest queue_age) is decided when it is past, for which there is a margin. A depth does
    not grow after the last send, so the greatest is known at once; any other figure of it changes as long as jobs wait.
    """
    if expectation.recovery is not None:
        return MOST if any(side.measure in FAR for side in sides(expectation)) else 0.0  # see also `awaited`
    looks = [side for side in sides(expectation) if side.measure in (*BACKLOG, "drain_time", *FAR)]
    if not looks or (expectation.quota == 1 and all(_known_at_once(side) for side in looks)):
        return 0.0
    if expectation.bound is None or expectation.quota < 1 or not all(_is_time(side) for side in looks):
        return MOST
    return min(MOST, expectation.bound * 1.1 + 1.0)


def _known_at_once(subject: Subject) -> bool:
    return subject.measure == "queue_depth" and subject.aggregate in (None, "max")


def _is_time(subject: Subject) -> bool:
    return subject.measure == "drain_time" or (subject.measure == "queue_age" and subject.aggregate in (None, "max"))
