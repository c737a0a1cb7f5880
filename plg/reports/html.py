"""One HTML file a run, or one for several runs laid over each other: complete, offline, for screen and paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plg.escaping import markup
from plg.measures import ON_LATENCY
from plg.outcome import Outcome
from plg.reports import charts, recovery_charts, sections, wording, worker_charts
from plg.reports.axes import TimeAxis, bridge
from plg.reports.comparison import compare
from plg.reports.figure import Chart, Limit, View, curve, frame
from plg.reports.html_page import figure, fitting, page, pair, section


def html(outcomes: Sequence[Outcome]) -> str:
    """The report of one run, or the comparison of several."""
    if not outcomes:
        raise ValueError("an HTML report needs at least one outcome")
    return report(outcomes[0]) if len(outcomes) == 1 else compare(outcomes)


def report(outcome: Outcome) -> str:
    """The report of one run."""

    def draw(points: int) -> list[Chart]:
        view = View.of(outcome, points)
        return [
            charts.load_chart(outcome, view),
            *charts.queue_charts(outcome, view),
            *charts.latency_charts(outcome, view),
            *charts.loss_charts(outcome, view),
            *charts.machine_charts(outcome, view),
            charts.guardrail_chart(outcome, view),
            *worker_charts.charts_of(outcome, view),
            *recovery_charts.charts_of(outcome, view),
        ]

    drawn = fitting(draw)
    load, queue, latency, losses, machine, guardrails = (
        drawn[0],
        drawn[1:3],
        drawn[3:5],
        drawn[5:7],
        drawn[7:9],
        drawn[9],
    )
    last = 10 + worker_charts.count(outcome)
    working, recovered = drawn[10:last], drawn[last:]
    parts = [
        sections.expectations(outcome),
        sections.ledger(outcome),
        section("Load", figure(load, heading=False)),
        section("Queue", pair(queue)),
        *([sections.workers(outcome, working)] if working else []),
        *([sections.recovery(outcome, recovered)] if recovered else []),
        section("Times", pair(latency), sections.times(outcome), lead=sections.sentence(ON_LATENCY)),
        section("Losses", pair(losses)),
        section("The generator itself", pair(machine)),
        sections.phases(outcome),
        *filter(None, [sections.shards(outcome)]),
        section("Guardrails", figure(guardrails, heading=False), sections.hits(outcome)),
        sections.warnings(outcome),
        sections.scenario(outcome),
    ]
    title = f"{outcome.name[:200]}: {wording.VERDICT_WORDS[outcome.verdict]}"
    return page(title, sections.header(outcome), parts, footer(outcome), drawn)


def rehearse() -> None:
    """Draw a little something: Plotly and NumPy load much of theirs only at its first use."""
    t = np.linspace(0.0, 1.0, 3)
    view = View(TimeAxis(1.0), ())
    trace = curve(view, "", "target", *bridge(t, t), charts.RATE)
    frame(view, [trace], height=100, suffix="", limit=Limit(1.0, ""))


def footer(outcome: Outcome) -> str:
    """Who wrote the page and how to come back to it."""
    version = markup(outcome.plg_version)
    return f"<p>Written by plg {version}. This file is complete: it loads nothing from anywhere.</p>\n"
