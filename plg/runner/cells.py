"""Where a run is cut: the plain window grid, the grids expectations ask for, and the seams of the phases."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from plg.plan import Plan
from plg.runner.recording import COUNTERS, TIMES, Floats, Histograms, Recording, cell_edges
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
MOST_CELLS = 200_000
"""Beyond so many cells the grids of expectations and the seams of nested phases would outgrow the memory promised."""


class TooManyCells(ValueError):
    """The windows asked for are too small for the length of the plan."""


def window_width(duration: float) -> float:
    """Width (s) of the plain windows: the smallest round one that makes no more than 1,200 of them."""
    for width in _WIDTHS:
        if duration / width <= _MOST_WINDOWS:
            return width
    return duration / _MOST_WINDOWS


def edges_of(plan: Plan, expectations: Iterable[Expectation]) -> Floats:
    """The cell edges for a plan. Raises `TooManyCells`."""
    cuts: list[float] = []
    for phase in plan.phases:
        for start, end in phase.spans:
            cuts += (start, end)
    for expectation in expectations:
        if expectation.window:
            cuts += _grid(plan, expectation.window, expectation.subject.during)
    if len(cuts) > MOST_CELLS:
        raise TooManyCells(f"the expectations ask for {len(cuts):,} windows and seams; at most {MOST_CELLS:,} are kept")
    return cell_edges(plan.duration, window_width(plan.duration), cuts)


def _grid(plan: Plan, width: float, during: str | None) -> list[float]:
    spans = next((p.spans for p in plan.phases if p.name == during), None) if during else None
    cuts: list[float] = []
    for start, end in spans or ((0.0, plan.duration),):
        count = int((end - start) / width)
        if count > MOST_CELLS:
            raise TooManyCells(
                f"windows of {width:g} s over {end - start:g} s are {count:,}; at most {MOST_CELLS:,} are kept"
            )
        cuts += (start + np.arange(count + 1) * width).tolist()
    return cuts


def nothing_sent(plan: Plan, expectations: Iterable[Expectation], stop: str, detail: str) -> Recording:
    """The recording of a run that never began: every planned arrival is cancelled."""
    edges = edges_of(plan, expectations)
    cells = len(edges) - 1
    planned = plan.planned_in(edges)
    counters = {name: np.zeros(cells, dtype=np.int64) for name in COUNTERS} | {"planned": planned, "cancelled": planned}
    inner = np.minimum(edges, plan.duration)
    width = np.maximum(np.diff(inner), 1e-12)
    return Recording(
        edges=edges,
        window=window_width(plan.duration),
        duration=plan.duration,
        spans={phase.name: tuple(phase.spans) for phase in plan.phases},
        counters=counters,
        histograms={name: Histograms.empty(cells) for name in TIMES},
        sample_times=np.zeros(0),
        samples={name: np.zeros(0) for name in ("queue_depth", "queue_age", "cpu", "memory")},
        target_rate=np.diff(plan.target_count(inner)) / width,
        allowed_rate=np.diff(plan.allowed_count(inner)) / width,
        stop=stop,
        stop_detail=detail,
        errors=((detail, 0),) if stop == "target" else (),
    )
