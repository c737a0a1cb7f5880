"""Where a curve exceeds a level, and how high it gets: proven from its bend, not hoped for from samples.

On a smooth stretch of length h with ``|rate''| <= K`` a curve strays from its chord by at most ``K·h²/8`` and its slope
from the chord's by at most ``K·h/2``. A stretch is cut in two until one of the bounds decides it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from plg.patterns.base import MOST_PIECES, Floats, Mask, TooManyPieces
from plg.patterns.polyline import join

if TYPE_CHECKING:
    from plg.patterns.base import Curve

FINE = 1e-9
"""How much of the level a stretch may stray before it is decided by its middle alone."""
INWARD = 1e-9
"""Beside a break a stretch is read this share of its length inside too, and some last bits at least: off any jump."""


class _Stretches:
    """Smooth stretches of a curve, with the rates at both ends and a bound on how far they stray from the chord."""

    def __init__(self, curve: Curve, low: Floats, high: Floats, first: Floats, last: Floats) -> None:
        self.curve, self.low, self.high, self.first, self.last = curve, low, high, first, last
        self.bend = curve.curvature(0.5 * (low + high))
        self.stray = self.bend * (high - low) ** 2 / 8

    def take(self, mask: Mask) -> _Stretches:
        chosen = object.__new__(_Stretches)
        chosen.curve = self.curve
        for name in ("low", "high", "first", "last", "bend", "stray"):
            setattr(chosen, name, getattr(self, name)[mask])
        return chosen

    def halves(self) -> _Stretches:
        """Each cut in two. Between two breaks nothing jumps, so one reading serves both sides of the cut."""
        middle = 0.5 * (self.low + self.high)
        rate = self.curve.rate(middle)
        return _Stretches(
            self.curve,
            np.concatenate([self.low, middle]),
            np.concatenate([middle, self.high]),
            np.concatenate([self.first, rate]),
            np.concatenate([rate, self.last]),
        )


def _smoothly(inside: Floats, outermost: Sequence[Floats], change: Floats) -> Floats:
    """The first of the rates at the very end with no jump between it and that read just inside, else the latter."""
    found = inside
    for rate in reversed(outermost):
        rounding = 8 * np.spacing(np.maximum(inside, rate))
        found = np.where(np.abs(rate - inside) <= change + rounding, rate, found)
    return found


def _smooth(curve: Curve) -> _Stretches:
    edges = np.concatenate([[0.0], curve.breaks(), [curve.duration]])
    if len(edges) > MOST_PIECES:
        raise TooManyPieces(f"{len(edges):,} stretches are too many to examine")
    edges = edges[np.concatenate([[True], np.diff(edges) > 0])]
    low, high = edges[:-1], edges[1:]
    length = high - low
    inward = np.minimum(INWARD * length + 8 * np.spacing(high), 0.5 * length)
    work = _Stretches(curve, low, high, curve.rate(low + inward), curve.rate(high - inward))
    # What the curve may change from there to the very end: more than that is a jump, and belongs elsewhere.
    change = inward * (np.abs(work.last - work.first) / length + work.bend * length)
    # At a jump the rate is that behind it: the end of what stands before is one last bit away.
    work.first = _smoothly(work.first, (curve.rate(low),), change)
    work.last = _smoothly(work.last, (curve.rate(high), curve.rate(np.nextafter(high, low))), change)
    return work


def stretches_above(curve: Curve, level: float) -> tuple[Floats, Floats]:
    """Starts and ends of the maximal stretches where the rate exceeds ``level``, in order."""
    starts, ends = [np.empty(0)], [np.empty(0)]
    work, spent = _smooth(curve), 0
    while len(work.low):
        spent += len(work.low)
        top, bottom = np.maximum(work.first, work.last), np.minimum(work.first, work.last)
        under = top + work.stray <= level
        over = ~under & (bottom - work.stray > level)
        length = work.high - work.low
        rising = np.abs(work.last - work.first) >= work.bend * length**2 / 2
        crossing = ~under & ~over & rising & (bottom <= level) & (top > level)
        monotone = rising & ((top <= level) | (bottom > level))
        over |= ~under & monotone & (bottom > level)
        under |= monotone & (top <= level)
        fine = (work.stray <= FINE * max(level, 1.0)) if spent <= MOST_PIECES else np.ones(len(top), dtype=bool)
        vague = ~(under | over | crossing) & fine
        over |= vague & (0.5 * (work.first + work.last) > level)
        starts.append(work.low[over])
        ends.append(work.high[over])
        for low, high in [_crossed(work.take(crossing), level)] if crossing.any() else []:
            starts.append(low)
            ends.append(high)
        work = work.take(~(under | over | crossing | vague)).halves()
    low, high = np.concatenate(starts), np.concatenate(ends)
    order = np.argsort(low, kind="stable")
    return join(low[order], high[order])


def _crossed(work: _Stretches, level: float) -> tuple[Floats, Floats]:
    """The part above the level of stretches that cross it once, by bisection down to the last bit."""
    low, high = work.low.copy(), work.high.copy()
    rising = work.last > work.first
    for _ in range(200):
        middle = 0.5 * (low + high)
        if np.all((middle <= low) | (middle >= high)):
            break
        beyond = (work.curve.rate(middle) > level) == rising
        high, low = np.where(beyond, middle, high), np.where(beyond, low, middle)
    return np.where(rising, high, work.low), np.where(rising, work.high, low)


def highest(curve: Curve) -> float:
    """The largest rate of a curve, to one part in a billion."""
    work, best, spent = _smooth(curve), 0.0, 0
    while len(work.low):
        spent += len(work.low)
        top = np.maximum(work.first, work.last)
        best = max(best, float(top.max()))
        straight = np.abs(work.last - work.first) >= work.bend * (work.high - work.low) ** 2 / 2
        promising = (top + work.stray > best + FINE * max(best, 1.0)) & ~straight
        if spent > MOST_PIECES:
            return float((top + work.stray).max())
        work = work.take(promising).halves()
    return best
