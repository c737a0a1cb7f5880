"""The curves of a run that goes on, drawn in characters: what is asked for against what is sent, and the queue."""

from __future__ import annotations

from collections.abc import Sequence

from plg.reports.ascii_plot import glyphs
from plg.reports.terminal import paint
from plg.reports.text_width import cut
from plg.units import format_duration, format_rate

POINTS = 240
"""Stretches of the run that are told apart; no terminal shows more columns."""
_ROWS, _QUEUE_ROWS = 8, 2
_LABEL = 12
"""Columns for the scale."""


class Curves:
    """What a run told of itself, by stretches of its length in seconds: bounded, however long it is."""

    def __init__(self, duration: float) -> None:
        self.duration = max(duration, 1e-9)
        self.target: list[float | None] = [None] * POINTS
        self.actual: list[float | None] = [None] * POINTS
        self.depth: list[float | None] = [None] * POINTS
        self.until = 0.0

    def foresee(self, target: Sequence[float]) -> None:
        """What is going to be asked for: one rate for each of the `POINTS`."""
        self.target = list(target)

    def add(self, t: float, target: float | None, actual: float | None, depth: float | None) -> None:
        """A moment of the run: rates in jobs a second, jobs in the queue; of one stretch the largest is kept."""
        at = min(POINTS - 1, int(t / self.duration * POINTS))
        for curve, value in ((self.target, target), (self.actual, actual), (self.depth, depth)):
            if value is not None:
                curve[at] = max(value, curve[at] or 0.0)
        self.until = max(self.until, t)


def drawn(curves: Curves, width: int, *, ascii_only: bool, colour: bool) -> list[str]:
    """Lines of a drawing at most ``width`` wide."""
    count = max(20, min(POINTS, width - _LABEL - 2))
    actual, target, depth = (_fit(curve, count) for curve in (curves.actual, curves.target, curves.depth))
    peak = max([value for value in (*actual, *target) if value is not None], default=0.0) or 1.0
    deepest = max([value for value in depth if value is not None], default=0.0)
    lines = _chart(actual, target, peak, _ROWS, ascii_only=ascii_only, colour=colour)
    labels = {0: format_rate(peak), _ROWS - 1: "0/s"}
    shown = [f"{labels.get(row, ''):>{_LABEL}} {line}" for row, line in enumerate(lines)]
    queue = _chart(depth, [None] * count, deepest or 1.0, _QUEUE_ROWS, ascii_only=ascii_only, colour=False)
    names = [f"queue {deepest:,.0f}", "0"]
    shown += [f"{name:>{_LABEL}} {line}" for name, line in zip(names, queue, strict=True)]
    end = format_duration(round(curves.duration, 1))
    shown.append(f"{'':>{_LABEL}} 0s{end:>{count - 2}}")
    key = "# sent, - asked for" if ascii_only else "█ sent, ─ asked for"
    return [cut(line, width) if not colour else line for line in [f"{'':>{_LABEL}} {key}", *shown]]


def _fit(curve: Sequence[float | None], count: int) -> list[float | None]:
    """As many columns, each with the largest value of its stretch; one that has none takes that before it."""
    found: list[float | None] = []
    for column in range(count):
        first, last = (
            column * len(curve) // count,
            max((column + 1) * len(curve) // count, column * len(curve) // count + 1),
        )
        known = [value for value in curve[first:last] if value is not None]
        found.append(max(known) if known else None)
    last_known = max((at for at, value in enumerate(found) if value is not None), default=-1)
    for at in range(1, last_known):
        if found[at] is None:
            found[at] = found[at - 1]
    return found


def _chart(
    values: Sequence[float | None],
    line: Sequence[float | None],
    peak: float,
    rows: int,
    *,
    ascii_only: bool,
    colour: bool,
) -> list[str]:
    pen = glyphs(ascii_only, colour)
    stroke = "-" if ascii_only else "─"
    drawing = []
    for row in range(rows - 1, -1, -1):
        cells = []
        for value, over in zip(values, line, strict=True):
            eighths = 0 if value is None else round(value / peak * rows * 8) - row * 8
            level = None if over is None else min(rows - 1, int(over / peak * rows - 1e-9))
            if eighths <= 0 or (level == row and eighths < 8):
                cells.append(stroke if level == row else " ")
            else:
                cells.append(pen.eighths[min(8, eighths) - 1])
        drawing.append(paint("".join(cells), "cyan", colour) if colour else "".join(cells))
    return drawing
