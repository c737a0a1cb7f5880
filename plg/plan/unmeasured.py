"""Lines of a scenario that can have no data, or look past the queue: known before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from plg.dataclass import dataclass
from plg.diagnostics import Path
from plg.measures import FAR, MEASURES, ON_LATENCY, RECKONED_FROM, TAKEN, percentile, samples_needed
from plg.patterns.base import Floats
from plg.patterns.spans import MOST_INTERVALS, PhaseSpan
from plg.plan.watching import LOOK_EVERY, QUEUE, hold_of, watch_length
from plg.queues.envelope import moment_in
from plg.queues.registry import SHIPPED, format_of
from plg.queues.use import queues_of
from plg.scenario import Expectation, Recovery, Scenario, Subject
from plg.units import format_duration


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A warning about the node of the document at ``path``: an expectation, a guardrail or the name of the scenario.
    ``help`` is a way out."""

    code: str
    message: str
    path: Path
    help: str = ""


_GAUGES_OF_FORMATS = ("in_flight", "delayed", "workers")
_OWN = ("in_flight", "workers")
"""What plg's own workers tell of themselves."""


def ungiven(scenario: Scenario) -> tuple[Foreseen, ...]:
    """Lines on what the format of a queue cannot tell, or that could not do what they say: such a scenario is not
    run."""
    found: list[Foreseen] = []
    kinds = dict.fromkeys(job.queue.kind for job in scenario.jobs)
    own = _OWN if scenario.workers is not None and (scenario.own_workers is not None or not scenario.placed) else ()
    for index, line in enumerate(scenario.expect):
        for measure in dict.fromkeys(RECKONED_FROM.get(s.measure, s.measure) for s in _sides(line)):
            if measure not in _GAUGES_OF_FORMATS or measure in own:
                continue
            silent = [kind for kind in kinds if measure not in format_of(kind).gauges]
            if silent:
                told = f"{measure} cannot be told of a {silent[0]} queue: {_WHY_SILENT[measure]}"
                givers = ", ".join(name for name in SHIPPED if measure in format_of(name).gauges)
                help_ = f"{_INSTEAD[measure]}; these tell it: {givers}"
                found.append(Foreseen("measure-not-given", told, ("expect", index), help_))
        asked = [side.measure for side in _sides(line) if side.measure in FAR]
        if asked and line.stop:
            words = (
                f"`or stop` cannot end the run by {asked[0]}: what the workers did is read to the end once it is over"
            )
            found.append(Foreseen("unexpected-stop", words, ("expect", index), _STOPPING))
        if asked and (silent_jobs := _unrecorded(scenario)):
            found.append(
                Foreseen("measure-not-given", f"{asked[0]} cannot be told: {silent_jobs}", ("expect", index), _NUMBERED)
            )
        if any(side.measure == "residue" for side in _sides(line)) and (why := _untold(scenario)):
            help_ = "leave the line out, or let every job say which run it is of (no `encoding raw`)"
            found.append(Foreseen("measure-not-given", f"residue cannot be told: {why}", ("expect", index), help_))
    return tuple(dict.fromkeys(found))


_STOPPING = "leave `or stop` out; errors, queue_depth, queue_age, in_flight, delayed and workers can end a run"
_WHY_SILENT = {
    "in_flight": "what workers have at hand stands nowhere in Redis",
    "delayed": "jobs that are due later cannot be told there from others",
    "workers": "its workers do not register themselves in Redis",
}
_INSTEAD = {
    "in_flight": "ask for queue_depth, or let plg's own workers take the jobs (`workers 2 each 10ms`)",
    "delayed": "leave the line out",
    "workers": "ask for queue_depth, queue_age or `drained within 90s after PHASE`",
}


def unmeasured(scenario: Scenario, phases: Sequence[PhaseSpan]) -> tuple[Foreseen, ...]:
    """Every such warning, in the order of the expectations."""
    found: list[Foreseen] = []
    spans = {phase.name: phase for phase in phases}
    silent, watch = _undated(scenario), watch_length(scenario)
    left: dict[str, dict[str, Path]] = {}
    for index, expectation in enumerate(scenario.expect):
        place: Path = ("expect", index)
        for subject in _sides(expectation):
            if subject.measure == "queue_age" and silent:
                found.append(Foreseen("never-measured", f"queue_age has no data {silent}", place, _DATED))
            elif subject.measure in FAR and (kinds := _left_to_workers(scenario, subject.measure)):
                left.setdefault(kinds, {}).setdefault(subject.measure, place)
            elif expectation.recovery is not None and subject is expectation.subject:
                found += _in_time(scenario, expectation, expectation.recovery, spans, place)
            elif why := _never(scenario, subject, spans, watch):
                found.append(Foreseen("never-measured", why, place))
        if not found or found[-1].path != place:
            found += _watch_too_short(watch, expectation, place)
    found += [_workers_tell(kinds, places) for kinds, places in left.items()]
    if scenario.guardrails.max_queue_age is not None and silent:
        place = ("guardrails", "max_queue_age")
        found.append(Foreseen("never-measured", f"max_queue_age does not hold {silent}", place, _DATED))
    if scenario.expect and not any(side.measure in QUEUE for e in scenario.expect for side in _sides(e)):
        found.append(_looks_past_the_queue(scenario.expect))
    elif (first := _past_the_work(scenario)) is not None:
        found.append(Foreseen("work-not-judged", _DISCARDED, ("expect", first), _ON_THE_WORK))
    if not any(line.level == "expect" for line in scenario.expect):
        found.append(Foreseen("nothing-promised", _UNPROMISED, ("name",), "write what must hold: `expect { … }`"))
    return tuple(dict.fromkeys(found))


