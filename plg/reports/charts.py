"""The charts of one run, in the order a reader asks: load, queue, answers, errors, the generator itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from plg.guardrails.guard import Hit
from plg.judge.rate_windows import Times, rates, times
from plg.outcome import Outcome
from plg.reports import wording
from plg.reports.axes import Scale, bridge, finite, time_scale
from plg.reports.figure import Chart, Limit, Trace, View, curve, dots, frame, markers, safe_label
from plg.reports.limits import limit_of
from plg.reports.sampling import column
from plg.reports.theme import LIGHT
from plg.units import format_duration, format_rate

Floats = npt.NDArray[np.float64]

TALL, LOW = 380, 260
_BINS = 60
_VISIBLE = 0.05
"""The share of the time axis of which a percentile must be known; less could not be seen beside the jobs."""
JOBS = Scale(1.0, "")
RATE = Scale(1.0, "/s")


def load_chart(outcome: Outcome, view: View) -> Chart:
    """Target, allowed and actual rate, with the max_rate line, guardrail hits and the first breaches."""
    title = "Load"
    if outcome.recording.ended_s == 0:
        return Chart("load", title, "", absent="The run never began: nothing was sent.")
    found = rates(outcome.recording)
    clipped = bool(np.any(found.target > found.allowed * (1 + 1e-9)))
    actual = curve(view, "actual (acked)", "actual", found.t, found.actual, RATE, steps=True, filled=0.12)
    # Gaps so wide that a curve which is where it should be shows through.
    dotted = {"dash": "3px,6px", "width": 2}
    target = curve(view, "target", "target", found.t, found.target, RATE, steps=True, line=dotted)
    traces = [actual, target]
    if clipped:
        allowed = curve(
            view, "allowed", "allowed", found.t, found.allowed, RATE,
            steps=True, line={"width": 1.2}, filled=0.25, fill="tonexty", area="shed",
        )  # fmt: skip
        traces = [target, allowed, actual]
    traces += _hit_markers(outcome, view)
    traces += _breach_markers(outcome, view, found.t, found.actual)
    limit = limit_of(outcome.scenario, "max_rate")
    caption = "Jobs a second. Dotted: what the pattern asked for; filled: what the queue confirmed."
    if clipped:
        fate = "was shed by a guardrail" if outcome.ledger.shed else "was not sent: a guardrail had ended the run"
        caption += f" The shaded gap between target and allowed {fate}."
    if np.any(found.actual > 1.05 * np.maximum(found.allowed, found.allowed.max())):
        caption += " What was confirmed rises above it where answers that were late came all at once."
    line = None if limit is None else Limit(limit, f"max_rate {format_rate(limit)}")
    return Chart("load", title, caption, frame(view, traces, height=TALL, suffix="", limit=line))


def _windows(outcome: Outcome) -> Floats:
    """Starts of the rows of the series, and the end of the last one, so that its level shows too."""
    t = column(outcome.series, "t_s")
    if len(t) == 0:
        return t
    return np.append(t, t[-1] + (t[1] - t[0] if len(t) > 1 else outcome.recording.window))


def _held(y: Floats) -> Floats:
    return np.append(y, y[-1]) if len(y) else y


def _hit_markers(outcome: Outcome, view: View) -> list[Trace]:
    """Where max_rate clipped and where any guardrail stopped the run."""
    clips = [
        (hit.start_s, hit.requested, wording.hit_sentence(hit))
        for hit in outcome.guardrail_hits
        if hit.action == "clip" and hit.guardrail == "max_rate"
    ]
    stops = [(hit.start_s, 0.0, wording.hit_sentence(hit)) for hit in outcome.guardrail_hits if hit.action == "stop"]
    found = [("clipped", "shed", "triangle-down", clips), ("stopped", "bad", "square", stops)]
    return [markers(view, name, role, symbol, points) for name, role, symbol, points in found if points]


def _breach_markers(outcome: Outcome, view: View, t: Floats, actual: Floats) -> list[Trace]:
    points = []
    for result in outcome.expectations:
        if result.first_breach_s is None or result.verdict == "pass" or not len(t):
            continue
        window = min(len(t) - 1, max(0, int(np.searchsorted(t, result.first_breach_s, side="right")) - 1))
        height = float(actual[window]) if np.isfinite(actual[window]) else 0.0
        points.append((result.first_breach_s, height, f"{result.text}: {wording.breach(result)}"))
    return [markers(view, "first breach", "bad", "x", points)] if points else []


def gauge_chart(
    outcome: Outcome, view: View, key: str, title: str, caption: str, name: str, role: str, guardrail: str
) -> Chart:
    """One sampled column over time, with its guardrail as a line when it is near enough to be seen."""
    t, y = bridge(column(outcome.series, "t_s"), column(outcome.series, name))
    if not finite(y).size:
        return Chart(key, title, "", absent="No samples were taken in this run.")
    seconds = name.endswith("_s")
    scale = time_scale(float(np.nanmax(y)) or 1.0) if seconds else JOBS
    suffix = {"cpu_percent": "%", "memory_mb": " MB"}.get(name, scale.suffix)
    limit = limit_of(outcome.scenario, guardrail)
    line = None
    if limit is not None:
        shown = wording.quantity(limit, "s") if seconds else f"{limit:,.4g}{suffix}" if limit < 1e4 else f"{limit:,.0f}"
        line = Limit(limit * scale.factor, f"{guardrail.removesuffix('_mb').removesuffix('_percent')} {shown}")
        caption += f" Guardrail: {shown}."
    # An area would cover the gaps too, in which nothing was measured.
    filled = 0.0 if np.isnan(y).any() else 0.12
    trace = curve(view, title.lower(), role, t, y, Scale(scale.factor, suffix), filled=filled)
    figure = frame(view, [{**trace, "showlegend": False}], height=LOW, suffix=suffix, limit=line)
    return Chart(key, title, caption, figure)


def queue_charts(outcome: Outcome, view: View) -> list[Chart]:
    """Depth of the queues and age of the oldest job in them."""
    depth = "Jobs waiting in the queues of the scenario; the highest sample of each window."
    age = "How long the oldest waiting job has been there."
    return [
        gauge_chart(outcome, view, "depth", "Queue depth", depth, "queue_depth", "depth", "max_queue_depth"),
        gauge_chart(outcome, view, "age", "Queue age", age, "queue_age_s", "depth", "max_queue_age"),
    ]


def machine_charts(outcome: Outcome, view: View) -> list[Chart]:
    """What plg itself used."""
    cpu = "Processor time of the generator; 100% is one core."
    memory = "Resident memory of the generator."
    return [
        gauge_chart(outcome, view, "cpu", "CPU", cpu, "cpu_percent", "gauge", "max_cpu_percent"),
        gauge_chart(outcome, view, "memory", "Memory", memory, "memory_mb", "gauge", "max_memory_mb"),
    ]


_TIMES = {
    "latency": ("Latency", "From the moment a job was due until the queue confirmed it: a stall cannot hide here."),
    "service_time": ("Service time", "From the actual send until the answer, on the same scale: the queue alone."),
    "queue_wait": ("Wait", "From the moment a job was due until a worker started it, by that moment."),
    "run_time": ("Run time", "From there until the worker was done with it, on the same scale."),
    "lag": ("Lag", "The generator's own delay, from due to sent."),
}


def latency_charts(outcome: Outcome, view: View) -> list[Chart]:
    """Latency and service time side by side on one scale: where they differ, jobs waited for the generator's turn."""
    return time_charts(outcome, view, ("latency", "service_time"))


