"""A rate curve drawn in characters: filled blocks under a scale, phases below, the limit as a line across."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.reports.sampling import highest
from plg.reports.text_width import columns
from plg.units import format_duration, format_rate

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a drawing, and whether it may use colour."""

    eighths: str
    shed: str
    line: str
    upright: str
    corner: str
    floor: str
    seam: str
    colour: bool = False


def glyphs(ascii_only: bool, colour: bool) -> Glyphs:
    """Blocks and box lines, or pure ASCII."""
    if ascii_only:
        return Glyphs("...:::##", "%", "-", "|", "+", "-", "+", colour)
    return Glyphs("▁▂▃▄▅▆▇█", "░", "╌", "│", "└", "─", "┴", colour)


def draw(
    rates: Floats,
    limit: float | None,
    phases: Sequence[tuple[str, float]],
    duration: float,
    *,
    width: int,
    rows: int,
    pen: Glyphs,
    over: npt.NDArray[np.bool_] | None = None,
) -> list[str]:
    """Lines of a drawing ``rows`` high and at most ``width`` wide (or wide enough for 20 columns of the curve).

    ``rates`` (jobs/s) are spread evenly over ``duration`` (s); each column shows the highest of its own. ``phases`` are
    (name, start in seconds). What rises above ``limit`` is drawn as shed, and so is all of a column that is ``over``:
    that marks the rates of which nothing will be sent.
    """
    peak = float(rates.max()) if len(rates) else 0.0
    ceiling = max(peak, limit if limit is not None and limit <= 1.6 * peak else 0.0) or 1.0
    level = None if limit is None or limit > ceiling else int(limit / ceiling * rows * 8)
    middle = (rows - 1) // 2
    labels = {rows - 1: format_rate(ceiling), middle: format_rate(ceiling * (middle + 1) / rows)}
    if limit is not None and level is not None:
        labels[max(0, (level - 1) // 8)] = format_rate(limit)
    gutter = max(map(len, labels.values()))
    tops = highest(rates, max(20, width - gutter - 2))
    heights = np.ceil(np.round(tops / ceiling * rows * 8, 6)).astype(int)
    lost = np.zeros(len(tops), dtype=bool) if over is None else highest((~over).astype(float), len(tops)) == 0
    lines = [
        f"{labels.get(row, ''):>{gutter}} {pen.upright}" + _row(heights, lost, row, level, pen)
        for row in reversed(range(rows))
    ]
    return [*lines, *_floor(phases, duration, len(tops), gutter, pen)]


def _row(heights: npt.NDArray[np.int_], lost: npt.NDArray[np.bool_], row: int, level: int | None, pen: Glyphs) -> str:
    """One line of cells; neighbours of one kind share a colour code."""
    bottom = row * 8
    crossing = level is not None and bottom < level <= bottom + 8
    cells = []
    for height, gone in zip(heights.tolist(), lost.tolist(), strict=True):
        part = min(8, height - bottom)
        if part > 0 and (gone or (level is not None and bottom >= level)):
            cells.append((pen.shed, 33))
        elif part > 0:
            cells.append((pen.eighths[part - 1], 36))
        else:
            cells.append((pen.line, 31) if crossing else (" ", 0))
    while cells and cells[-1][0] == " ":
        cells.pop()
    if not pen.colour:
        return "".join(sign for sign, _ in cells)
    return _coloured(cells)


def _coloured(cells: Sequence[tuple[str, int]]) -> str:
    text, last = "", 0
    for sign, colour in cells:
        if colour != last:
            text += f"\x1b[{colour}m"
            last = colour
        text += sign
    return text + ("\x1b[0m" if last else "")


def _floor(phases: Sequence[tuple[str, float]], duration: float, width: int, gutter: int, pen: Glyphs) -> list[str]:
    """The time axis with a seam at each phase, the names that fit, and their starting times."""
    seams = [min(width - 1, int(start / duration * width)) if duration else 0 for _, start in phases]
    floor = [pen.floor] * width
    names, times = [" "] * width, [" "] * width
    end = format_duration(duration)
    _place(times, end, width - len(end))
    for (name, start), seam in zip(phases, seams, strict=True):
        if seam:
            floor[seam] = pen.seam
        _place(names, name, seam)
        _place(times, format_duration(start), seam)
    pad = " " * (gutter + 2)
    axis = " " * (gutter + 1) + pen.corner + "".join(floor)
    return [axis, (pad + "".join(names)).rstrip(), (pad + "".join(times)).rstrip()]


def _place(line: list[str], text: str, at: int) -> None:
    """Write ``text`` where it fits without touching what is there already; else not at all."""
    size = columns(text)
    stretch = line[max(0, at - 1) : at + size + 1]
    if size and at >= 0 and at + size <= len(line) and all(cell == " " for cell in stretch):
        line[at : at + size] = [text, *[""] * (size - 1)]
