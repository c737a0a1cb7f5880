"""The main charts of a run as one picture, drawn by kaleido and a browser."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from textwrap import wrap
from typing import Any
from zlib import crc32

from plg.escaping import visible
from plg.outcome import Outcome
from plg.reports import charts, wording
from plg.reports.figure import Chart, View, safe_label
from plg.reports.registry import ReportUnavailable
from plg.reports.text_width import cut
from plg.reports.theme import LIGHT

_POINTS = 1200
_GAP, _TOP = 84, 150
_NAME, _LINE = 80, 140
"""Letters of a heading that have room in a line: of the name, and of the reason below it."""
_HEADER = 33
"""Bytes of a PNG before the first chunk that may say what it likes."""
_NAMES = 18
"""Pixels between a chart and its title, in which the names of the phases stand."""


def png(outcome: Outcome, *, width: int = 1200, scale: float = 2.0) -> bytes:
    """The picture, ``width`` by what the charts need, times ``scale`` pixels.

    Raises `ReportUnavailable` where kaleido or a browser is missing.
    """
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # plotly ships no types

    try:
        import_module("kaleido")
    except ImportError:
        raise ReportUnavailable("a PNG needs the package kaleido: pip install kaleido") from None
    document = stack(outcome)
    figure = go.Figure(data=document["data"], layout=document["layout"])
    try:
        picture: bytes = figure.to_image(format="png", width=width, height=document["layout"]["height"], scale=scale)
    except Exception as error:  # kaleido has no family of errors of its own
        raise ReportUnavailable(_told(error)) from error
    return _signed(picture)


def _signed(picture: bytes) -> bytes:
    """The picture with the name of the program in it, by which a later check knows it as plg's own."""
    name = b"tEXtSoftware\0plg"
    chunk = (len(name) - 4).to_bytes(4, "big") + name + crc32(name).to_bytes(4, "big")
    return picture[:_HEADER] + chunk + picture[_HEADER:]


def _told(error: Exception) -> str:
    name, text = type(error).__name__, str(error)
    if "chrome" in f"{name}{text}".lower() or "browser" in f"{name}{text}".lower():
        return "a PNG needs Chrome or Chromium: install one, or run `kaleido_get_chrome`"
    return "the browser could not draw the picture; plg report FILE --html FILE makes a page with the same charts"


def stack(outcome: Outcome) -> Mapping[str, Any]:
    """Load, queue depth, latency and losses above each other on one time axis, as a figure's JSON form."""
    view = View.of(outcome, points=_POINTS)
    chosen = [
        charts.load_chart(outcome, view),
        charts.queue_charts(outcome, view)[0],
        charts.latency_charts(outcome, view)[0],
        charts.loss_charts(outcome, view)[0],
    ]
    drawn = [chart for chart in chosen if chart.figure is not None]
    heights = [chart.figure["layout"]["height"] - 60 for chart in drawn if chart.figure]
    total = sum(heights) + _GAP * len(heights) + _TOP
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"height": total, "shapes": [], "annotations": [_heading(outcome, total)], "template": {}}
    bottom = float(total - _TOP)
    for number, (chart, height) in enumerate(zip(drawn, heights, strict=True), start=1):
        domain = [max(0.0, (bottom - height) / total), bottom / total]
        _add(layout, data, chart, number, domain)
        bottom -= height + _GAP
    if not drawn:
        layout["annotations"].append(_note("Nothing was sent, so there is nothing to draw.", 0.5, LIGHT["soft"], 16))
    return {"data": data, "layout": layout}


def _add(layout: dict[str, Any], data: list[dict[str, Any]], chart: Chart, number: int, domain: list[float]) -> None:
    """Move one chart into its own stretch of the picture, with axes, legend, shapes and labels of its own."""
    assert chart.figure is not None, "only drawn charts are stacked"
    part = chart.figure["layout"]
    suffix = "" if number == 1 else str(number)
    layout |= {key: part[key] for key in ("font", "margin", "paper_bgcolor", "plot_bgcolor")}
    layout |= {"paper_bgcolor": LIGHT["paper"], "margin": {"l": 70, "r": 30, "t": 0, "b": 40}, "showlegend": True}
    layout[f"xaxis{suffix}"] = {**part["xaxis"], "anchor": f"y{suffix}", "domain": [0, 1]}
    layout[f"yaxis{suffix}"] = {**part["yaxis"], "anchor": f"x{suffix}", "domain": domain}
    above = domain[1] + _NAMES / layout["height"]
    layout[f"legend{suffix}"] = {
        "orientation": "h",
        "x": 1,
        "xanchor": "right",
        "y": above,
        "yanchor": "bottom",
        "traceorder": "normal",
    }
    data += [
        {**t, "xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "legend": f"legend{suffix}"} for t in chart.figure["data"]
    ]
    layout["annotations"].append(_note(f"<b>{safe_label(chart.title)}</b>", above, LIGHT["ink"], 14))
    for kind in ("shapes", "annotations"):
        layout[kind] += [_placed(item, suffix, domain) for item in part.get(kind, ())]


def _placed(item: Mapping[str, Any], suffix: str, domain: list[float]) -> dict[str, Any]:
    """A shape or label, its reference to the paper turned into one to its chart's stretch."""
    placed = dict(item)
    span = domain[1] - domain[0]
    if item["xref"] == "x":
        placed["xref"] = f"x{suffix}"
    if item["yref"] == "y":
        placed["yref"] = f"y{suffix}"
        return placed
    for key in ("y", "y0", "y1"):
        if key in placed:
            placed[key] = domain[0] + placed[key] * span
    return placed


def _note(text: str, y: float, colour: str, size: int) -> dict[str, Any]:
    return {
        "text": text, "x": 0, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom",
        "showarrow": False, "font": {"size": size, "color": colour},
    }  # fmt: skip


def _heading(outcome: Outcome, total: int) -> dict[str, Any]:
    verdict = wording.VERDICT_WORDS[outcome.verdict]
    lines = wrap(visible(outcome.reason), _LINE, max_lines=2, placeholder=" …", break_on_hyphens=False)
    reason = "<br>".join(f'<span style="font-size:14px">{safe_label(line)}</span>' for line in lines)
    text = f"<b>{safe_label(cut(visible(outcome.name), _NAME))}: {verdict}</b><br>{reason}"
    return {**_note(text, 1 - 20 / total, LIGHT["ink"], 18), "yanchor": "top", "align": "left"}
