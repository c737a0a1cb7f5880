"""A chart as a picture that needs neither script nor style sheet: SVG with presentation attributes.

It draws the figure that Plotly is given, so the two forms show the same. Colours are given twice: as the attribute
``color``, and by a class ``k-ROLE`` for which the style sheet, where one is allowed, has the colour of the theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

import numpy as np

from plg.escaping import markup
from plg.reports.sampling import outline
from plg.reports.scales import Place, place_of, x_ticks, y_ticks
from plg.reports.theme import LIGHT

_RIGHT, _TOP, _BOTTOM = 12, 24, 28
_COLUMNS = 250
_DASHES = {"dot": "2 3", "dash": "7 5", "dashdot": "7 3 2 3"}
_LETTER = 6.2
"""Width of a letter (px) at the size of the labels, on average."""
Points = Sequence[tuple[float, float] | None]


def still(figure: Mapping[str, Any], width: int) -> str:
    """The picture ``width`` pixels wide, or as wide as there is room, in the height that the figure asks for."""
    layout = figure["layout"]
    height = int(layout["height"])
    plot = _Plot.of(layout, width, height)
    return (
        f'<svg width="100%" height="{height}" viewBox="0 0 {width} {height}" preserveAspectRatio="xMinYMin meet"'
        ' font-family="sans-serif" font-size="12" fill="none">\n'
        + "".join([*plot.ground(layout), *plot.axes(), *plot.traces(figure["data"]), *plot.notes(layout)])
        + "</svg>\n"
    )


def swatch(trace: Mapping[str, Any]) -> str:
    """A line or a sign as the trace has it, for a legend."""
    role, line = trace["meta"]["role"], trace.get("line")
    sign = _sign(trace["marker"].get("symbol", "circle"), 12, 6, 4)
    if line and "lines" in trace["mode"]:
        sign = f'<path d="M1 6H23" stroke="currentColor" stroke-width="{min(6, line.get("width", 2))}"{_dashed(line)}/>'
    return f'<svg width="24" height="12" aria-hidden="true" fill="none" {ink(role)}>{sign}</svg>'


def patch(role: str) -> str:
    """A small square in the colour of a role, for a legend."""
    return f'<svg class="key" width="11" height="11" aria-hidden="true">{bar(role, 0, 11, 0, 11)}</svg>'


def bar(role: str, x: float, width: float, y: float, height: float) -> str:
    """A filled rectangle (px)."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" {ink(role)} fill="currentColor"/>'


def ink(role: str) -> str:
    """The attributes that make ``currentColor`` the colour of a role."""
    return f'class="k-{role}" color="{LIGHT[role]}"'


def _dashed(line: Mapping[str, Any]) -> str:
    dash = _DASHES.get(line.get("dash", ""))
    return f' stroke-dasharray="{dash}"' if dash else ""


