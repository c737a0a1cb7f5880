"""Several runs in one page: their charts laid over each other, their expectations side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from plg.escaping import markup
from plg.judge.rate_windows import rates, times
from plg.outcome import ExpectationResult, Outcome
from plg.reports import sections, wording
from plg.reports.axes import Scale, TimeAxis, bridge, finite, time_scale
from plg.reports.figure import Chart, Floats, View, curve, frame
from plg.reports.html_page import ROOM, cell, empty, figure, fitting, page, pair, row_heading, section, short, table
from plg.reports.sampling import column
from plg.reports.still import patch
from plg.reports.text_width import columns
from plg.reports.theme import RUNS
from plg.runner.recording import TIMES
from plg.units import format_duration

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_RUNS = 24
"""Runs whose curves and results are laid side by side; more could not be told apart."""
_MOST_LINES = 100
"""Expectations of which those that do not hold come first, lest they be cut off."""
_ROOM = 90
"""Letters of the headings above the results of all runs."""
_DASHES = ("solid", "dash", "dot", "dashdot")


def compare(outcomes: Sequence[Outcome]) -> str:
    """The page for several runs."""
    labels = run_labels(outcomes)
    curves = _curves(outcomes[:MOST_RUNS])
    drawn = fitting(lambda points: _charts(outcomes[:MOST_RUNS], labels[:MOST_RUNS], curves, points))
    more = f"The first {MOST_RUNS} of {len(outcomes):,d} runs are shown." if len(outcomes) > MOST_RUNS else ""
    parts = [
        section("Runs", _runs(outcomes, labels)),
        section("Expectations", _matrix(outcomes[:MOST_RUNS], _headings(labels[:MOST_RUNS])), lead=more),
        section("Load", figure(drawn[0], heading=False), lead=more),
        section("Queue, times, losses and the generator", pair(drawn[1:])),
    ]
    title = f"plg: {len(outcomes)} runs compared"
    return page(title, _header(outcomes), parts, _footer(outcomes), drawn)


_CHARTS = {
    "load": ("Acked jobs a second", "actual", "/s"),
    "depth": ("Queue depth", "queue_depth", ""),
    "age": ("Queue age", "queue_age_s", None),
    "p50": ("Latency p50", "latency", None),
    "p99": ("Latency p99", "latency", None),
    "lag": ("Lag p99", "lag", None),
    "errors": ("Errors a second", "errors", ""),
    "cpu": ("CPU of the generator", "cpu_percent", "%"),
    "memory": ("Memory of the generator", "memory_mb", " MB"),
}
"""Title, what is drawn, and the suffix of its values; None for times, shown in the unit the largest asks for."""
Curves = Mapping[str, Sequence[tuple[Floats, Floats]]]


def _curves(outcomes: Sequence[Outcome]) -> Curves:
    """Moments (s) and values of each chart's curve of each run."""
    return {key: [_curve_of(outcome, key, name) for outcome in outcomes] for key, (_, name, _) in _CHARTS.items()}