def _past_the_work(scenario: Scenario) -> int | None:
    """The first line that looks at the queue alone, where no line looks at the framework's own workers."""
    sides = [side.measure for line in scenario.expect for side in _sides(line)]
    if any(measure in (*FAR, *_OWN) for measure in sides) or scenario.own_workers is not None:
        return None
    kinds = {job.queue.kind for job in scenario.jobs}
    if not kinds & set(SHIPPED) or any(format_of(kind).taken is not None for kind in kinds):
        return None
    lines = enumerate(scenario.expect)
    return next((at for at, line in lines if line.level == "expect" and line.subject.measure in QUEUE), None)


_DISCARDED = (
    "no line asks whether the work was done: a worker that does not know a task throws the job away, and the queue "
    "looks as it does where the job was done"
)
_ON_THE_WORK = "add `lost == 0`, or `completed >= N`, with plg.worker in the workers: docs/workers.md"
_UNPROMISED = (
    "no line says what must hold, so only a target that fails or a limit that stops the run can fail a check, "
    "not jobs that are refused, slow or left waiting"
)


def asks_for_latency(expectation: Expectation) -> bool:
    """Whether a line speaks of the answer of Redis."""
    return any(side.measure in ("latency", "service_time") for side in _sides(expectation))


def _sides(expectation: Expectation) -> list[Subject]:
    return [side for side in (expectation.subject, expectation.relative) if side is not None]


def _looks_past_the_queue(expect: Sequence[Expectation]) -> Foreseen:
    first = next((index for index, line in enumerate(expect) if asks_for_latency(line)), None)
    if first is None:
        message = f"no line looks at the queue, so none tells whether jobs are taken: {TAKEN}"
        return Foreseen("queue-not-judged", message, ("expect", 0))
    message = f"no line looks at the queue: {ON_LATENCY}"
    return Foreseen("queue-not-judged", message, ("expect", first))


_DATED = "put the moment into the payload and name its place, such as `enqueued_at payload.created`"


def _undated(scenario: Scenario) -> str:
    """While which jobs wait no age can be told; empty where all say when they were enqueued."""
    silent = [job.name for job in scenario.jobs if job.queue.kind == "list" and moment_in(job) is None]
    if not silent:
        return ""
    names = ", ".join(silent[:3]) + (" and others" if len(silent) > 3 else "")
    return f"while jobs of {names} wait: a raw job in a list does not say when it was enqueued"


_NUMBERED = "leave `encoding raw` out, or put the jobs into the queue of a framework"
_HOOK = "add plg.worker to the workers, which is one line: docs/workers.md"


def _unrecorded(scenario: Scenario) -> str:
    """Why nobody can tell what became of a job; empty where somebody can of each."""
    silent = [job.name for job in scenario.jobs if format_of(job.queue.kind).tracing(job, "") is None]
    if not silent:
        return ""
    names = ", ".join(silent[:3]) + (" and others" if len(silent) > 3 else "")
    return f"jobs of {names} do not say which they are, so no worker can tell what became of them"


def _left_to_workers(scenario: Scenario, measure: str) -> str:
    """Which kinds of queue leave it to their workers to tell of a measure, in words; empty where none does."""
    if scenario.own_workers is not None:
        return ""  # plg's own do
    tracings = {job.queue.kind: format_of(job.queue.kind).tracing(job, "") for job in scenario.jobs}
    return " and ".join(
        kind for kind, tracing in tracings.items()
        if tracing is not None and (tracing.read is None or measure in dict(tracing.untold))
    )  # fmt: skip


def _workers_tell(kinds: str, places: Mapping[str, Path]) -> Foreseen:
    """One warning for all measures that the same kinds of queue leave to their workers, at the first of them."""
    *others, last = places
    names, plural = (f"{', '.join(others)} and {last}", True) if others else (last, False)
    told = (
        f"{names} {'have' if plural else 'has'} data only where the workers tell of their jobs: "
        f"{kinds} does not record {'them' if plural else 'it'}"
    )
    return Foreseen("workers-tell", told, next(iter(places.values())), _HOOK)


def _untold(scenario: Scenario) -> str:
    """Which jobs cannot be found again, and why; empty where all can."""
    for job in scenario.jobs:
        [queue] = queues_of([job])
        told = queue.traces("")
        if told is None:
            return f"the format {queue.format.name} does not say where its jobs lie"
        if told.blind:
            return f"{queue.key}: {told.blind}"
    return ""