def time_charts(outcome: Outcome, view: View, measures: Sequence[str], *, log: bool = False) -> list[Chart]:
    """Charts of times on one scale: percentiles where a window has the samples for them, else the jobs themselves. The
    scale is logarithmic where it has to be, or ``log`` is set."""
    found = {measure: times(outcome.recording, measure, view.points) for measure in measures}
    values = finite(*(part for each in found.values() for part in (*each.curves.values(), each.jobs)))
    positive = values[values > 0]
    if not positive.size:
        return [Chart(measure, _TIMES[measure][0], "", absent="No job was answered in this run.") for measure in found]
    span = float(positive.min()), float(positive.max())
    log = log or span[1] > 100 * span[0]
    return [_time_chart(view, measure, each, span, log) for measure, each in found.items()]


def _time_chart(view: View, measure: str, found: Times, span: tuple[float, float], log: bool) -> Chart:
    title, caption = _TIMES[measure]
    scale = time_scale(span[1])
    traces: list[Trace] = []
    if len(found.jobs):
        floor = span[0] if log else 0.0
        traces.append(dots(view, "each job", "max", found.jobs_t, np.maximum(found.jobs, floor), scale))
        caption += (
            " Each dot is a job."
            if found.all_jobs
            else " Where a window has too few jobs for a p99, its jobs are dots."
        )
    for name, y in found.curves.items():
        shown = np.where(y > 0, y, np.nan) if log else y
        style = {"dash": "dot", "width": 1.2} if name == "max" else {}
        if np.isfinite(shown[::2]) @ (found.t[1::2] - found.t[::2]) > _VISIBLE * view.axis.duration:
            traces.append(curve(view, name, name, found.t, shown, scale, line=style, steps=True))
    if not traces:
        return Chart(measure, title, "", absent="No job was timed in this run.")
    limits = (span[0] * scale.factor, span[1] * scale.factor)
    figure = frame(view, traces, height=LOW + 40, suffix=scale.suffix, log=log, span=limits)
    return Chart(measure, title, caption + (" Logarithmic scale." if log else ""), figure)