def _charts(outcomes: Sequence[Outcome], labels: Sequence[str], curves: Curves, points: int) -> list[Chart]:
    each = [View.of(outcome) for outcome in outcomes]
    longest = max(view.axis.duration for view in each)
    same = len({str(outcome.plan.get("phases")) for outcome in outcomes}) == 1
    view = View(TimeAxis(longest), each[0].phases if same else (), max(60, points // len(outcomes)))
    names = {"load": labels}
    return [_chart(key, curves[key], names.get(key, _letters(labels)), view) for key in _CHARTS]


def _letters(labels: Sequence[str]) -> list[str]:
    return [label.split()[0] for label in labels]


def _headings(labels: Sequence[str]) -> Sequence[str]:
    """The whole names where a table has room for them side by side, else the letters."""
    return labels if sum(columns(label) + 3 for label in labels) <= _ROOM else _letters(labels)


def run_labels(outcomes: Sequence[Outcome]) -> list[str]:
    """A short name for each run: a letter, the scenario's name where they differ, and the moment where names repeat."""
    names = Counter(outcome.name for outcome in outcomes)
    labels = []
    for number, outcome in enumerate(outcomes):
        letter = _LETTERS[number] if number < len(_LETTERS) else str(number + 1)
        moment = f" {outcome.started_at[5:16].replace('T', ' ')}" if names[outcome.name] > 1 else ""
        labels.append(f"{letter} {outcome.name[:60]}{moment}")
    return labels


def _header(outcomes: Sequence[Outcome]) -> str:
    passed = sum(outcome.verdict == "pass" for outcome in outcomes)
    # Each by itself, so that one written from right to left does not turn its neighbours.
    names = ", ".join(
        f"<bdi>{short(name, 60)}</bdi>" for name in sorted({outcome.name for outcome in outcomes})[:MOST_RUNS]
    )
    css = "good" if passed == len(outcomes) else "bad"
    return (
        '<p class="eyebrow">plg comparison</p>\n'
        f'<div class="title"><h1>{len(outcomes)} runs compared</h1>'
        f'<strong class="verdict {css}">{passed} of {len(outcomes)} PASS</strong></div>\n'
        f'<p class="about">{names}</p>\n'
    )


def _footer(outcomes: Sequence[Outcome]) -> str:
    version = markup(outcomes[0].plg_version)
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
        key = patch(f"run{number % RUNS}")
        place = f'<div class="note">{short(wording.target_text(outcome))}<br>{short(outcome.run_id, 60)}</div>'
        cells = [cell(markup(value), name, "num") for value, name in zip(values, columns[1:], strict=True)]
        state = cell(sections.badge(outcome), css="wide")
        rows.append(row_heading(f"{key}{markup(label)}{place}") + state + "".join(cells))
    headings = [("Run", ""), (columns[0], ""), *((name, "num") for name in columns[1:])]
    return table("Each run in one line.", headings, rows, ROOM["runs"], "leave some out to see the others")


def _matrix(outcomes: Sequence[Outcome], labels: Sequence[str]) -> str:
    texts = list(dict.fromkeys(result.text for outcome in outcomes for result in outcome.expectations))
    if not texts:
        return empty("None of the scenarios states any.")
    found = [{result.text: result for result in outcome.expectations} for outcome in outcomes]
    if len(texts) > _MOST_LINES:
        broken = {text for results in found for text, result in results.items() if result.verdict != "pass"}
        texts.sort(key=lambda text: text not in broken)
    rows = [
        row_heading(f'<code class="asked">{short(text)}</code>')
        + "".join(_verdict_cell(results.get(text), label) for results, label in zip(found, labels, strict=True))
        for text in texts
    ]
    return table(
        "Observed value and verdict of each expectation in each run.",
        [("Expectation", ""), *((v, "") for v in labels)],
        rows,
        ROOM["matrix"],
    )


def _verdict_cell(result: ExpectationResult | None, label: str) -> str:
    if result is None:
        return cell('<span class="soft">not asked</span>', label)
    state = f'<span aria-hidden="true">{wording.mark(result)}</span> {wording.word(result)}'
    observed = markup(wording.quantity(result.observed, result.unit))
    return cell(f'<span class="state {sections.state_class(result)}">{state}</span> {observed}', label)


def _chart(key: str, curves: Sequence[tuple[Floats, Floats]], labels: Sequence[str], view: View) -> Chart:
    """One column of every run."""
    title, name, suffix = _CHARTS[key]
    known = finite(*(y for _, y in curves))
    if not known.size:
        few = "None of the runs has a window with jobs enough for it." if name in TIMES else ""
        return Chart(key, title, "", absent=few or "None of the runs has this measurement.")
    if key == "errors" and not known.any():
        return Chart(key, title, "", absent="No job failed in any of the runs.")
    scale = time_scale(float(known.max()) or 1.0) if suffix is None else Scale(1.0, suffix)
    traces, steps = [], name in (*TIMES, "actual", "errors")
    for number, ((t, y), label) in enumerate(zip(curves, labels, strict=True)):
        line = {"dash": _DASHES[number // RUNS % len(_DASHES)], "width": 1.6}
        if np.isfinite(y).any():
            traces.append(curve(view, label, f"run{number % RUNS}", t, y, scale, line=line, steps=steps))
    height = 380 if key == "load" else 260
    return Chart(key, title, "", frame(view, traces, height=height, suffix=scale.suffix))


def _curve_of(outcome: Outcome, key: str, name: str) -> tuple[Floats, Floats]:
    """Moments (s) and values of one curve; of a time measure the percentile that ``key`` names, else the 99th."""
    if name == "actual":
        found_rates = rates(outcome.recording)
        return found_rates.t, found_rates.actual
    if name in TIMES:
        found = times(outcome.recording, name)
        return found.t, found.curves.get(key, found.curves["p99"])
    t, y = column(outcome.series, "t_s"), column(outcome.series, name)
    if name == "errors":
        return t, y / (t[1] - t[0] if len(t) > 1 else outcome.recording.window)
    return bridge(t, y)
