"""Figures that are reckoned from the samples of a gauge: how fast it grows, and how often it turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from plg.judge.windows import Windows
from plg.runner.recording import Floats

FEWEST = 3
"""Samples that a slope is told from, at the least."""

Reckoned = tuple[Floats, Floats]
"""A figure a window (NaN where there is none), and how many samples it rests on."""


def slopes(times: Floats, values: Floats, windows: Windows) -> Reckoned:
    """How fast a gauge grows in each window, in its unit a second: the line of least squares through its samples."""
    owner = windows.of_times(times)
    inside = owner >= 0
    t, y, owner = times[inside], values[inside], owner[inside]

    def total(amounts: Floats) -> Floats:
        return np.bincount(owner, weights=amounts, minlength=windows.count).astype(np.float64)

    number = total(np.ones(len(t)))
    of = np.maximum(number, 1)
    middle, level = total(t) / of, total(y) / of
    apart, above = t - middle[owner], y - level[owner]
    spread = total(apart * apart)
    told = (number >= FEWEST) & (spread > 0)
    return np.divide(total(apart * above), spread, out=np.full(windows.count, np.nan), where=told), number


def turns(times: Floats, values: Floats, windows: Windows) -> Reckoned:
    """How often a gauge changes its direction in each window; NaN where it was never seen."""
    owner = windows.of_times(times)
    found, basis = np.full(windows.count, np.nan), np.zeros(windows.count)
    for window in np.unique(owner[owner >= 0]).tolist():
        own = values[owner == window]
        ways = np.sign(np.diff(own))
        ways = ways[ways != 0]
        found[window], basis[window] = np.count_nonzero(ways[1:] != ways[:-1]), len(own)
    return found, basis


RECKONERS: Mapping[str, Callable[[Floats, Floats, Windows], Reckoned]] = {"backlog_slope": slopes, "flaps": turns}
"""How each figure of `plg.measures.RECKONED_FROM` is reckoned from the moments and values of its gauge."""
