"""Several runs in one page: their charts laid over each other, their expectations side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

import numpy as np

from plg.outcome import ExpectationResult, Outcome
from plg.reports import sections, wording
from plg.reports.axes import Scale, TimeAxis, bridge, finite, time_scale
from plg.reports.canvas import MOST_POINTS, Canvas, Chart, Floats, curve, frame
from plg.reports.page import cell, empty, figure, page, pair, row_heading, section, table
from plg.reports.sampling import column
from plg.reports.theme import RUNS
from plg.units import format_duration

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DASHES = ("solid", "dash", "dot", "dashdot")


def compare(outcomes: Sequence[Outcome]) -> str:
    """The page for several runs."""
    labels = run_labels(outcomes)
    longest = max((float(o.plan.get("duration_s") or o.duration_s) for o in outcomes), default=1.0)
    first = Canvas.of(outcomes[0])
    same = len({str(outcome.plan.get("phases")) for outcome in outcomes}) == 1
    canvas = Canvas(TimeAxis(longest), first.phases if same else (), max(200, MOST_POINTS // len(outcomes)))
    letters = [label.split()[0] for label in labels]
    load = _chart(outcomes, labels, canvas, "load", "Acked jobs a second", "actual", "/s", height=380, steps=True)
    rest = [
        _chart(outcomes, letters, canvas, "depth", "Queue depth", "queue_depth", "", sampled=True),
        _chart(outcomes, letters, canvas, "age", "Queue age", "queue_age_s", sampled=True),
        _chart(outcomes, letters, canvas, "p50", "Latency p50", "latency_p50_s", sampled=True),
        _chart(outcomes, letters, canvas, "p99", "Latency p99", "latency_p99_s", sampled=True),
        _chart(outcomes, letters, canvas, "lag", "Lag p99", "lag_p99_s", sampled=True),
        _chart(outcomes, letters, canvas, "errors", "Errors a window", "errors", ""),
        _chart(outcomes, letters, canvas, "cpu", "CPU of the generator", "cpu_percent", "%", sampled=True),
        _chart(outcomes, letters, canvas, "memory", "Memory of the generator", "memory_mb", " MB", sampled=True),
    ]
    parts = [
        section("Runs", _runs(outcomes, labels)),
        section("Expectations", _matrix(outcomes, labels)),
        section("Load", figure(load, heading=False)),
        section("Queue, times, losses and the generator", pair(rest)),
    ]
    title = f"plg: {len(outcomes)} runs compared"
    return page(title, _header(outcomes), parts, _footer(outcomes), [load, *rest])


def run_labels(outcomes: Sequence[Outcome]) -> list[str]:
    """A short name for each run: a letter, the scenario's name where they differ, and the moment where names repeat."""
    names = Counter(outcome.name for outcome in outcomes)
    labels = []
    for number, outcome in enumerate(outcomes):
        letter = _LETTERS[number] if number < len(_LETTERS) else str(number + 1)
        moment = f" {outcome.started_at[5:16].replace('T', ' ')}" if names[outcome.name] > 1 else ""
        labels.append(f"{letter} {outcome.name}{moment}")
    return labels


def _header(outcomes: Sequence[Outcome]) -> str:
    passed = sum(outcome.verdict == "pass" for outcome in outcomes)
    # Each by itself, so that one written from right to left does not turn its neighbours.
    names = ", ".join(f"<bdi>{escape(name)}</bdi>" for name in sorted({outcome.name for outcome in outcomes}))
    css = "good" if passed == len(outcomes) else "bad"
    return (
        '<p class="eyebrow">plg comparison</p>\n'
        f'<div class="title"><h1>{len(outcomes)} runs compared</h1>'
        f'<span class="verdict {css}">{passed} of {len(outcomes)} PASS</span></div>\n'
        f'<p class="about">{names}</p>\n'
    )


def _footer(outcomes: Sequence[Outcome]) -> str:
    version = escape(outcomes[0].plg_version)
    return f"<p>Written by plg {version}. This file is complete: it loads nothing from anywhere.</p>\n"