@dataclass(frozen=True, slots=True)
class _Plot:
    """The rectangle that curves are drawn in, and where values stand in it."""

    left: float
    right: float
    bottom: float
    x: Place
    x_end: float
    y: Place
    x_labels: Sequence[tuple[float, str]]
    y_labels: Sequence[tuple[float, str]]

    @staticmethod
    def of(layout: Mapping[str, Any], width: int, height: int) -> _Plot:
        labels = y_ticks(layout["yaxis"])
        left = 12 + max((len(text) for _, text in labels), default=0) * 1.25 * _LETTER
        right, bottom = float(width - _RIGHT), float(height - _BOTTOM)
        return _Plot(
            left, right, bottom, place_of(layout["xaxis"], left, right), layout["xaxis"]["range"][1],
            place_of(layout["yaxis"], bottom, _TOP),
            x_ticks(layout["xaxis"], most=max(3, int((right - left) / 90))), labels,
        )  # fmt: skip

    def ground(self, layout: Mapping[str, Any]) -> Iterator[str]:
        """Shaded phases."""
        for shape in layout.get("shapes", ()):
            if shape["type"] == "rect":
                start, end = self._inside(shape["x0"]), self._inside(shape["x1"])
                yield bar("band", round(start, 1), max(0.0, end - start), _TOP, self.bottom - _TOP) + "\n"

    def axes(self) -> Iterator[str]:
        """Grid lines with their values, and the axis of time."""
        lines = "".join(f"M{self.left:.1f} {self.y(value):.1f}H{self.right:.1f}" for value, _ in self.y_labels)
        yield f'<path d="{lines}" {ink("grid")} stroke="currentColor"/>\n'
        for value, text in self.y_labels:
            yield _text(self.left - 6, self.y(value) + 4, text, "soft", "end")
        lines = "".join(f"M{self.x(value):.1f} {self.bottom:.1f}v4" for value, _ in self.x_labels)
        yield f'<path d="M{self.left:.1f} {_TOP}V{self.bottom:.1f}H{self.right:.1f}{lines}" {ink("rule")}'
        yield ' stroke="currentColor"/>\n'
        for value, text in self.x_labels:
            x = self.x(value)
            half = len(text) * _LETTER / 2
            anchor = "end" if x + half > self.right + _RIGHT else "middle"
            yield _text(min(x, self.right + _RIGHT), self.bottom + 18, text, "soft", anchor)

    def traces(self, data: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Curves with the areas below them, and signs."""
        before: Points = ()
        for trace in data:
            points = self._points(trace)
            stepped = trace.get("line", {}).get("shape") == "hv"
            if trace.get("fill"):
                role, share = trace["meta"]["area"], trace["meta"]["fill"]
                path = self._area(points, before if trace["fill"] == "tonexty" else (), stepped)
                yield f'<path d="{path}" {ink(role)} fill="currentColor" fill-opacity="{share:g}"/>\n'
            if "lines" in trace["mode"]:
                line = trace["line"]
                yield (
                    f'<path d="{_path(points, stepped)}" {ink(trace["meta"]["role"])} stroke="currentColor"'
                    f' stroke-width="{line.get("width", 1.8):g}" stroke-linejoin="round"{_dashed(line)}/>\n'
                )
            if "markers" in trace["mode"]:
                yield _signs(trace, points)
            before = points

    def _points(self, trace: Mapping[str, Any]) -> Points:
        x, y = trace["x"], trace["y"]
        if "lines" in trace["mode"] and not any(isinstance(value, str) for value in y):
            kept = outline(np.array(x, float), np.array([np.nan if v is None else v for v in y]), _COLUMNS)
            x, y = kept[0].tolist(), [None if v != v else v for v in kept[1].tolist()]
        # A level goes on to the edge; other curves end with their last point inside.
        end = math.inf if trace.get("line", {}).get("shape") == "hv" else self.x_end
        return [
            None if a is None or b is None or a > end else (self._inside(a), min(max(self.y(b), 0.0), self.bottom))
            for a, b in zip(x, y, strict=True)
        ]

    def _area(self, points: Points, before: Points, stepped: bool) -> str:
        """From the curve down to the axis, or to the curve ``before`` it."""
        known = [point for point in points if point is not None]
        if not known:
            return ""
        lower = _path([point for point in reversed(before) if point], stepped, turned=True)
        end = f"V{self.bottom:.1f}H{known[0][0]:.1f}" if not lower else f"L{lower[1:]}"
        return f"{_path(known, stepped)}{end}Z"

    def _inside(self, x: Any) -> float:
        return min(max(self.x(x), self.left), self.right)

    def notes(self, layout: Mapping[str, Any]) -> Iterator[str]:
        """Limits, and names of phases where they fit."""
        for shape in layout.get("shapes", ()):
            if shape["type"] == "line":
                path = f"M{self.left:.1f} {self.y(shape['y0']):.1f}H{self.right:.1f}"
                dash = 'stroke="currentColor" stroke-width="1.4" stroke-dasharray="7 5"'
                yield f'<path d="{path}" {ink("limit")} {dash}/>\n'
        taken = 0.0
        for note in layout.get("annotations", ()):
            text = unescape(note["text"])
            if note["name"] == "limit":
                near = note["yref"] == "y"
                yield _text(self.right - 2, self.y(note["y"]) - 4 if near else _TOP + 12, text, "limit", "end")
                continue
            start, end = self._inside(note["x"]), self._inside(float(note["name"].removeprefix("phase:")))
            if min(end - start, self.right - taken) > 4 + _LETTER * len(text) and start >= taken:
                taken = start + 4 + _LETTER * len(text)
                yield _text(start, _TOP - 7, text, "soft", "start")


def _text(x: float, y: float, text: str, role: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {ink(role)} fill="currentColor">{markup(text)}</text>\n'
    )


def _path(points: Points, stepped: bool, turned: bool = False) -> str:
    """Lines from point to point; a missing one is a gap. Steps hold each height until the next point, or ``turned``
    (going back) take on the next one's height before they go there."""
    parts, last = [], None
    for point in points:
        if point is not None:
            x, y = f"{point[0]:.1f}", f"{point[1]:.1f}"
            if last is None:
                parts.append(f"M{x} {y}")
            elif stepped:
                parts.append(f"V{y}H{x}" if turned else f"H{x}V{y}")
            else:
                parts.append(f"L{x} {y}")
        last = point
    return "".join(parts)


def _signs(trace: Mapping[str, Any], points: Points) -> str:
    marker = trace["marker"]
    symbol, sizes = marker.get("symbol", "circle"), marker.get("size", 5)
    if symbol == "circle" and not isinstance(sizes, list):
        places = "".join(f"M{point[0]:.1f} {point[1]:.1f}h0" for point in points if point is not None)
        signs = f'<path d="{places}" stroke="currentColor" stroke-width="{sizes:g}" stroke-linecap="round"/>'
    else:
        each = sizes if isinstance(sizes, list) else [sizes] * len(points)
        signs = "".join(
            _sign(symbol, *point, size / 2)
            for point, size in zip(points, each, strict=True)
            if point is not None and size > 2
        )
    return f'<g {ink(trace["meta"]["role"])} opacity="{marker.get("opacity", 1):g}">{signs}</g>\n'


def _sign(symbol: str, x: float, y: float, half: float) -> str:
    """A sign around a place."""
    if symbol == "circle":
        width = f'stroke-width="{2 * half:g}" stroke-linecap="round"'
        return f'<path d="M{x:.1f} {y:.1f}h0" stroke="currentColor" {width}/>'
    if symbol == "x":
        d = f"M{x - half:.1f} {y - half:.1f}l{2 * half:g} {2 * half:g}m0 {-2 * half:g}l{-2 * half:g} {2 * half:g}"
        return f'<path d="{d}" stroke="currentColor" stroke-width="3"/>'
    shape = {
        "triangle-down": f"h{2 * half:g}l{-half:g} {1.7 * half:g}z",
        "diamond": f"m{half:g} {-half / 2:g}l{half:g} {1.5 * half:g}l{-half:g} {half:g}l{-half:g} {-half:g}z",
    }.get(symbol, f"h{2 * half:g}v{2 * half:g}h{-2 * half:g}z")
    return f'<path d="M{x - half:.1f} {y - half:.1f}{shape}" fill="currentColor"/>'
