"""The numerical inverse of a count that only rises: Newton's step inside a bracket that only shrinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plg.patterns.base import Floats, Indices, Mask, TooManyPieces, distinct, slack

if TYPE_CHECKING:
    from plg.patterns.base import Curve

GRID = 256
"""Evenly spaced bracket ends over a curve, beside its own breaks."""
ROUNDS = 100


def brackets(curve: Curve) -> tuple[Floats, Floats]:
    """Times in order and the counts at them; between two of them lies what is looked for."""
    try:
        inner = curve.breaks()
    except TooManyPieces:
        inner = np.empty(0)  # the bracket is wider then, and bisection takes a few rounds more
    times = distinct(np.concatenate([inner, np.linspace(0.0, curve.duration, GRID + 1)]))
    return times, np.maximum.accumulate(curve.count(times))


def invert(curve: Curve, table: tuple[Floats, Floats], n: Floats) -> Floats:
    """The earliest ``t`` with ``count(t) >= n``.

    Each value is solved from its own bracket alone, so an answer never depends on what else was asked with it. Newton's
    step is taken where it stays inside the bracket and halving where it does not; both keep
    ``count(low) < n <= count(high)``.
    """
    shape, flat = np.shape(n), np.ravel(np.asarray(n, dtype=np.float64))
    times, counts = table
    flat = np.clip(flat, 0.0, counts[-1])
    index = np.clip(np.searchsorted(counts, flat - slack(flat), side="left"), 1, len(times) - 1)
    low, high = times[index - 1], times[index]
    rise = counts[index] - counts[index - 1]
    share = np.clip((flat - counts[index - 1]) / np.where(rise > 0, rise, 1.0), 0.0, 1.0)
    found = low + (high - low) * share
    todo = np.flatnonzero((flat > 0) & (rise > 0))
    found[flat <= 0] = 0.0
    for _ in range(ROUNDS):
        if not todo.size:
            break
        todo = todo[_improve(curve, flat, low, high, found, todo)]
    return found.reshape(shape)


def _improve(curve: Curve, n: Floats, low: Floats, high: Floats, found: Floats, todo: Indices) -> Mask:
    """One round over ``todo``, in place; returns which of them are not settled yet."""
    t = found[todo]
    error = curve.count(t) - n[todo]
    rate = curve.rate(t)
    reached = error >= -slack(n[todo])
    low[todo] = np.where(reached, low[todo], t)
    high[todo] = np.where(reached, t, high[todo])
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(rate > 0, t - error / rate, np.nan)
    inside = (step > low[todo]) & (step < high[todo])
    met = (np.abs(error) <= slack(n[todo])) & (rate > 0)  # where the rate is next to nothing a step would only stray
    step = np.where(inside, step, 0.5 * (low[todo] + high[todo]))
    grain = 1e-12 + 4e-16 * t
    settled = met | (np.abs(step - t) <= grain) | (high[todo] - low[todo] <= grain)
    found[todo] = np.where(met, t, step)
    return np.asarray(~settled)
