"""Expectations against a recording: one result a line, each computed on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.histogram import Floats
from plg.judge import far
from plg.judge.aggregate import Aggregates, Flags, Reader
from plg.judge.breach import decided, first_breach_time, holds
from plg.judge.draining import drain_time, judge_drain
from plg.judge.looks import awaited, why_unseen
from plg.judge.recovery import arrivals, recovering, result_of, told, worst
from plg.judge.residue import judge_residue
from plg.judge.soundness import excuse, idle_in, raised, spoiled, unkept
from plg.judge.windows import NoData, phase_at
from plg.judge.wording import counted, figure, moment, nothing_to_read, subject_text, where
from plg.measures import FAR, MEASURES, OF_THE_RUN, QUEUE_GAUGES, RECKONED_FROM, percentile, samples_needed
from plg.outcome import ExpectationResult, RecoveryResult
from plg.runner.live import Live
from plg.runner.recording import Recording
from plg.scenario import Expectation, Subject

RunVerdict = Literal["pass", "fail", "no_data"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a judgement found, before it is dressed as a result."""

    verdict: RunVerdict
    observed: float | None = None
    bound: float | None = None
    detail: str = ""
    breach_s: float | None = None
    invalid: bool = False
    recovery: RecoveryResult | None = None


_NOT_JUDGED = Finding("no_data", detail="a signal came before it was judged")


def judge(
    expectations: Sequence[Expectation], recording: Recording, given_up: Callable[[], bool] = lambda: False
) -> tuple[ExpectationResult, ...]:
    """Judge each expectation on the whole recording, but those left once it is ``given_up``, which have no data then.

    A measure, phase or window that the recording has no data for gives ``no_data``, never ``pass``. The expectation
    that ended the run (``recording.stop_detail`` holds its text) fails even where late answers have mended it since.
    """
    reader = Reader(recording)
    return tuple(
        _stopped(e, dress(reader, e, _NOT_JUDGED if given_up() else find(reader, e)), recording) for e in expectations
    )


def find(reader: Reader, expectation: Expectation) -> Finding:
    """Judge one expectation. What plg's own lateness can have caused is no verdict about the target."""
    found = find_unexcused(reader, expectation)
    if unkept(reader.recording, expectation, found.verdict):
        return Finding("no_data", None, found.bound, reader.recording.lost)
    figures = (found.observed, found.bound) if expectation.recovery is None else (None, None)
    why = excuse(reader, expectation, found.verdict, *figures)
    if not why:
        return found
    if found.observed is not None and expectation.recovery is None:
        why += f"; it reads {figure(found.observed, MEASURES[expectation.subject.measure].unit)}"
    return Finding("no_data", None, found.bound, why, invalid=True)


def _in_time(reader: Reader, line: Expectation) -> Finding:
    """Judge a line with a deadline by what it reads alone. Its figures are seconds from the start it counts from."""
    assert line.recovery is not None, "a line without a deadline is judged otherwise"
    within = line.recovery.within
    try:
        _check_planned(reader, line.subject)
        bound = bound_of(reader, line)
        found = worst(arrivals(reader, line, bound))
    except NoData as why:
        return Finding("no_data", None, within, str(why))
    result = result_of(line, found, bound)
    if found.verdict == "no_data":
        return Finding("no_data", None, within, found.why, recovery=result)
    said = told(line, found, bound)
    if found.verdict == "pass":
        return Finding("pass", found.took, within, said, recovery=result)
    asleep = idle_in(reader.recording, found.start, found.start + found.took)
    if asleep and found.took - asleep <= within:
        why_late = f"plg itself or its workers stood still for {figure(round(asleep, 3), 's')} meanwhile; {said}"
        return Finding("no_data", None, within, why_late, invalid=True, recovery=result)
    return Finding("fail", found.took, within, said, found.deadline, recovery=result)


def bound_of(reader: Reader, expectation: Expectation) -> float:
    """The bound in the unit of the measure, also where another phase gives it. Raises `NoData`."""
    if expectation.relative is not None:
        return relative_bound(reader, expectation.relative, expectation.factor)
    assert expectation.bound is not None, "an expectation has a bound or something to be compared with"
    return expectation.bound


def still_recovering(expectations: Sequence[Expectation]) -> Callable[[Live], bool] | None:
    """See `plg.judge.recovery.recovering`."""
    return recovering(expectations, bound_of)


