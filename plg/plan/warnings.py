"""What can be said against a scenario before it runs: figures without the samples to judge them, limits it will hit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from plg.measures import MEASURES, percentile, samples_needed
from plg.pacing import PACINGS
from plg.patterns.base import Floats, Mask
from plg.patterns.spans import MOST_INTERVALS
from plg.plan.arrivals import Arrivals
from plg.plan.plan import MOST_CLIPS, Clip, PhasePlan, PlanWarning
from plg.plan.unmeasured import unmeasured
from plg.scenario import Expectation, Scenario, Subject
from plg.units import counted, format_duration, format_percent

BEYOND = 10
"""Samples wanted beyond a percentile: p99 is judged from a thousand."""
MOST_WINDOWS = 100_000
MOST_PIECES = 10_000
PIECE = 0.1
"""A rate is told from the arrivals of so many seconds at the least."""
NAMES = 3


def foresee(
    scenario: Scenario, arrivals: Arrivals, phases: Sequence[PhasePlan], clips: Sequence[Clip]
) -> tuple[PlanWarning, ...]:
    """Every warning, in the order of the expectations and then of the run."""
    found: list[PlanWarning] = []
    by_name = {phase.name: phase for phase in phases}
    for expectation in scenario.expect:
        found += _thin(scenario, expectation, arrivals, by_name)
    for finding in unmeasured(scenario, [phase.span for phase in phases]):
        message = f"{finding.message}; {finding.help}" if finding.help else finding.message
        index = finding.path[-1]
        line = scenario.expect[index] if isinstance(index, int) else None
        found.append(PlanWarning(finding.code, message, line.line if line else None, line.file if line else None))
    found += _not_judged(scenario.expect, phases)
    found += _nothing_planned(scenario, arrivals)
    found += _own_workers(scenario)
    found += _trimmed(scenario, arrivals)
    found += _bound_to_hit(clips, stops=scenario.guardrails.emergency_stop)
    return tuple(found)


def _own_workers(scenario: Scenario) -> Iterator[PlanWarning]:
    """That the run will tell of plg's own workers and not of anybody else's."""
    if scenario.own_workers is not None:
        count = scenario.own_workers.count
        own = f"plg's own {count:,} worker{'s' * (count != 1)}"
        yield PlanWarning(
            "own-workers", f"the jobs will be taken by {own}, not by yours: the run says nothing about yours"
        )


def _trimmed(scenario: Scenario, arrivals: Arrivals) -> Iterator[PlanWarning]:
    """That a stream is kept shorter than what goes there: Redis then deletes jobs that were never taken."""
    for job in scenario.jobs:
        longest = job.queue.settings.get("max_len")
        if longest is not None and arrivals.total > longest:
            yield PlanWarning(
                "stream-trimmed",
                f"{job.queue.name!r} keeps {counted(longest, 'job')} and {counted(arrivals.total, 'job')} are planned: "
                "those beyond are deleted, taken or not, and where they were not, lines about the queue have no data",
            )


def _warn(code: str, message: str, expectation: Expectation) -> PlanWarning:
    return PlanWarning(code, message, expectation.line, expectation.file)


def _thin(
    scenario: Scenario, expectation: Expectation, arrivals: Arrivals, phases: Mapping[str, PhasePlan]
) -> Iterator[PlanWarning]:
    """Expectations whose figure would rest on too few jobs."""
    for subject in (expectation.subject, expectation.relative):
        if subject is None or (expectation.recovery is not None and subject is expectation.subject):
            continue  # `unmeasured` speaks of lines with a deadline
        need = _samples_wanted(subject, expectation)
        if need is None:
            continue
        spans = _intervals(subject, scenario.pattern.duration, phases)
        if spans is None:
            continue
        if expectation.window is None:
            jobs = int(np.diff(arrivals.before(spans.ravel()).reshape(-1, 2)).sum())
            rests = jobs if subject.measure != "service_time" else _timed(scenario, arrivals, spans)
            # Of fewer than it takes for a verdict, `unmeasured` says so.
            if rests < need and jobs >= _least(subject):
                yield _warn("too-few-samples", _few(subject, rests, jobs, need), expectation)
            continue
        counts = _per_window(spans, expectation.window, arrivals)
        if subject.measure == "service_time":
            counts = np.floor(_timed_of(scenario, counts, expectation.window))
        short = int(np.count_nonzero(counts < need))
        if len(counts) and short > len(counts) * (1 - expectation.quota):
            message = (
                f"{short:,} of {len(counts):,} windows of {format_duration(expectation.window)} hold fewer than "
                f"{need:,} {_samples(subject)} (the emptiest {int(counts.min()):,}): {_why(subject, expectation)}"
            )
            yield _warn("few-arrivals-per-window", message, expectation)


def _samples_wanted(subject: Subject, expectation: Expectation) -> int | None:
    """The fewest jobs for which the figure means something; None where jobs are not what it rests on."""
    measure = MEASURES.get(subject.measure)
    if measure is None:
        return None
    if measure.kind == "time":
        level = percentile(subject.aggregate or "")
        return None if level is None else math.ceil(BEYOND / min(level, 1 - level) - 1e-6)
    bound = expectation.bound
    if subject.measure == "deviation" and expectation.window is not None and bound and bound < 1:
        return math.ceil(1 / bound - 1e-6)
    return None


def _least(subject: Subject) -> int:
    level = percentile(subject.aggregate or "")
    return 1 if level is None else samples_needed(level)


def _why(subject: Subject, expectation: Expectation) -> str:
    if subject.measure == "deviation":
        return f"one job more or less is already beyond {format_percent(expectation.bound or 0.0)}"
    return f"too few for {subject.aggregate}({subject.measure})"


def _samples(subject: Subject) -> str:
    return "jobs whose answer is awaited" if subject.measure == "service_time" else "arrivals"


def _few(subject: Subject, rests: int, jobs: int, need: int) -> str:
    where = f" during {subject.during}" if subject.during else ""
    basis = f"{jobs:,} jobs" if subject.measure != "service_time" else f"some {rests:,} of {jobs:,} jobs"
    return f"{subject.aggregate}({subject.measure}){where} rests on {basis}; it takes {need:,} to mean something"


def _timed(scenario: Scenario, arrivals: Arrivals, spans: Floats) -> int:
    """About how many jobs within ``spans`` have a service_time, by the mean rate in each of many pieces of them."""
    total, most = 0.0, max(1, MOST_PIECES // len(spans))
    for start, end in spans.tolist():
        pieces = min(most, max(1, int((end - start) / PIECE)))
        counts = np.diff(arrivals.before(np.linspace(start, end, pieces + 1)))
        total += float(_timed_of(scenario, counts.astype(np.float64), (end - start) / pieces).sum())
    return int(total)


def _timed_of(scenario: Scenario, jobs: Floats, length: float) -> Floats:
    """The same of pieces of one ``length`` (s), each with so many ``jobs``."""
    random = scenario.arrivals.process == "poisson"
    return PACINGS[scenario.pacing].timed(jobs / length, random=random) * length


def _intervals(subject: Subject, duration: float, phases: Mapping[str, PhasePlan]) -> Floats | None:
    if subject.during is None:
        return np.array([[0.0, duration]])
    phase = phases.get(subject.during)
    return phase.span.intervals() if phase is not None and phase.span.times <= MOST_INTERVALS else None


def _per_window(spans: Floats, window: float, arrivals: Arrivals) -> Floats:
    """Arrivals in each whole window of each interval; windows start anew with every interval."""
    counts, left = [], MOST_WINDOWS
    for start, end in spans.tolist():
        whole = min(int((end - start) / window * (1 + 1e-12)), left)
        left -= whole
        if whole:
            counts.append(np.diff(arrivals.before(start + window * np.arange(whole + 1))))
    return np.concatenate(counts).astype(np.float64) if counts else np.empty(0)


def _not_judged(expect: Sequence[Expectation], phases: Sequence[PhasePlan]) -> Iterator[PlanWarning]:
    """Phases that no expectation looks at, where every expectation is about some phase."""
    asked = {subject.during for e in expect for subject in (e.subject, e.relative) if subject is not None}
    if not expect or None in asked:
        return
    judged = [phase for phase in phases if phase.name in asked]
    blind = [phase for phase in phases if phase.name not in asked]
    blind = [phase for phase, seen in zip(blind, _within(_middles(blind), judged), strict=True) if not seen]
    middles = np.sort(_middles(judged))
    blind = [phase for phase in blind if not _any_within(middles, phase)]
    if blind:
        names = ", ".join(repr(phase.name) for phase in blind[:NAMES])
        more = f" and {len(blind) - NAMES:,} more" if len(blind) > NAMES else ""
        verb = "is" if len(blind) == 1 else "are"
        yield PlanWarning("phase-not-judged", f"{names}{more} {verb} looked at by no expectation")


def _middles(phases: Sequence[PhasePlan]) -> Floats:
    return np.array([phase.start_s + 0.5 * phase.duration_s for phase in phases])


def _within(moments: Floats, phases: Sequence[PhasePlan]) -> Mask:
    """Which of the moments lie in any of the phases. Those that stand once, of which there may be thousands, are looked
    at together."""
    once = sorted((phase.start_s, phase.span.end) for phase in phases if phase.span.times == 1)
    starts, ends = np.array(once).reshape(-1, 2).T
    ends = np.append(-np.inf, np.maximum.accumulate(ends))
    found: Mask = np.asarray(moments < ends[np.searchsorted(starts, moments, side="right")])
    for phase in phases:
        if phase.span.times > 1:
            found |= phase.span.contains(moments)
    return found


def _any_within(moments: Floats, phase: PhasePlan) -> bool:
    """Whether any of the moments, in order, lies in the phase."""
    first, last = np.searchsorted(moments, [phase.start_s, phase.span.end])
    return bool(phase.span.contains(moments[first:last]).any())


def _nothing_planned(scenario: Scenario, arrivals: Arrivals) -> Iterator[PlanWarning]:
    if not arrivals.total:
        yield PlanWarning("nothing-planned", nothing_planned(scenario))


def nothing_planned(scenario: Scenario) -> str:
    """What is said of a plan without a single job."""
    return (
        f"no job is planned: the traffic comes to {float(f'{scenario.pattern.total:.2g}'):g} jobs, so nothing is sent"
    )


def _bound_to_hit(clips: Sequence[Clip], *, stops: bool) -> Iterator[PlanWarning]:
    for guardrail in dict.fromkeys(clip.guardrail for clip in clips):
        hits = [clip for clip in clips if clip.guardrail == guardrail]
        shed = sum(clip.shed for clip in hits)
        first = format_duration(hits[0].start_s)
        most = "at least " if len(hits) >= MOST_CLIPS else ""
        times = f"{most}{len(hits):,} times, first " if len(hits) > 1 else ""
        counted = "will end the run" if stops else "will shed the rest of the run"
        verb = "will clip the rate" if guardrail == "max_rate" else counted
        lost = f"{shed:,} planned jobs will not be sent" if shed else "no planned job is lost by it"
        message = f"{guardrail} {verb} {times}at {first}: {lost}"
        yield PlanWarning("guardrail-bound-to-hit", message)
