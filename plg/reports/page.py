"""The shell of an HTML page that needs no network: styles, script, charts and the small bundle of Plotly inside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from plg.reports.canvas import Chart
from plg.reports.theme import custom_properties

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
"""What the page may do: run what it carries. Nothing is fetched, even if an escape were missed."""


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
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
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
        f'<script type="application/json" id="data-{escape(chart.key)}">{inert_json(chart.figure)}</script>\n'
        for chart in charts
    )
    return f"{data}<script>\n{asset('plotly-basic.min.js')}\n</script>\n<script>\n{asset('report.js')}</script>\n"


def inert_json(value: object) -> str:
    """JSON that cannot end the script element it stands in, whatever text it holds."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def figure(chart: Chart, *, heading: bool = True) -> str:
    """A chart with its heading and caption, or the reason why there is none."""
    title = f"<h3>{escape(chart.title)}</h3>" if heading else ""
    if chart.figure is None:
        return f'<figure>{title}<p class="empty">{escape(chart.absent)}</p></figure>\n'
    key = escape(chart.key)
    label = escape(f"{chart.title}. {chart.caption}")
    height = int(chart.figure["layout"]["height"])
    return (
        f'<figure data-chart="data-{key}">{title}<figcaption>{escape(chart.caption)}</figcaption>'
        f'<div class="plot" style="min-height:{height:d}px" data-key="{key}" role="img" aria-label="{label}"></div>'
        "<noscript>The chart needs JavaScript; the tables hold the figures.</noscript></figure>\n"
    )


def pair(charts: Sequence[Chart]) -> str:
    """Charts side by side where there is room."""
    return f'<div class="pair">\n{"".join(figure(chart) for chart in charts)}</div>\n'


def section(title: str, *parts: str, lead: str = "") -> str:
    """A part of the page under its heading; ``lead`` is plain text."""
    intro = f'<p class="lead">{escape(lead)}</p>\n' if lead else ""
    return f"<section>\n<h2>{escape(title)}</h2>\n{intro}{''.join(parts)}</section>\n"


def empty(text: str) -> str:
    """The sentence that stands where there is nothing to show."""
    return f'<p class="empty">{escape(text)}</p>\n'


def cell(content: str, label: str = "", css: str = "") -> str:
    """A table cell; ``content`` is HTML, ``label`` the heading it shows beside itself on a phone."""
    classes = f' class="{css}"' if css else ""
    heading = f' data-label="{escape(label)}"' if label else ""
    return f'<td role="cell"{classes}{heading}>{content}</td>'


def table(caption: str, headings: Sequence[tuple[str, str]], rows: Iterable[str], css: str = "stack") -> str:
    """A table of ``rows`` (HTML of the cells); ``headings`` are (text, css class) of the columns.

    Roles are spelled out, because a table laid out anew for a phone would lose them.
    """
    head = "".join(f'<th role="columnheader" scope="col" class="{c}">{escape(text)}</th>' for text, c in headings)
    body = "".join(f'<tr role="row">{row}</tr>\n' for row in rows)
    return (
        f'<table role="table" class="{css}">\n<caption>{escape(caption)}</caption>\n'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}</tbody>\n</table>\n'
    )


def row_heading(content: str) -> str:
    """The first cell of a row, as its heading."""
    return f'<th role="rowheader" scope="row">{content}</th>'
