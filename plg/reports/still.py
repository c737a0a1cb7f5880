"""A chart as a picture that needs neither script nor style sheet: SVG with presentation attributes.

It draws the figure that Plotly is given, so the two forms show the same. Colours are given twice: as the attribute
``color``, and by a class ``k-ROLE`` for which the style sheet, where one is allowed, has the colour of the theme.

The picture is as wide as there is room and its letters keep their size: curves stand in an inner picture that is
stretched sideways, words beside it at a share of the width. Labels of quantities stand left of the picture, where a
figure has its margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from typing import Any

import numpy as np

from plg.dataclass import dataclass
from plg.escaping import markup
from plg.reports.sampling import outline
from plg.reports.scales import Place, place_of, x_ticks, y_ticks
from plg.reports.theme import LIGHT

_TOP, _BOTTOM = 24, 28
_WIDE = 1000
"""Units of the inner picture from left to right."""
_COLUMNS = 250
_DASHES = {"dot": "2 3", "dash": "7 5", "dashdot": "7 3 2 3"}
_MARGINS = (52, 16)
"""Pixels beside the picture in which labels stand."""
_BESIDE = 5
"""Letters of a quantity that have room in the margin."""
_NAMED = 80
"""Units that a phase takes whose name is written."""
_THIN = 'vector-effect="non-scaling-stroke"'
"""Keeps the width of a line in a picture that is stretched."""
Points = Sequence[tuple[float, float] | None]


def still(figure: Mapping[str, Any], moments: int = 5) -> str:
    """The picture, as wide as there is room and as high as the figure asks for, with ``moments`` on its axis of time
    or fewer."""
    layout = figure["layout"]
    height = int(layout["height"])
    plot = _Plot.of(layout, height, moments)
    left, right = _MARGINS
    return (
        f'<svg width="100%" height="{height}" overflow="visible" font-family="sans-serif" font-size="12" fill="none">\n'
        f'<svg x="-{left}" width="{left + 2}" height="{height}">{_paper(height)}</svg>'
        f'<svg x="100%" width="{right}" height="{height}" overflow="visible">{_paper(height, str(right))}</svg>'
        + _paper(height)
        + f'<svg width="100%" height="{height}" viewBox="0 0 {_WIDE} {height}" preserveAspectRatio="none">\n'
        + "".join([*plot.ground(layout), *plot.axes(), *plot.curves(figure["data"]), *plot.limits(layout)])
        + "</svg>\n"
        + "".join([*plot.labels(), *plot.signs(figure["data"]), *plot.notes(layout)])
        + "</svg>\n"
    )


def _paper(height: int, width: str = "100%") -> str:
    """The ground, without which a browser that is dark would show dark letters on it."""
    return f'<rect width="{width}" height="{height}" {ink("paper")} fill="currentColor"/>'


def swatch(trace: Mapping[str, Any]) -> str:
    """A line or a sign as the trace has it, for a legend."""
    role, line = trace["meta"]["role"], trace.get("line")
    sign = _sign(trace["marker"].get("symbol", "circle"), 12, 6, 4)
    if line and "lines" in trace["mode"]:
        sign = f'<path d="M1 6H23" stroke="currentColor" stroke-width="{min(6, line.get("width", 2))}"{_dashed(line)}/>'
    return f'<svg width="24" height="12" aria-hidden="true" fill="none">{_paper(12)}<g {ink(role)}>{sign}</g></svg>'


def patch(role: str) -> str:
    """A small square in the colour of a role, for a legend."""
    return f'<svg class="key" width="11" height="11" aria-hidden="true">{_paper(11)}{bar(role, 1, 9, 1, 9)}</svg>'


def bar(role: str, x: float, width: float, y: float, height: float) -> str:
    """A filled rectangle (px)."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" {ink(role)} fill="currentColor"/>'


def ink(role: str) -> str:
    """The attributes that make ``currentColor`` the colour of a role."""
    return f'class="k-{role}" color="{LIGHT[role]}"'