def find_unexcused(reader: Reader, expectation: Expectation) -> Finding:
    """Judge one expectation by what it reads alone."""
    if expectation.recovery is not None:
        return _in_time(reader, expectation)
    bound = expectation.bound
    try:
        remark = ""
        if expectation.relative is not None:
            bound = relative_bound(reader, expectation.relative, expectation.factor)
            remark = _relative_remark(expectation.relative, expectation.factor, bound)
        assert bound is not None, "an expectation has a bound or something to be compared with"
        judged = _windows if expectation.window is not None else _span
        found = judged(reader, expectation, bound)
        if found.verdict != "no_data":
            _check_planned(reader, expectation.subject)
        if found.verdict == "pass":
            _check_taken(reader, expectation, bound)
    except NoData as why:
        return Finding("no_data", None, bound, str(why))
    if not remark:
        return found
    detail = "; ".join(part for part in (found.detail, remark) if part)
    return replace(found, detail=detail)


def _check_planned(reader: Reader, subject: Subject) -> None:
    """Raise `NoData` where nothing was put to the test: a plan without jobs, and errors where no job was sent."""
    if subject.measure != "planned" and not reader.recording.total("planned"):
        raise NoData("no job was planned")
    if subject.measure in ("errors", "failed", "unknown"):
        due, sent, errors = (float(reader.counter(name, subject)[0]) for name in ("planned", "sent", "errors"))
        if due and not sent and not errors:
            raise NoData(f"nothing was sent{where(subject)}")


def _check_taken(reader: Reader, expectation: Expectation, bound: float) -> None:
    """Raise `NoData` where queue_age has kept its upper bound only for want of a later look: jobs still waited, and
    nobody saw how old they became."""
    subject = expectation.subject
    if subject.measure != "queue_age" or expectation.op not in ("<", "<=") or subject.aggregate == "min":
        return
    age = awaited(reader.recording, subject.during)
    if age is not None and age < bound:
        old = figure(age, "s")
        raise NoData(f"jobs still waited at the last look, the oldest for {old}: how old they became was not seen")


def dress(reader: Reader, expectation: Expectation, found: Finding) -> ExpectationResult:
    """A finding as the result that reports show."""
    subject = expectation.subject
    in_time = expectation.recovery is not None
    phase = None
    if found.breach_s is not None:
        phase = subject.during or reader.phase_at(found.breach_s)
    return ExpectationResult(
        text=expectation.text, level=expectation.level, verdict=found.verdict,
        observed=found.observed, bound=found.bound, unit="s" if in_time else MEASURES[subject.measure].unit,
        op="<=" if in_time else expectation.op,
        first_breach_s=found.breach_s, first_breach_phase=phase, file=expectation.file, line=expectation.line,
        detail=found.detail, invalid=found.invalid, recovery=found.recovery,
    )  # fmt: skip


def relative_bound(reader: Reader, relative: Subject, factor: float) -> float:
    """``factor`` times what ``relative`` reads over its span. Raises `NoData`."""
    if relative.measure == "drain_time":
        return factor * drain_time(reader.recording)
    value, aggregates = _value(reader, relative)
    _check_seen(reader, relative, aggregates)
    return factor * value


def _check_seen(reader: Reader, subject: Subject, aggregates: Aggregates, settled: Flags | None = None) -> None:
    """Raise `NoData` where a part of the only window was not seen, unless the verdict is ``settled`` without it."""
    if aggregates.blind[0] and (settled is None or not settled[0]):
        raise NoData(_why_unseen(reader, subject))


def _why_unseen(reader: Reader, subject: Subject) -> str:
    return far.why_open(reader, subject) if subject.measure in FAR else why_unseen(reader.recording, subject.measure)


def _decided(reader: Reader, expectation: Expectation, values: Floats, bound: float) -> Flags:
    """In which windows the part that was not seen cannot change the verdict."""
    subject, op = expectation.subject, expectation.op
    if subject.measure in FAR:
        return far.settled(reader, subject, expectation.window, op, bound)
    return decided(subject, op, values, bound)


def _relative_remark(relative: Subject, factor: float, bound: float) -> str:
    unit = MEASURES[relative.measure].unit
    times = "" if factor == 1 else f"{factor:g} * "
    return f"the bound, {times}{subject_text(relative)}, is {figure(bound, unit)}"


