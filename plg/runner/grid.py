"""Where a run is cut: the plain window grid, the grids expectations ask for, seams of phases and jumps of the rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.measures import MEASURES
from plg.plan import Plan
from plg.plan.watching import deadlines, hold_of
from plg.runner.recording import (
    Floats,
    Intervals,
    Ints,
    cell_edges,
)
from plg.scenario import Expectation

_WIDTHS = (
    0.05,
    0.1,
    0.2,
    0.25,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
    21600.0,
)
_MOST_WINDOWS = 1200
_MOST_JUMPS = 2000
"""Jumps of the rate at which a run is cut, so that a burst is counted by itself; more could not be told apart."""
MOST_CELLS = 200_000
"""Most cells of a run. With more, the grids of expectations and the seams of nested phases take too much memory."""


def window_width(duration: float) -> float:
    """Width (s) of the plain windows: the smallest round one that makes no more than 1,200 of them."""
    for width in _WIDTHS:
        if duration / width <= _MOST_WINDOWS:
            return width
    return duration / _MOST_WINDOWS


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The cells of a run and what the plan says of each: known before anything is sent.

    ``edges`` (s) has one entry more than there are cells, its last infinite; ``window`` is the width of the plain
    windows; ``planned`` counts arrivals, the rates (jobs/s) are means over the cell.
    """

    edges: Floats
    window: float
    duration: float
    spans: Mapping[str, Intervals]
    planned: Ints
    target_rate: Floats
    allowed_rate: Floats
    delayed: float = 0.0
    """Seconds after its sending at which the job is due that is delayed the longest."""

    @staticmethod
    def of(plan: Plan, expectations: Iterable[Expectation] = ()) -> Grid:
        """The grid for a plan and what is going to be asked of its run.

        Raises `ScenarioError` where an expectation's windows are too small for the length of the plan.
        """
        spans = {phase.name: tuple(phase.spans) for phase in plan.phases}
        cuts = [moment for intervals in spans.values() for interval in intervals for moment in interval]
        for expectation in expectations:
            if expectation.recovery is not None:
                cuts += _deadline_cuts(expectation, plan.duration, spans, MOST_CELLS - len(cuts))
            elif expectation.window:
                cuts += _window_cuts(expectation, plan.duration, spans, MOST_CELLS - len(cuts))
        cuts += plan.jumps(_MOST_JUMPS).tolist()
        window = window_width(plan.duration)
        edges = cell_edges(plan.duration, window, cuts)
        inner = np.minimum(edges, plan.duration)
        width = np.maximum(np.diff(inner), 1e-12)
        return Grid(
            edges,
            window,
            plan.duration,
            spans,
            plan.planned_in(edges),
            np.diff(plan.target_count(inner)) / width,
            np.diff(plan.allowed_count(inner)) / width,
            plan.scenario.longest_delay,
        )


def _window_cuts(expectation: Expectation, duration: float, spans: Mapping[str, Intervals], room: int) -> list[float]:
    width, during = expectation.window or duration, expectation.subject.during
    cuts: list[float] = []
    for start, end in (spans.get(during) if during else None) or ((0.0, duration),):
        count = int((end - start) / width) + 1
        if count > room - len(cuts):
            raise ScenarioError([_too_many(expectation, end - start)])
        cuts += (start + np.arange(count) * width).tolist()
    return cuts


def _deadline_cuts(line: Expectation, duration: float, spans: Mapping[str, Intervals], room: int) -> list[float]:
    """Of a line on times with a deadline: where the windows begin that it is read in."""
    if line.recovery is None or MEASURES[line.subject.measure].kind != "time":
        return []
    cuts: list[float] = []
    for start, deadline in deadlines(line.recovery, spans.get(line.recovery.phase, ())):
        count = int((min(deadline, duration) - start) / hold_of(line)) + 2
        if count > room - len(cuts):
            raise ScenarioError([_too_many(line, deadline - start)])
        cuts += (start + np.arange(max(0, count)) * hold_of(line)).tolist()
    return cuts


def _too_many(expectation: Expectation, span: float) -> Diagnostic:
    least = span / MOST_CELLS
    line = expectation.line
    return Diagnostic(
        "too-many-windows",
        f"`{expectation.text}` asks for {span / (expectation.window or span):,.0f} windows, "
        f"and with all that is asked no more than {MOST_CELLS:,} are kept",
        file=expectation.file or "<document>",
        span=Span(line, 1, line, 1) if line is not None else None,
        help=f"use windows well above {least * 1000:.3g}ms here, or ask `during` a shorter phase",
    )
