"""What every chart is drawn with: curves, markers, and the frame of axes, phases and limits around them.

Only the trace type ``scatter`` is used, so that a small bundle of Plotly draws them, and `plg.reports.still` too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.escaping import visible
from plg.outcome import Outcome
from plg.reports.axes import Scale, TimeAxis
from plg.reports.sampling import downsample, thin
from plg.reports.text_width import columns, cut
from plg.reports.theme import LIGHT, faint

Floats = npt.NDArray[np.float64]
Trace = dict[str, Any]

MOST_POINTS = 2000
_MOST_LETTERS = 160
"""Of a name or a sentence in a chart: the whole of it stands in a table."""
_LETTER, _FEWEST_LETTERS = 0.012, 6
"""Share of a picture's width that a letter of a phase's name takes, and letters that a name is not cut below."""
_CALM_UP_TO = 160
"""Beyond this many points a curve is drawn thinner, so that its neighbours stay visible."""
_MARKED_UP_TO = 30
_NEAR = 1.6
"""A limit of so many times the highest value still leaves the curve most of the chart."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A guardrail as a line: ``value`` in the unit the chart shows. One far above the curves is named at the top."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: ``figure`` is Plotly's JSON form, or None, and then ``absent`` says why there is nothing to draw."""

    key: str
    title: str
    caption: str
    figure: Mapping[str, Any] | None = None
    absent: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The view that the charts of one run share: its time axis, its phases and how many points a curve may have."""

    axis: TimeAxis
    phases: tuple[tuple[str, float, float], ...]
    points: int = MOST_POINTS

    @property
    def most_phases(self) -> int:
        """Phases that are shaded and named; more could not be told apart."""
        return min(120, self.points // 12)

    @property
    def most_markers(self) -> int:
        """Signs of one kind."""
        return min(400, self.points // 5)

    @staticmethod
    def of(outcome: Outcome, points: int = MOST_POINTS) -> View:
        planned = float(outcome.plan.get("duration_s") or 0.0)
        rows = outcome.plan.get("phases") or ()
        phases = tuple((str(p["name"]), float(p["start_s"]), float(p["duration_s"])) for p in rows)
        return View(TimeAxis(max(planned, outcome.duration_s, _watched(outcome))), phases, points)


def _watched(outcome: Outcome) -> float:
    """The end (s) of the last row of the series: the queue may have been watched after the plan's end."""
    t = outcome.series.get("t_s") or (0.0,)
    last, before = float(t[-1] or 0.0), float(t[-2] or 0.0) if len(t) > 1 else 0.0
    return last + (last - before)


def curve(
    view: View,
    name: str,
    role: str,
    t: Floats,
    y: Floats,
    scale: Scale,
    *,
    line: Mapping[str, Any] | None = None,
    steps: bool = False,
    filled: float = 0.0,
    fill: str = "tozeroy",
    area: str | None = None,
) -> Trace:
    """One line over time; ``t`` in seconds, ``y`` in the base unit that ``scale`` turns into the one shown.

    ``role`` names its colour; the page repaints it by ``meta`` when the theme changes. ``steps`` draws each value
    as a level that holds until the next; ``filled`` is the opacity of the area below, ``area`` its colour where it is
    not the line's.
    """
    times, values = downsample(t, y, view.points)
    few = not steps and 0 < np.isfinite(values).sum() <= _MARKED_UP_TO
    trace: Trace = {
        "type": "scatter",
        "name": safe_label(name),
        "mode": "lines+markers" if few else "lines",
        "x": view.axis.places(times),
        "y": [None if np.isnan(v) else float(f"{v * scale.factor:.4g}") for v in values],
        "line": {
            "color": LIGHT[role],
            "width": 1.8 if len(times) <= _CALM_UP_TO else 1.3,
            "shape": "hv" if steps else "linear",
            **(line or {}),
        },
        "marker": {"color": LIGHT[role], "size": 5},
        "hovertemplate": f"%{{y:,.4~r}}{scale.suffix}",
        "meta": {"role": role, "fill": filled, "area": area or role},
    }
    if filled:
        trace |= {"fill": fill, "fillcolor": faint(area or role, filled)}
    return trace


def dots(view: View, name: str, role: str, t: Floats, y: Floats, scale: Scale) -> Trace:
    """A small dot at each (seconds, value in the base unit)."""
    times, values = thin(t, y, view.points)
    return {
        "type": "scatter",
        "name": name,
        "mode": "markers",
        "x": view.axis.places(times),
        "y": [float(f"{v * scale.factor:.4g}") for v in values],
        "marker": {"color": LIGHT[role], "size": 4, "opacity": 0.75},
        "hovertemplate": f"%{{y:,.4~r}}{scale.suffix}",
        "meta": {"role": role, "fill": 0},
    }


def markers(view: View, name: str, role: str, symbol: str, points: Sequence[tuple[float, float, str]]) -> Trace:
    """Signs at (seconds, height, text); the text shows when pointed at."""
    shown = points[: view.most_markers]
    return {
        "type": "scatter",
        "name": safe_label(name),
        "mode": "markers",
        "x": [view.axis.at(t) for t, _, _ in shown],
        "y": [height for _, height, _ in shown],
        "text": [safe_label(text) for _, _, text in shown],
        "cliponaxis": False,
        "marker": {"color": LIGHT[role], "size": 11, "symbol": symbol, "line": {"width": 1, "color": LIGHT["paper"]}},
        "hovertemplate": "%{text}<extra></extra>",
        "meta": {"role": role, "fill": 0},
    }