def _value(reader: Reader, subject: Subject) -> tuple[float, Aggregates]:
    """The reading over the subject's whole span. Raises `NoData`."""
    aggregates = reader.read(subject)
    value = float(aggregates.values[0])
    if aggregates.thin[0]:
        q = percentile(subject.aggregate or "")
        assert q is not None, "only percentiles can be thin"
        least, had = samples_needed(q), int(aggregates.basis[0])
        raise NoData(f"{subject.aggregate} needs at least {least:,} samples, has {had:,}")
    if np.isnan(value):
        blind = aggregates.blind[0] and (len(reader.recording.sample_times) or subject.measure in FAR)
        raise NoData(_why_unseen(reader, subject) if blind else nothing_to_read(subject))
    return value, aggregates


def _span(reader: Reader, expectation: Expectation, bound: float) -> Finding:
    subject, op = expectation.subject, expectation.op
    if subject.measure == "drain_time":
        kept, value, remark = judge_drain(reader.recording, op, bound)
        return Finding("pass" if kept else "fail", value, bound, remark)
    if subject.measure == "residue":
        kept, value, remark = judge_residue(reader.recording, op, bound)
        return Finding("pass" if kept else "fail", value, bound, remark)
    value, aggregates = _value(reader, subject)
    _check_seen(reader, subject, aggregates, _decided(reader, expectation, aggregates.values, bound))
    detail = _basis(reader, subject, int(aggregates.basis[0]))
    if holds(op, np.array([value]), bound)[0]:
        return Finding("pass", value, bound, detail)
    return Finding("fail", value, bound, detail, first_breach_time(reader, subject, op, bound, value))


def _basis(reader: Reader, subject: Subject, basis: int) -> str:
    """What the value rests on."""
    if MEASURES[subject.measure].kind in ("time", "gauge") or subject.measure in RECKONED_FROM:
        return f"from {counted(basis, 'sample')}"
    if subject.measure == "error_rate":
        return f"{counted(int(reader.counter('errors', subject)[0]), 'error')} in {basis:,} sent"
    if subject.measure in ("deviation", "throughput"):
        acked = f"{int(reader.counter('acked', subject)[0]):,} acked"
        length = reader.windows.get(subject.during).lengths[0]
        return f"{acked} of {basis:,} planned" if subject.measure == "deviation" else f"{acked} in {length:g}s"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class WindowFindings:
    """Windows sorted out: those that hold, those that fail, and those that had to hold but cannot be told, some of them
    because plg itself ``spoiled`` them."""

    values: Floats
    failed: Flags
    missing: Flags
    spoiled: Flags
    judged: Flags
    allowed: int


def sort_out(reader: Reader, aggregates: Aggregates, expectation: Expectation, bound: float) -> WindowFindings:
    """Judge each window; idle ones are left out.

    A percentile of too few samples is still told where the samples agree: all of them within the bound, or none. A
    window of which a part was not seen is told where that part cannot change the verdict.
    """
    subject, op, quota = expectation.subject, expectation.op, expectation.quota
    values = aggregates.values
    good = holds(op, values, bound)
    doubtful = aggregates.thin & (holds(op, aggregates.low, bound) != holds(op, aggregates.high, bound))
    judged = ~aggregates.idle
    unseen = aggregates.blind & ~_decided(reader, expectation, values, bound)
    missing = judged & (np.isnan(values) | doubtful | unseen)
    failed = judged & ~missing & ~good
    assert expectation.window is not None, "only windows are sorted out"
    own, touched = spoiled(reader, subject, expectation.window)
    lateness = MEASURES[subject.measure].lateness
    # What broke in a window in which plg held up anything at all may be plg's own.
    if subject.measure in QUEUE_GAUGES and op in ("<", "<="):
        touched &= holds(op, values - raised(reader.recording, subject.measure), bound)
    own = judged & {"changes": own | (failed & touched), "thins": own & ~failed, "none": own & False}[lateness]
    missing, failed = missing | own, failed & ~own
    return WindowFindings(values, failed, missing, own, judged, allowance(quota, int(judged.sum())))


