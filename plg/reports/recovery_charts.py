"""Charts of what came back in time: the backlog with its slope, the workers, and the moment of each line marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plg.escaping import visible
from plg.judge.aggregate import Reader
from plg.judge.looks import known
from plg.judge.scaling import fit
from plg.judge.windows import NoData
from plg.language.expectation import read_expectation
from plg.measures import GAUGES
from plg.outcome import ExpectationResult, Outcome, RecoveryResult
from plg.plan.watching import hold_of
from plg.reports import wording
from plg.reports.axes import Scale, finite, time_scale
from plg.reports.figure import Chart, Floats, Trace, View, curve, frame, markers
from plg.scenario import Subject
from plg.units import format_duration, format_rate

_HEIGHT = 300
_MOST_LINES = 12
"""Bounds drawn in one chart."""
_MOST_SLOPES = 24
_MOST_TOLD = 3
"""Lines that a caption tells the end of."""
_DOTS = {"dash": "dot", "width": 2.4}
_ROLES = {"pass": "good", "fail": "bad", "no_data": "doubt"}
JOBS = Scale(1.0, "")


def charts_of(outcome: Outcome, view: View) -> list[Chart]:
    """The backlog, the workers where they were counted, and any other measure that a line with a deadline is about."""
    lines: dict[str, list[ExpectationResult]] = {}
    for result in outcome.expectations:
        if result.recovery is not None:
            lines.setdefault(_key(outcome, result), []).append(result)
    drawn = [_backlog(outcome, view, lines.get("queue_depth", ()))]
    if "workers" in lines or finite(known(outcome.recording, "workers")[1]).size:
        drawn.append(_workers(outcome, view, lines.get("workers", ())))
    drawn += [_other(outcome, view, key, own) for key, own in lines.items() if key not in ("queue_depth", "workers")]
    return drawn if lines or len(drawn) > 1 else []


def _key(outcome: Outcome, result: ExpectationResult) -> str:
    """What a line is about, as it stands there: ``p95(latency)``."""
    assert result.recovery is not None, "only lines with a deadline have a chart here"
    line, _ = read_expectation(result.text, list(outcome.recording.spans))
    if line is None or line.subject.aggregate is None:
        return result.recovery.measure
    return f"{line.subject.aggregate}({line.subject.measure})"


def _backlog(outcome: Outcome, view: View, lines: Sequence[ExpectationResult]) -> Chart:
    times, depth = known(outcome.recording, "queue_depth")
    title, caption = "Backlog", "Jobs waiting, look by look."
    if not len(times):
        return Chart("backlog", title, "", absent="The queue was not looked at in this run.")
    traces = [curve(view, "waiting", "depth", times, depth, JOBS, steps=True, filled=0.12)]
    slopes = _slopes(outcome, times, depth)
    if slopes:
        t, y, words = slopes
        traces.append(curve(view, "slope", "ink", t, y, JOBS, line={"dash": "dash", "width": 1.6}))
        caption += f" Dashed: its slope in each phase, by least squares: {words}."
    return _chart(outcome, view, "backlog", title, caption, traces, lines, JOBS)


def _slopes(outcome: Outcome, times: Floats, depth: Floats) -> tuple[Floats, Floats, str] | None:
    """The lines of least squares of the phases, with gaps between them, and in words."""
    spans = [(name, start, start + length) for name, start, length in _phases(outcome)][:_MOST_SLOPES]
    found = [(name, line) for name, start, end in spans if (line := fit(times, depth, start, end)) is not None]
    if not found:
        return None
    t = np.concatenate([np.append(line[0], line[0][-1]) for _, line in found])
    y = np.concatenate([np.append(line[1], np.nan) for _, line in found])
    words = ", ".join(f"{visible(name)} {format_rate(round(line[2], 2))}" for name, line in found[:6])
    return t, y, words + (", and more" if len(found) > 6 else "")


def _phases(outcome: Outcome) -> list[tuple[str, float, float]]:
    rows = outcome.plan.get("phases") or ()
    return [(str(row["name"]), float(row["start_s"]), float(row["duration_s"])) for row in rows]


def _workers(outcome: Outcome, view: View, lines: Sequence[ExpectationResult]) -> Chart:
    recording = outcome.recording
    times, crew = known(recording, "workers")
    if not len(times):
        return Chart("workers", "Workers", "", absent="Workers were not counted in this run.")
    traces = [curve(view, "workers", "gauge", times, crew, JOBS, steps=True, filled=0.12)]
    held_at, held = known(recording, "in_flight")
    caption = "Workers alive, as they are registered."
    if len(held):
        traces.append(curve(view, "jobs in flight", "p50", held_at, held, JOBS, steps=True, line={"width": 1.2}))
        caption += " Thin: jobs that they had at hand."
    return _chart(outcome, view, "workers", "Workers", caption, traces, lines, JOBS)


def _other(outcome: Outcome, view: View, key: str, lines: Sequence[ExpectationResult]) -> Chart:
    """Any other measure: a gauge look by look, a time or an aggregate in windows."""
    recovery, name = lines[0].recovery, f"recovery-{len(key)}-{key.translate(_PLAIN)}"
    assert recovery is not None, "only lines with a deadline have a chart here"
    times, values = _readings(outcome, lines[0])
    if not finite(values).size:
        return Chart(name, key, "", absent=f"There are no samples of {key} in this run.")
    top = max(float(np.nanmax(values)), max(line.recovery.bound for line in lines if line.recovery))
    scale = time_scale(top or 1.0) if recovery.unit == "s" else JOBS
    traces = [curve(view, key, "actual", times, values, scale, steps=True)]
    return _chart(outcome, view, name, key, f"{key} over the run.", traces, lines, scale)


_PLAIN = str.maketrans({"(": "-", ")": "", ".": "-", "_": "-"})


def _readings(outcome: Outcome, result: ExpectationResult) -> tuple[Floats, Floats]:
    """A measure over the run; nothing where it was not recorded finely enough."""
    assert result.recovery is not None, "only lines with a deadline have a chart here"
    line, _ = read_expectation(result.text, list(outcome.recording.spans))
    measure = result.recovery.measure
    if line is None or (measure in GAUGES and line.subject.aggregate is None):
        return known(outcome.recording, measure)
    reader = Reader(outcome.recording)
    subject, width = Subject(measure, line.subject.aggregate), max(hold_of(line), outcome.recording.window)
    try:
        values = reader.read(subject, width).values
        return reader.windows.get(None, width, measure).starts, values
    except NoData:
        return np.zeros(0), np.zeros(0)


def _chart(
    outcome: Outcome, view: View, key: str, title: str, caption: str, traces: list[Trace],
    lines: Sequence[ExpectationResult], scale: Scale,
) -> Chart:  # fmt: skip
    """The curves with the bound of each line from its start to its deadline, and the moment at which it came true."""
    signs: dict[tuple[str, str, str], list[tuple[float, float, str]]] = {}
    for line in lines[:_MOST_LINES]:
        assert line.recovery is not None, "only lines with a deadline have a chart here"
        bound = line.recovery.bound
        if line.recovery.kind == "drained":
            bound += outcome.recording.start_depth or 0
        ends = np.minimum([line.recovery.start_s, line.recovery.deadline_s], view.axis.duration)
        name = wording.quantity(bound, line.recovery.unit)
        traces.append(curve(view, f"bound {name}", _ROLES[line.verdict], ends, np.full(2, bound), scale, line=_DOTS))
        sign, moment = _sign(line, line.recovery)
        if moment is not None:
            at = f"{line.detail}: at {format_duration(round(moment, 2))} of the run"
            signs.setdefault(sign, []).append((moment, bound * scale.factor, at))
    traces += [markers(view, *sign, points) for sign, points in signs.items()]
    if lines:
        told = [line.detail or line.text for line in lines]
        more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        caption += f" Dotted: each bound, until its deadline. {'; '.join(told[:_MOST_TOLD])}{more}."
    return Chart(key, title, visible(caption), frame(view, traces, height=_HEIGHT, suffix=scale.suffix))


def _sign(line: ExpectationResult, recovery: RecoveryResult) -> tuple[tuple[str, str, str], float | None]:
    """The sign at the moment of a line: its name, colour and shape; None where it never came."""
    if recovery.at_s is not None:
        return ("came true", "good", "diamond") if line.verdict == "pass" else ("too late", "bad", "x"), recovery.at_s
    return ("not in time", "bad", "x"), recovery.deadline_s if line.verdict == "fail" else None
