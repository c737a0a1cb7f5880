"""Places and labels on the axes of a chart without Plotly, read off the axes that Plotly is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from plg.reports.axes import elapsed

Place = Callable[[Any], float]
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_CLOCK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)


def place_of(axis: Mapping[str, Any], low: float, high: float) -> Place:
    """Where a value of the axis stands between the pixels ``low`` and ``high``."""
    first, last = axis["range"]
    if axis.get("type") == "category":
        names = list(axis["categoryarray"])
        return lambda value: (
            low + ((names.index(value) if isinstance(value, str) else value) - first) / (last - first) * (high - low)
        )
    if axis.get("type") == "log":
        return lambda value: low + (math.log10(max(value, 1e-300)) - first) / (last - first) * (high - low)
    return lambda value: low + (value - first) / (last - first) * (high - low)


def y_ticks(axis: Mapping[str, Any]) -> Sequence[tuple[Any, str]]:
    """Values and their labels on an axis of quantities, or the names on one of names."""
    if axis.get("type") == "category":
        return [(name, name) for name in axis["categoryarray"]]
    first, last = axis["range"]
    suffix = axis.get("ticksuffix", "")
    if axis.get("type") == "log":
        values = [10.0**power for power in range(math.ceil(first), math.floor(last) + 1)]
    else:
        step = _step(last - first, int(axis.get("nticks", 6)))
        values = [step * number for number in range(math.ceil(first / step), math.floor(last / step + 1e-9) + 1)]
    return [(value, f"{float(f'{value:.6g}'):,.10g}{suffix}") for value in values]


def x_ticks(axis: Mapping[str, Any], most: int) -> Sequence[tuple[float, str]]:
    """Moments and their labels on an axis of time, ``most`` of them or fewer."""
    first, last = axis["range"]
    if axis["type"] == "linear":
        step = _step(last - first, most)
        moments = [step * number for number in range(math.floor((last - first) / step + 1e-9) + 1)]
        return [(moment, f"{float(f'{moment:.6g}'):g}s") for moment in moments]
    span = (last - first) / 1000
    days = math.ceil(span / most / 86_400) * 86_400
    step = next((step for step in _CLOCK_STEPS if span / step <= most), days)
    return [(first + 1000 * step * n, elapsed(step * n, span)) for n in range(math.floor(span / step + 1e-9) + 1)]


def _step(span: float, most: int) -> float:
    """The smallest round step that makes no more than ``most`` of it."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(step for step in _STEPS if step * power >= rough * (1 - 1e-9))