def _never(scenario: Scenario, subject: Subject, spans: Mapping[str, PhaseSpan], watch: float) -> str:
    """Why a subject can have no data, in a sentence; empty where it can. ``watch`` (s) follows the last send."""
    intervals = _intervals(scenario, subject, spans)
    if intervals is None:
        return ""
    where = f" during {subject.during}" if subject.during else ""
    kind, q = MEASURES[subject.measure].kind, percentile(subject.aggregate or "")
    if kind == "gauge":
        seconds = (intervals[:, 1] - intervals[:, 0]).sum() + (watch if subject.measure in QUEUE else 0.0)
        looks = int(seconds / LOOK_EVERY + 1e-6)
        if q is not None and looks < samples_needed(q):
            told = f"it takes {samples_needed(q):,} looks, there are {looks:,}"
            return f"{subject.aggregate}({subject.measure}){where} has no data: {told}"
        return ""
    if kind == "time" or subject.measure in ("deviation", "error_rate"):
        due = _due(scenario, intervals)
        name = f"{subject.aggregate}({subject.measure})" if kind == "time" else subject.measure
        if due == 0:
            return f"{name}{where} has no data: no job is due{where or ' at all'}"
        if kind == "time" and q is not None and due < samples_needed(q):
            return f"{name}{where} has no data: it takes {samples_needed(q):,} jobs, {due:,} are due"
    return ""


def _intervals(scenario: Scenario, subject: Subject, spans: Mapping[str, PhaseSpan]) -> Floats | None:
    """Where the subject is looked at (s), one row an interval; None where it stands too often to be listed."""
    if subject.during is None:
        return np.array([[0.0, scenario.pattern.duration]])
    phase = spans.get(subject.during)
    return phase.intervals() if phase is not None and phase.times <= MOST_INTERVALS else None


def _due(scenario: Scenario, intervals: Floats) -> int:
    """Jobs due in the intervals; of random arrivals, which may be any number where there is traffic, at least 1."""
    ends = scenario.pattern.count(intervals.ravel()).reshape(-1, 2)
    if scenario.arrivals.process == "poisson":
        return math.ceil(float(np.diff(ends).sum()))
    return int(np.diff(np.floor(ends + 0.5 + 1e-9)).sum())


def _in_time(
    scenario: Scenario, line: Expectation, recovery: Recovery, spans: Mapping[str, PhaseSpan], place: Path
) -> list[Foreseen]:
    """Where a line with a deadline looks at a time in which nothing is due, or goes on after the watch."""
    phase = spans.get(recovery.phase)
    if phase is None:
        return []
    start = phase.end if recovery.since == "end" else phase.end - phase.duration
    end, traffic = start + recovery.within, scenario.pattern.duration
    if MEASURES[line.subject.measure].kind == "time":
        until = min(end, traffic)
        if until <= start or _due(scenario, np.array([[start, until]])) == 0:
            told = f"no job is due {'after' if recovery.since == 'end' else 'in'} {recovery.phase}"
            return [Foreseen("never-measured", f"{line.subject.measure} has no data: {told}", place, _MORE_TRAFFIC)]
        q = percentile(line.subject.aggregate or "")
        width = hold_of(line)
        some = _due(scenario, np.array([[start, until]])) / (until - start) * width
        if q is not None and some < samples_needed(q):
            told = f"some {some:,.0f} jobs are due in {format_duration(width)}, and it takes {samples_needed(q):,}"
            wider = f"write `in every {math.ceil(samples_needed(q) / some * width)}s`" if some else _MORE_TRAFFIC
            return [Foreseen("few-arrivals-per-window", f"{line.subject.aggregate}: {told}", place, wider)]
        return []
    # What follows the last send is watched as long as a line needs, but where the scenario says for how long.
    if scenario.watch is None or traffic + scenario.watch >= end:
        return []
    message = f"the queue is watched for {format_duration(scenario.watch)} after the last send: what takes longer"
    longer = format_duration(math.ceil(end - traffic + 1))
    return [Foreseen("watch-too-short", f"{message} has no data", place, f"write `watch {longer}`, or leave it out")]


_MORE_TRAFFIC = "let some traffic follow, such as `then after: steady 50/s over 30s`"


def _watch_too_short(watch: float, expectation: Expectation, place: Path) -> list[Foreseen]:
    """Where the watch ends before a line about a time is decided."""
    if expectation.recovery is not None:
        return []
    bound = expectation.bound
    looks = [side.measure for side in _sides(expectation) if side.measure in ("queue_age", "drain_time")]
    if bound is None or not looks or watch >= bound:
        return []
    longer = math.ceil(bound * 1.1 + 1) if bound < 60 else 60 * math.ceil((bound * 1.1 + 1) / 60)
    then = "has no data" if "drain_time" in looks else "is not judged"
    message = f"the queue is watched for {format_duration(watch)} after the last send: what waits longer {then}"
    return [Foreseen("watch-too-short", message, place, f"write `watch {format_duration(longer)}`")]