def _dashed(line: Mapping[str, Any]) -> str:
    dash = line.get("dash", "solid")
    return "" if dash == "solid" else f' stroke-dasharray="{_DASHES.get(dash) or dash.replace("px", "")}"'


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where values stand: ``x`` in units of the inner picture, ``y`` in pixels."""

    bottom: float
    x: Place
    x_end: float
    y: Place
    x_labels: Sequence[tuple[float, str]]
    y_labels: Sequence[tuple[float, str]]
    named: bool
    """Whether the rows are names, which stand above what they name."""

    @staticmethod
    def of(layout: Mapping[str, Any], height: int, moments: int) -> _Plot:
        bottom = float(height - _BOTTOM)
        return _Plot(
            bottom, place_of(layout["xaxis"], 0, _WIDE), layout["xaxis"]["range"][1],
            place_of(layout["yaxis"], bottom, _TOP), x_ticks(layout["xaxis"], most=moments),
            y_ticks(layout["yaxis"]), layout["yaxis"].get("type") == "category",
        )  # fmt: skip

    def ground(self, layout: Mapping[str, Any]) -> Iterator[str]:
        """Shaded phases."""
        for shape in layout.get("shapes", ()):
            if shape["type"] == "rect":
                start, end = self._inside(shape["x0"]), self._inside(shape["x1"])
                yield bar("band", round(start, 1), max(0.0, end - start), _TOP, self.bottom - _TOP) + "\n"

    def axes(self) -> Iterator[str]:
        """Grid lines, and the axes."""
        lines = "".join(f"M0 {self.y(value):.1f}H{_WIDE}" for value, _ in self.y_labels)
        yield f'<path d="{lines}" {ink("grid")} stroke="currentColor" {_THIN}/>\n'
        lines = "".join(f"M{self.x(value):.1f} {self.bottom:.1f}v4" for value, _ in self.x_labels)
        yield f'<path d="M0 {_TOP}V{self.bottom:.1f}H{_WIDE}{lines}" {ink("rule")} stroke="currentColor" {_THIN}/>\n'

    def labels(self) -> Iterator[str]:
        """Quantities left of the axis, or above their lines where they are too long for that; moments below it."""
        within = self.named or any(len(text) > _BESIDE for _, text in self.y_labels)
        for value, text in self.y_labels:
            if within:
                yield _haloed("2", self.y(value) - (11 if self.named else 4), unescape(text), "soft", "start")
            else:
                yield _text("-6", self.y(value) + 4, text, "soft", "end")
        for value, text in self.x_labels:
            yield _text(_share(self.x(value)), self.bottom + 18, text, "soft", "middle")

    def curves(self, data: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Curves with the areas below them, and round dots."""
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
                    f' stroke-width="{line.get("width", 1.8):g}" stroke-linejoin="round" {_THIN}{_dashed(line)}/>\n'
                )
            if "markers" in trace["mode"] and _dotted(trace["marker"]):
                yield _dots(trace, points)
            before = points

    def signs(self, data: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Signs of other shapes, which must not be stretched."""
        for trace in data:
            marker = trace["marker"]
            if "markers" not in trace["mode"] or _dotted(marker):
                continue
            points, sizes = self._points(trace), marker.get("size", 5)
            each = sizes if isinstance(sizes, list) else [sizes] * len(points)
            signs = "".join(
                f'<svg x="{_share(point[0])}" overflow="visible">{_sign(marker["symbol"], 0, point[1], size / 2)}</svg>'
                for point, size in zip(points, each, strict=True)
                if point is not None and size > 2
            )
            yield f"<g {ink(trace['meta']['role'])}>{signs}</g>\n"

    def limits(self, layout: Mapping[str, Any]) -> Iterator[str]:
        """The lines of guardrails."""
        for shape in layout.get("shapes", ()):
            if shape["type"] == "line":
                dash = 'stroke="currentColor" stroke-width="1.4" stroke-dasharray="7 5"'
                yield f'<path d="M0 {self.y(shape["y0"]):.1f}H{_WIDE}" {ink("limit")} {dash} {_THIN}/>\n'

    def notes(self, layout: Mapping[str, Any]) -> Iterator[str]:
        """Names of limits, and of phases, each cut where its phase or its room ends."""
        taken = 0.0
        for note in layout.get("annotations", ()):
            text = unescape(note.get("hovertext", note["text"]))
            if note["name"] == "limit":
                y = self.y(note["y"]) - 4 if note["yref"] == "y" else _TOP + 12
                yield _haloed("100%", y, text, "limit", "end")
                continue
            start, end = self._inside(note["x"]), self._inside(float(note["name"].removeprefix("phase:")))
            if end - start >= _NAMED and start >= taken - 0.5:
                taken = end
                room = f'x="{_share(start)}" width="{_share(end - start - 12)}" height="{_TOP}" overflow="hidden"'
                yield f"<svg {room}>{_text('0', _TOP - 7, text, 'soft', 'start')}</svg>\n"

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
        return min(max(self.x(x), 0.0), float(_WIDE))


def _share(x: float) -> str:
    return f"{100 * x / _WIDE:.2f}%"


def _text(x: str, y: float, text: str, role: str, anchor: str, more: str = "") -> str:
    place = f'x="{x}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} {ink(role)} fill="currentColor"{more}>{markup(text)}</text>\n'


def _haloed(x: str, y: float, text: str, role: str, anchor: str) -> str:
    """Words that can be read where curves are behind them."""
    halo = _text(x, y, text, "paper", anchor, ' stroke="currentColor" stroke-width="4" aria-hidden="true"')
    return halo + _text(x, y, text, role, anchor)


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


def _dotted(marker: Mapping[str, Any]) -> bool:
    return marker.get("symbol", "circle") == "circle" and not isinstance(marker.get("size"), list)


def _dots(trace: Mapping[str, Any], points: Points) -> str:
    marker = trace["marker"]
    places = "".join(f"M{point[0]:.1f} {point[1]:.1f}h0" for point in points if point is not None)
    line = f'stroke="currentColor" stroke-width="{marker.get("size", 5):g}" stroke-linecap="round" {_THIN}'
    return f'<path d="{places}" {ink(trace["meta"]["role"])} opacity="{marker.get("opacity", 1):g}" {line}/>\n'


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
