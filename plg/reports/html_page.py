"""The shell of an HTML page that needs no network: styles, script, charts and the small bundle of Plotly inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from importlib import resources

from plg.escaping import markup
from plg.reports.figure import MOST_POINTS, Chart
from plg.reports.still import still, swatch
from plg.reports.theme import custom_properties

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
"""What the page may do: run what it carries. Nothing is fetched, even if an escape were missed."""


ROOM = {
    "charts": 400_000, "expectations": 180_000, "phases": 40_000, "hits": 40_000, "remarks": 15_000, "errors": 10_000,
    "scenario": 70_000, "runs": 40_000, "matrix": 160_000,
}  # fmt: skip
"""Bytes that each part of a page may take, so that with Plotly (1.2 MB) every page stays below 2 MB."""
FULLY = "all of them are in the saved outcome"
_FEWEST_POINTS = 60


def asset(name: str) -> str:
    """Text of a file that travels with the package."""
    return resources.files("plg.reports").joinpath("assets", name).read_text(encoding="utf-8")


def page(title: str, header: str, sections: Iterable[str], footer: str, charts: Sequence[Chart]) -> str:
    """A whole document. ``title`` is plain text, the other parts are HTML."""
    drawn = [chart for chart in charts if chart.figure is not None]
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="plg">\n'
        f'<title>{markup(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{custom_properties()}{asset('report.css')}</style>\n</head>\n"
    )
    body = (
        f'<body>\n<a class="skip" href="#main">Skip to the results</a>\n<header>\n{header}</header>\n'
        f'<main id="main">\n{"".join(sections)}</main>\n<footer>\n{footer}</footer>\n'
    )
    return f"{head}{body}{_scripts(drawn)}</body>\n</html>\n"


def _scripts(charts: Sequence[Chart]) -> str:
    if not charts:
        return ""
    data = "".join(
        f'<script type="application/json" id="data-{markup(chart.key)}">{inert_json(chart.figure)}</script>\n'
        for chart in charts
    )
    return f"{data}<script>\n{asset('plotly-basic.min.js')}\n</script>\n<script>\n{asset('report.js')}</script>\n"


def inert_json(value: object) -> str:
    """JSON that cannot end the script element it stands in, whatever text it holds."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def figure(chart: Chart, *, heading: bool = True) -> str:
    """A chart with its heading, caption and legend, or the reason why there is none.

    The picture stands there until a script has drawn the chart that can be zoomed, and for good where scripts are
    forbidden.
    """
    title = f"<h3>{markup(chart.title)}</h3>" if heading else ""
    if chart.figure is None:
        return f'<figure>{title}<p class="empty">{markup(chart.absent)}</p></figure>\n'
    key = markup(chart.key)
    label = f'role="img" aria-label="{markup(f"{chart.title}. {chart.caption}")}"'
    return (
        f'<figure data-chart="data-{key}">{title}<figcaption>{markup(chart.caption)}</figcaption>'
        f'<div class="legend">{legend(chart)}</div>'
        f'<div class="drawing"><div class="still" {label}>{still(chart.figure, 5 if heading else 6)}</div>'
        f'<div class="plot" data-key="{key}" {label} hidden></div></div></figure>\n'
    )


def legend(chart: Chart) -> str:
    """The names of the curves with their colours, unless the chart's title names them. The script makes switches of
    them."""
    traces = chart.figure["data"] if chart.figure else []
    if any(trace.get("showlegend") is False for trace in traces):
        return ""
    # Names are harmless already: Plotly reads markup in them.
    names = "".join(f"<li>{swatch(trace)} {trace['name']}</li>" for trace in traces)
    return f"<ul>{names}</ul>"


def fitting(draw: Callable[[int], Sequence[Chart]]) -> Sequence[Chart]:
    """The charts that ``draw`` makes with the most points a curve that leave the page small enough."""
    points = MOST_POINTS
    while True:
        charts = draw(points)
        figures = [chart.figure for chart in charts if chart.figure is not None]
        size = sum(len(inert_json(each)) + len(still(each).encode()) for each in figures)
        if size <= ROOM["charts"] or points <= _FEWEST_POINTS:
            return charts
        points = max(_FEWEST_POINTS, int(0.9 * points * ROOM["charts"] / size))


def within(rows: Iterable[str], room: int) -> list[str]:
    """The first of the rows, as many as have ``room`` (bytes)."""
    kept = []
    for row in rows:
        room -= len(row.encode("utf-8", "replace"))
        if room < 0:
            break
        kept.append(row)
    return kept


def short(text: str, most: int = 300) -> str:
    """``text`` as HTML, cut with an ellipsis where it is longer than ``most`` characters."""
    return markup(text if len(text) <= most else text[: most - 1] + "…")


def pair(charts: Sequence[Chart]) -> str:
    """Charts side by side where there is room."""
    return f'<div class="pair">\n{"".join(figure(chart) for chart in charts)}</div>\n'


def section(title: str, *parts: str, lead: str = "") -> str:
    """A part of the page under its heading; ``lead`` is plain text."""
    intro = f'<p class="lead">{markup(lead)}</p>\n' if lead else ""
    return f"<section>\n<h2>{markup(title)}</h2>\n{intro}{''.join(parts)}</section>\n"


def empty(text: str) -> str:
    """The sentence that stands where there is nothing to show."""
    return f'<p class="empty">{markup(text)}</p>\n'


def cell(content: str, label: str = "", css: str = "") -> str:
    """A table cell; ``content`` is HTML, ``label`` the heading it shows beside itself on a phone."""
    classes = f' class="{css}"' if css else ""
    heading = f' data-label="{markup(label)}"' if label else ""
    right = ' align="right"' if "num" in css.split() else ""
    return f'<td role="cell"{classes}{right}{heading}>{content}</td>'


def table(
    caption: str, headings: Sequence[tuple[str, str]], rows: Sequence[str], room: int = 50_000, full: str = FULLY
) -> str:
    """A table of ``rows`` (HTML of the cells); ``headings`` are (text, css class) of the columns.

    Rows beyond the ``room`` (bytes) are left out, and a sentence says how many, and where they are in ``full``. Roles
    are spelled out, because a table laid out anew for a phone would lose them; lines and distances, because it may be
    shown without the style sheet.
    """
    head = "".join(f'<th role="columnheader" scope="col" class="{c}">{markup(text)}</th>' for text, c in headings)
    kept = within((f'<tr role="row">{row}</tr>\n' for row in rows), room)
    more = len(rows) - len(kept)
    note = f'<p class="lead">{len(kept):,d} of {len(rows):,d} rows are shown: {full}.</p>\n' if more else ""
    return (
        '<table role="table" class="stack" border="1" cellspacing="0" cellpadding="4">\n'
        f"<caption>{markup(caption)}</caption>\n"
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{"".join(kept)}</tbody>\n</table>\n{note}'
    )


def row_heading(content: str) -> str:
    """The first cell of a row, as its heading."""
    return f'<th role="rowheader" scope="row" align="left">{content}</th>'