def frame(
    view: View,
    traces: Sequence[Trace],
    *,
    height: int,
    suffix: str,
    limit: Limit | None = None,
    log: bool = False,
    span: tuple[float, float] | None = None,
) -> Mapping[str, Any]:
    """The figure around the curves: time axis, shaded phases with their names, and a line for the guardrail."""
    import plotly.graph_objects as go  # type: ignore[import-untyped]  # plotly ships no types

    top = max((v for trace in traces for v in trace["y"] if v is not None), default=0.0)
    near = limit is not None and limit.value <= _NEAR * top
    ceiling = max(top, limit.value if limit and near else 0.0) or 1.0
    layout = _layout(view.axis, height)
    layout["yaxis"] |= {"range": [0, ceiling * 1.18], "ticksuffix": suffix, "minallowed": 0}
    if span is not None:
        layout["yaxis"]["range"] = [0, span[1] * 1.18]
    if log and span is not None:
        low, high = float(np.log10(span[0] * 0.7)), float(np.log10(span[1] * 2.2))
        layout["yaxis"] |= {"type": "log", "range": [low, high], "dtick": 1, "tickformat": ",~r", "minallowed": None}
    layout["shapes"] = _bands(view)
    layout["annotations"] = _names(view)
    if limit is not None:
        layout["shapes"] += [_limit_line(limit.value)] if near else []
        layout["annotations"].append(_limit_label(limit, near))
    figure = go.Figure(data=list(traces), layout=layout)
    return _plain(figure)


def _plain(figure: Any) -> Mapping[str, Any]:
    document: dict[str, Any] = figure.to_plotly_json()
    return {"data": list(document["data"]), "layout": {**document["layout"], "template": {}}}


def _layout(axis: TimeAxis, height: int) -> dict[str, Any]:
    lines = {"gridcolor": LIGHT["grid"], "linecolor": LIGHT["rule"], "zeroline": False, "automargin": True}
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 24, "b": 34},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            "size": 12,
            "color": LIGHT["soft"],
        },
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": LIGHT["paper"], "bordercolor": LIGHT["rule"], "font": {"color": LIGHT["ink"]}},
        "xaxis": {
            **lines,
            "showgrid": False,
            "ticks": "outside",
            "ticklen": 4,
            "tickcolor": LIGHT["rule"],
            **axis.layout(),
        },
        "yaxis": {**lines, "nticks": 6, "tickformat": ",~r"},
        "showlegend": False,
    }


def _bands(view: View) -> list[dict[str, Any]]:
    """Every other phase shaded; none when there are too many to tell apart."""
    if not 1 < len(view.phases) <= view.most_phases:
        return []
    return [
        {
            "type": "rect", "xref": "x", "yref": "paper", "layer": "below", "y0": 0, "y1": 1, "name": "phase",
            "x0": view.axis.at(start), "x1": view.axis.at(start + length),
            "fillcolor": LIGHT["band"], "line": {"width": 0},
        }
        for _, start, length in view.phases[1::2]
    ]  # fmt: skip


def _names(view: View) -> list[dict[str, Any]]:
    """Names of the phases above their bands, where no curve goes, each cut where its phase ends.

    The page cuts them anew by its own width; the whole name shows when it is pointed at. One phase alone needs none.
    """
    if not 1 < len(view.phases) <= view.most_phases:
        return []
    whole = view.axis.duration or 1.0
    names, taken = [], 0.0
    for name, start, length in view.phases:
        # A phase within another begins where that does, or under its name.
        text = _cut(visible(name), int(length / whole / _LETTER))
        shown = bool(text) and start / whole >= taken
        taken = start / whole + _LETTER * columns(text) if shown else taken
        names.append(
            {
                "x": view.axis.at(start), "y": 1, "xref": "x", "yref": "paper", "xanchor": "left",
                "yanchor": "bottom", "text": safe_label(text or name), "hovertext": safe_label(name),
                "showarrow": False, "name": f"phase:{view.axis.at(start + length)}",
                "font": {"size": 11, "color": LIGHT["soft"]}, "visible": shown,
            }
        )  # fmt: skip
    return names


def _cut(name: str, room: int) -> str:
    """A name within ``room`` columns; nothing where so little of it would stand there that it says nothing."""
    if columns(name) <= room:
        return name
    return f"{cut(name, room - 1)}…" if room >= _FEWEST_LETTERS else ""


def _limit_line(value: float) -> dict[str, Any]:
    line = {"color": LIGHT["limit"], "width": 1.4, "dash": "dash"}
    place = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": value, "y1": value}
    return {"type": "line", "name": "limit", "layer": "above", "line": line, **place}


def _limit_label(limit: Limit, near: bool) -> dict[str, Any]:
    """At the right end: above its line, or at the top edge with an arrow where it lies far above."""
    place: dict[str, Any] = {"y": 1, "yref": "paper", "yanchor": "top"}
    if near:
        place = {"y": limit.value, "yref": "y", "yanchor": "bottom"}
    return {
        "x": 1, "xref": "paper", "xanchor": "right", **place,
        "text": safe_label(limit.label if near else f"↑ {limit.label}"), "showarrow": False, "name": "limit",
        "font": {"size": 11, "color": LIGHT["limit"]}, "bgcolor": LIGHT["paper"], "borderpad": 1,
    }  # fmt: skip


def safe_label(text: str) -> str:
    """Plotly reads a subset of HTML in labels: none of it may come from a scenario. Long ones are cut."""
    text = visible(text)
    text = text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