def _runs(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    columns = ("Verdict", "Duration", "Planned", "Acked", "Deviation", "Latency p99", "Lag p99", "Errors", "Hits")
    rows = []
    for number, (outcome, label) in enumerate(zip(outcomes, labels, strict=True)):
        acts = sum(hit.action in ("clip", "stop") for hit in outcome.guardrail_hits)
        values = [
            format_duration(outcome.duration_s),
            wording.count(outcome.ledger.planned), wording.count(outcome.ledger.acked),
            wording.quantity(outcome.deviation, "fraction"), wording.quantity(outcome.latency_s.get("p99"), "s"),
            wording.quantity(outcome.lag_s.get("p99"), "s"),
            wording.count(outcome.ledger.failed + outcome.ledger.unknown), wording.count(acts),
        ]  # fmt: skip
        key = f'<span class="key" style="background:var(--run{number % RUNS})" aria-hidden="true"></span>'
        place = f'<span class="note">{escape(wording.target_text(outcome))}<br>{escape(outcome.run_id)}</span>'
        cells = [cell(escape(value), name, "num") for value, name in zip(values, columns[1:], strict=True)]
        state = cell(sections.badge(outcome), css="wide")
        rows.append(row_heading(f"{key}{escape(label)}{place}") + state + "".join(cells))
    headings = [("Run", ""), (columns[0], ""), *((name, "num") for name in columns[1:])]
    return table("Each run in one line.", headings, rows)


def _matrix(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    texts = list(dict.fromkeys(result.text for outcome in outcomes for result in outcome.expectations))
    if not texts:
        return empty("None of the scenarios states any.")
    found = [{result.text: result for result in outcome.expectations} for outcome in outcomes]
    rows = [
        row_heading(f'<code class="asked">{escape(text)}</code>')
        + "".join(_verdict_cell(results.get(text), label) for results, label in zip(found, labels, strict=True))
        for text in texts
    ]
    return table(
        "Observed value and verdict of each expectation in each run.",
        [("Expectation", ""), *((v, "") for v in labels)],
        rows,
    )


def _verdict_cell(result: ExpectationResult | None, label: str) -> str:
    if result is None:
        return cell('<span class="soft">not asked</span>', label)
    state = f'<span aria-hidden="true">{wording.mark(result)}</span> {wording.word(result)}'
    observed = escape(wording.quantity(result.observed, result.unit))
    return cell(f'<span class="state {sections.state_class(result)}">{state}</span> {observed}', label)


def _chart(
    outcomes: Sequence[Outcome],
    labels: Sequence[str],
    canvas: Canvas,
    key: str,
    title: str,
    name: str,
    suffix: str | None = None,
    *,
    height: int = 260,
    steps: bool = False,
    sampled: bool = False,
) -> Chart:
    """One column of every run; ``suffix`` None means a time, shown in the unit its largest value asks for."""
    curves = [_curve_of(outcome, name, sampled) for outcome in outcomes]
    known = finite(*(y for _, y in curves))
    if not known.size:
        return Chart(key, title, "", absent="None of the runs has this measurement.")
    scale = time_scale(float(known.max())) if suffix is None else Scale(1.0, suffix)
    traces = []
    for number, ((t, y), label) in enumerate(zip(curves, labels, strict=True)):
        line = {"dash": _DASHES[number // RUNS % len(_DASHES)], "width": 1.6}
        if np.isfinite(y).any():
            traces.append(curve(canvas, label, f"run{number % RUNS}", t, y, scale, line=line, steps=steps))
    return Chart(key, title, "", frame(canvas, traces, height=height, suffix=scale.suffix))


def _curve_of(outcome: Outcome, name: str, sampled: bool) -> tuple[Floats, Floats]:
    t, y = column(outcome.series, "t_s"), column(outcome.series, name)
    return bridge(t, y) if sampled else (t, y)