def loss_charts(outcome: Outcome, view: View) -> list[Chart]:
    """Jobs that were due and did not arrive, by cause; and how late plg was with those that did."""
    title = "Errors and jobs not sent"
    causes = (("errors", "errors"), ("shed", "shed"), ("late", "late"))
    t, width, counts = _bins(outcome, [name for name, _ in causes])
    found = [(name, counts[name], role) for name, role in causes if np.nansum(counts[name]) > 0]
    losses = Chart("errors", title, "", absent="No job failed, was shed or came too late.")
    if not finite(*(column(outcome.series, name) for name, _ in causes)).size:
        losses = Chart("errors", title, "", absent="Nothing was counted: the run ended before anything was sent.")
    if found:
        dashes = {"errors": "solid", "shed": "dash", "late": "dot"}
        traces = [
            curve(view, name, role, t, _held(y), JOBS, steps=True, line={"dash": dashes[name]}, filled=0.2)
            for name, y, role in found
        ]
        caption = f"Jobs in each {format_duration(width)}. Errors: refused, or the connection died."
        caption += " Shed: clipped by a guardrail. Late: overdue."
        losses = Chart("errors", title, caption, frame(view, traces, height=LOW, suffix=""))
    return [losses, *time_charts(outcome, view, ("lag",))]


def _bins(outcome: Outcome, names: Sequence[str]) -> tuple[Floats, float, dict[str, Floats]]:
    """Starts (s) of some sixty equal stretches and the end of the last, their width (s), and the counts in each."""
    t = _windows(outcome)
    counts = {name: column(outcome.series, name) for name in names}
    if len(t) < 2:
        return t, outcome.recording.window, counts
    first = np.arange(0, len(t) - 1, -(-(len(t) - 1) // _BINS))
    width = float(t[first[1]] if len(first) > 1 else t[-1])
    return np.append(t[first], t[-1]), width, {n: np.add.reduceat(y, first) for n, y in counts.items()}


_ACTIONS = (
    ("warn", "warned", "doubt", "circle"),
    ("observe", "passed", "errors", "diamond"),
    ("clip", "clipped", "shed", "triangle-down"),
    ("stop", "stopped", "bad", "square"),
)


def guardrail_chart(outcome: Outcome, view: View) -> Chart:
    """Each guardrail as a row, each hit as a bar from its start to its end."""
    title = "Guardrail timeline"
    if not outcome.guardrail_hits:
        return Chart("guardrails", title, "", absent="No guardrail acted in this run.")
    rows = sorted({safe_label(hit.guardrail) for hit in outcome.guardrail_hits})[:20]
    traces: list[Trace] = []
    for action, name, role, symbol in _ACTIONS:
        hits = [hit for hit in outcome.guardrail_hits if hit.action == action and safe_label(hit.guardrail) in rows]
        hits = hits[: view.most_markers]
        if hits:
            traces.append(_stretches(view, name, role, symbol, hits))
    figure = frame(view, [{**trace, "y": []} for trace in traces], height=110 + 34 * len(rows), suffix="")
    layout = {**figure["layout"], "hovermode": "closest"}
    layout["yaxis"] = {"type": "category", "categoryarray": rows, "automargin": True, "range": [-0.6, len(rows) - 0.2]}
    caption = "When each guardrail warned, clipped the rate or stopped the run."
    return Chart("guardrails", title, caption, {"data": traces, "layout": layout})


def _stretches(view: View, name: str, role: str, symbol: str, hits: Sequence[Hit]) -> Trace:
    """One thick line a hit, a sign at its start; a hit of no length is drawn as long as can be seen."""
    sliver = view.axis.duration / 250
    points: list[tuple[float | None, str | None, str]] = []
    for hit in hits:
        row, text = safe_label(hit.guardrail), safe_label(wording.hit_sentence(hit))
        end = max(hit.end_s, hit.start_s + sliver)
        points += [(view.axis.at(hit.start_s), row, text), (view.axis.at(end), row, text), (None, None, "")]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [x for x, _, _ in points],
        "y": [y for _, y, _ in points],
        "text": [text for _, _, text in points],
        "line": {"color": LIGHT[role], "width": 14},
        "marker": {"color": LIGHT[role], "size": [15, 1, 1] * len(hits), "symbol": symbol},
        "hovertemplate": "%{text}<extra></extra>",
        "meta": {"role": role, "fill": 0},
    }
