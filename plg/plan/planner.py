"""From a scenario to its plan."""

from __future__ import annotations

import secrets

import numpy as np

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.patterns.base import Pattern, TooManyPieces
from plg.patterns.spans import MOST_INTERVALS, PhaseSpan, spans
from plg.plan.arrivals import Arrivals, Poisson, Uniform
from plg.plan.interleave import Interleave
from plg.plan.plan import MOST_CLIPS, Clip, PhasePlan, Plan, share
from plg.plan.shedding import EvenShedding, NothingShed, RandomShedding, Shedding
from plg.plan.unmeasured import ungiven
from plg.plan.warnings import foresee
from plg.plan.watching import awaited, sides
from plg.scenario import Guardrails, Scenario

MOST_COUNTED = 100_000
"""The most occurrences of one phase whose arrivals are counted one by one."""


def make_plan(scenario: Scenario, *, seed: int | None = None, shard: tuple[int, int] = (0, 1)) -> Plan:
    """Plan a run of the scenario. ``seed`` goes before the scenario's own.

    Random arrivals without any seed get one, recorded in the plan; shards need one given, since they must agree.
    `ScenarioError` where an expectation asks of a phase that stands too often to be judged apart, or where random
    arrivals are too many to draw.
    """
    index, shards = shard
    if not 0 <= index < shards:
        raise ValueError(f"shard {index} of {shards} does not exist")
    curve, limits = scenario.pattern, scenario.guardrails
    chosen = _seed(scenario, seed, shards)
    poisson = scenario.arrivals.process == "poisson"
    arrivals: Arrivals = Poisson(curve, chosen) if poisson else Uniform(curve)
    allowed = curve.capped(limits.max_rate)
    shedding = _shedding(curve, allowed, arrivals, limits, chosen if poisson else None)
    cut = _cut(arrivals, shedding, limits, curve.duration)
    kept = share(np.array([cut.stop_k]), shard)[0] - round(_shed_before(shedding, cut.stop_k) / shards)
    phases = _phases(curve, arrivals, shard)
    _refuse_countless(scenario, phases)
    _refuse_ungiven(scenario)
    clips = (*_excursions(curve, arrivals, shedding, limits, cut), *cut.clips)
    return Plan(
        scenario=scenario,
        duration=curve.duration,
        planned=int(share(np.array([arrivals.total]), shard)[0]),
        planned_total=arrivals.total,
        sent_estimate=int(max(kept, 0)),
        peak_rate=curve.peak(),
        seed=chosen,
        phases=phases,
        clips=clips,
        warnings=foresee(scenario, arrivals, phases, clips),
        jobs=tuple(job.name for job in scenario.jobs),
        shard=shard,
        stop_s=cut.stop_s,
        cut_seq=cut.cut_seq,
        awaited=awaited(scenario, {phase.name: phase.span for phase in phases}),
        pattern=curve,
        allowed=allowed,
        arrivals=arrivals,
        shedding=shedding,
        interleave=Interleave([job.weight for job in scenario.jobs]),
    )


def _seed(scenario: Scenario, given: int | None, shards: int) -> int:
    if given is not None:
        return given
    if scenario.arrivals.seed is not None:
        return scenario.arrivals.seed
    if scenario.arrivals.process == "uniform":
        return 0
    if shards > 1:
        message = "the shards of a run with random arrivals need one seed, given to all of them"
        help_ = "write `traffic poisson seed 42 { … }` or pass --seed"
        raise ScenarioError([Diagnostic("shards-need-seed", message, help=help_, path=("arrivals", "seed"))])
    return secrets.randbelow(2**32)


def _shedding(curve: Pattern, allowed: Pattern, arrivals: Arrivals, limits: Guardrails, seed: int | None) -> Shedding:
    if curve.peak() <= limits.max_rate:
        return NothingShed()
    if seed is None:
        return EvenShedding(curve, allowed, arrivals)
    return RandomShedding(curve, limits.max_rate, arrivals, seed)


