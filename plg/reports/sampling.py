"""Series made small enough to draw, without losing a peak or a trough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BLOCKS = "▁▂▃▄▅▆▇█"
_BLOCKS_ASCII = "_.-=+*%#"


def column(series: Mapping[str, Sequence[float | None]], name: str) -> Floats:
    """One column as an array, NaN where absent; all NaN when the whole column is missing."""
    values = series.get(name)
    if values is None:
        return np.full(len(series.get("t_s", ())), np.nan)
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def downsample(t: Floats, y: Floats, most: int) -> tuple[Floats, Floats]:
    """At most ``most`` (>= 4) points of the curve in order of time, the extremes of each stretch among them.

    The curve is cut into stretches of equal length in points; each gives its smallest and its largest value where they
    stood. The first and the last point stay; a stretch without any value keeps one NaN, so that gaps stay gaps.
    """
    size = len(t)
    if size <= most:
        return t, y
    edges = np.linspace(0, size, (most - 2) // 2 + 1).astype(np.intp)
    filled_low, filled_high = np.where(np.isnan(y), np.inf, y), np.where(np.isnan(y), -np.inf, y)
    picks = [
        pick
        for start, end in pairwise(edges)
        for pick in (start + int(filled_low[start:end].argmin()), start + int(filled_high[start:end].argmax()))
    ]
    index = np.unique(np.array([0, size - 1, *picks], dtype=np.intp))
    return t[index], y[index]


def outline(t: Floats, y: Floats, columns: int) -> tuple[Floats, Floats]:
    """The curve as it looks in a picture of so many ``columns``: of each, its first, lowest, highest and last point.

    Inner points of level stretches are left out, and those without a value are kept: gaps stay gaps.
    """
    level = (y[1:] == y[:-1]) | (np.isnan(y[1:]) & np.isnan(y[:-1]))
    kept = np.ones(len(y), dtype=np.bool_)
    kept[1:-1] = ~(level[1:] & level[:-1])
    t, y = t[kept], y[kept]
    if len(t) <= columns:
        return t, y
    place = np.floor((t - t[0]) / (t[-1] - t[0] or 1.0) * columns)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(place)) + 1, [len(t)]])
    low, high = np.where(np.isnan(y), np.inf, y), np.where(np.isnan(y), -np.inf, y)
    index = np.flatnonzero(np.isnan(y)).tolist()
    for start, end in pairwise(edges.tolist()):
        index += [start, start + int(low[start:end].argmin()), start + int(high[start:end].argmax()), end - 1]
    picked = np.unique(np.array(index, dtype=np.intp))
    return t[picked], y[picked]


def thin(t: Floats, y: Floats, most: int) -> tuple[Floats, Floats]:
    """At most ``most`` of the points, in order of time: of each stretch the highest, and beside it the first."""
    order = np.argsort(t, kind="stable")
    t, y = t[order], y[order]
    if len(t) <= most:
        return t, y
    edges = np.linspace(0, len(t), max(1, most // 2) + 1).astype(np.intp)
    picks = [pick for a, b in pairwise(edges) for pick in (a, a + int(y[a:b].argmax()))]
    index = np.unique(np.array(picks, dtype=np.intp))
    return t[index], y[index]


def highest(y: Floats, columns: int) -> Floats:
    """The largest value of each of ``columns`` equal stretches, NaN where there is none. Short input is stretched."""
    size = len(y)
    if size == 0:
        return np.full(columns, np.nan)
    starts = np.arange(columns) * size // columns
    ends = np.maximum(starts + 1, (np.arange(columns) + 1) * size // columns)
    filled = np.where(np.isnan(y), -np.inf, y)
    tops = np.array([filled[a:b].max() for a, b in zip(starts, ends, strict=True)])
    return np.where(np.isneginf(tops), np.nan, tops)


def sparkline(y: Floats, width: int, top: float | None = None, ascii_only: bool = False) -> str:
    """The curve as ``width`` block characters from 0 to ``top`` (default: its maximum), blank without a value.

    Each character shows the highest value of its stretch, so the peak is always a full block.
    """
    blocks = _BLOCKS_ASCII if ascii_only else _BLOCKS
    tops = highest(y, width)
    ceiling = top if top is not None else (np.nanmax(tops) if np.isfinite(tops).any() else 0.0)
    if ceiling <= 0:
        return "".join(" " if np.isnan(v) else blocks[0] for v in tops)
    heights = np.ceil(np.round(tops / ceiling * 8, 6))  # a hair above a step is none
    return "".join(" " if np.isnan(h) else blocks[min(7, max(0, int(h) - 1))] for h in heights)