def allowance(quota: float, findings: int) -> int:
    """How many of the windows may fail: never all of them, however small the share that has to hold."""
    return max(0, min(int((1 - quota) * findings + 1e-9), findings - 1))


def _windows(reader: Reader, expectation: Expectation, bound: float) -> Finding:
    subject, op, width = expectation.subject, expectation.op, expectation.window
    if subject.measure in OF_THE_RUN:
        raise NoData(f"{subject.measure} is one figure of the whole run and has no windows")
    aggregates = reader.read(subject, width)
    q = percentile(subject.aggregate or "")
    if q is not None and aggregates.basis.sum() > 0:
        _value(reader, subject)
    findings = sort_out(reader, aggregates, expectation, bound)
    if not findings.judged.any():
        raise NoData(f"no window had anything to judge: {nothing_to_read(subject, acked=False)}")
    windows = reader.windows.get(subject.during, width, subject.measure)
    failures, missing = int(findings.failed.sum()), int(findings.missing.sum())
    order = _worst_first(findings, op, bound)
    detail = _windows_detail(reader, expectation, aggregates, findings, order)
    if failures > findings.allowed:
        breach = float(windows.starts[np.flatnonzero(findings.failed)[0]])
        return Finding("fail", float(findings.values[order[findings.allowed]]), bound, detail, breach)
    if failures + missing > findings.allowed:
        own = failures + missing - int(findings.spoiled.sum()) <= findings.allowed
        return Finding("no_data", None, bound, detail, invalid=own)
    return Finding("pass", float(findings.values[order[findings.allowed - missing]]), bound, detail)


def _worst_first(findings: WindowFindings, op: str, bound: float) -> npt.NDArray[np.intp]:
    """Indices of the windows that could be told, the farthest on the wrong side of the bound first."""
    told = np.flatnonzero(findings.judged & ~findings.missing)
    values = findings.values[told]
    badness = {"<": values, "<=": values, ">": -values, ">=": -values}.get(op)
    if badness is None:
        distance = np.abs(values - bound)
        badness = distance if op == "==" else -distance
    return told[np.argsort(-badness, kind="stable")]


def _windows_detail(
    reader: Reader,
    expectation: Expectation,
    aggregates: Aggregates,
    findings: WindowFindings,
    order: npt.NDArray[np.intp],
) -> str:
    subject = expectation.subject
    windows = reader.windows.get(subject.during, expectation.window, subject.measure)
    total, failures, missing = (int(part.sum()) for part in (findings.judged, findings.failed, findings.missing))
    parts = [f"{failures:,} of {counted(total, 'window')} failed"]
    if findings.allowed:
        parts[0] += f" ({findings.allowed:,} allowed)"
    if missing:
        first = float(windows.starts[np.flatnonzero(findings.missing)[0]])
        at = moment(first, reader.phase_at(first))
        parts.append(f"{missing:,} without enough data, the first at {at}")
        if (findings.missing & aggregates.blind).any():
            parts.append(_why_unseen(reader, subject))
    own = int(findings.spoiled.sum())
    if own:
        parts.append(f"{counted(own, 'window')} spoiled by what plg itself held up")
    if len(order):
        start = float(windows.starts[order[0]])
        value = figure(float(findings.values[order[0]]), MEASURES[subject.measure].unit)
        parts.append(f"worst {value} at {moment(start, reader.phase_at(start))}")
    idle = len(findings.judged) - total
    if idle:
        parts.append(f"{counted(idle, 'window')} had nothing to judge")
    return "; ".join(parts)


def _stopped(expectation: Expectation, result: ExpectationResult, recording: Recording) -> ExpectationResult:
    """Mark the expectation that ended the run; it stays broken whatever was answered after the stop."""
    if recording.stop != "expectation" or not expectation.stop or expectation.text != recording.stop_detail:
        return result
    at = recording.stopped_s
    if result.verdict == "fail" or result.invalid:
        return replace(result, stopped=True)
    seen = "cannot be told" if result.observed is None else f"reads {figure(result.observed, result.unit)}"
    then = moment(at, phase_at(recording.spans, at))
    detail = f"broken at {then}, which ended the run; after the last answers it {seen}"
    return replace(
        result, verdict="fail", stopped=True, detail=detail,
        first_breach_s=at, first_breach_phase=expectation.subject.during or phase_at(recording.spans, at),
    )  # fmt: skip