def _shed_before(shedding: Shedding, k: int) -> int:
    return int(shedding.shed_before(np.array([k], dtype=np.int64))[0])


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a limit on jobs or time ends the run: the first arrival not sent, when, and the clip that says so."""

    stop_k: int
    cut_seq: int
    stop_s: float | None = None
    clips: tuple[Clip, ...] = ()


def _cut(arrivals: Arrivals, shedding: Shedding, limits: Guardrails, duration: float) -> _Cut:
    total = arrivals.total
    by_jobs = _first_refused(total, shedding, limits.max_total_jobs)
    by_time = int(arrivals.before(np.array([limits.max_duration]))[0]) if duration > limits.max_duration else total
    if by_jobs < total and by_jobs < by_time:
        bites = float(arrivals.due(np.array([by_jobs], dtype=np.int64))[0])
        return _Cut(by_jobs, by_jobs, bites, (Clip("max_total_jobs", bites, duration, total - by_jobs),))
    if duration > limits.max_duration:
        clip = Clip("max_duration", limits.max_duration, duration, total - by_time)
        return _Cut(by_time, by_jobs, limits.max_duration, (clip,))
    return _Cut(total, total)


def _first_refused(total: int, shedding: Shedding, most: int) -> int:
    """The first arrival that would be kept job number ``most + 1``; ``total`` where there is none."""
    if total <= most or total - _shed_before(shedding, total) <= most:
        return total
    low, high = most, total - 1  # kept among the first `high + 1` is above `most`, among the first `low` it is not
    while low < high:
        middle = (low + high) // 2
        if middle + 1 - _shed_before(shedding, middle + 1) > most:
            high = middle
        else:
            low = middle + 1
    return low


def _excursions(
    curve: Pattern, arrivals: Arrivals, shedding: Shedding, limits: Guardrails, cut: _Cut
) -> tuple[Clip, ...]:
    """One clip for each stretch of the rate above ``max_rate`` before the run is cut."""
    if isinstance(shedding, NothingShed):
        return ()
    try:
        starts, ends = curve.above(limits.max_rate)
    except TooManyPieces:
        starts, ends = np.array([0.0]), np.array([curve.duration])
    stop = curve.duration if cut.stop_s is None else cut.stop_s
    starts, ends = starts[starts < stop], np.minimum(ends[starts < stop], stop)
    if len(starts) > MOST_CLIPS:
        starts, ends = starts[:MOST_CLIPS], np.append(ends[: MOST_CLIPS - 1], ends[-1])
    seams = np.append(np.minimum(arrivals.before(starts), cut.stop_k), cut.stop_k)
    shed = np.diff(shedding.shed_before(seams))
    rows = zip(starts.tolist(), ends.tolist(), shed.tolist(), strict=True)
    return tuple(Clip("max_rate", start, end, count) for start, end, count in rows)


def _phases(curve: Pattern, arrivals: Arrivals, shard: tuple[int, int]) -> tuple[PhasePlan, ...]:
    found = spans(curve)
    edges = [span.first(MOST_COUNTED) for span in found]
    if not found:
        return ()
    counts = share(arrivals.before(np.concatenate(edges).ravel()), shard).reshape(-1, 2)
    inside = counts[:, 1] - counts[:, 0]
    firsts = np.concatenate([[0], np.cumsum([len(e) for e in edges])])
    sums = np.concatenate([[0], np.cumsum(inside)])
    return tuple(
        PhasePlan(span.name, span.start, span.duration, _scaled(int(counted), span), span.curve.peak(), span)
        for span, counted in zip(found, sums[firsts[1:]] - sums[firsts[:-1]], strict=True)
    )


def _scaled(counted: int, span: PhaseSpan) -> int:
    """What was counted, and for the occurrences after the last one counted as many again."""
    return counted if span.times <= MOST_COUNTED else round(counted * span.times / MOST_COUNTED)


def _refuse_ungiven(scenario: Scenario) -> None:
    faults = []
    for finding in ungiven(scenario):
        index = finding.path[-1]
        line = scenario.expect[index] if isinstance(index, int) else None
        file = line.file if line is not None and line.file else "<document>"
        at = None if line is None or line.line is None else Span(line.line, 1, line.line, 1)
        faults.append(Diagnostic(finding.code, finding.message, file, at, finding.help, path=finding.path))
    if faults:
        raise ScenarioError(faults)


def _refuse_countless(scenario: Scenario, phases: tuple[PhasePlan, ...]) -> None:
    countless = {phase.name: phase.span.times for phase in phases if phase.span.times > MOST_INTERVALS}
    if not countless:
        return
    faults = []
    for i, expectation in enumerate(scenario.expect):
        named = [subject.during for subject in sides(expectation)]
        for name in (*named, expectation.recovery.phase if expectation.recovery is not None else None):
            if name is not None and name in countless:
                times = countless[name]
                phase = f"phase {name!r} stands {times:,} times"
                message = f"{phase}: at most {MOST_INTERVALS:,} can be judged apart"
                help_ = "name the repeat around it, or ask of the whole run"
                file = expectation.file or "<document>"
                faults.append(Diagnostic("too-many-spans", message, file, help=help_, path=("expect", i)))
    if faults:
        raise ScenarioError(faults)
