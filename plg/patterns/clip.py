"""A ceiling over any curve."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import Curve, Floats, Indices, distinct, slack, within


def clip(curve: Curve, cap: float) -> Curve:
    """The curve under ``min(rate, cap)``; the curve itself where it never exceeds the cap."""
    return curve if curve.peak() <= cap else Clip(curve, cap)


@dataclass(frozen=True)
class Clip(Curve):
    r"""``min(rate, cap)`` of any curve, from the stretches [sⱼ, eⱼ) where the rate exceeds the cap::

    cap  ___▁▁▁____▁▁___     outside them  count(t) = inner(t) - cut before t
           /   \__/  \       inside one    count(t) = count(sⱼ) + cap·(t - sⱼ)
                             cut of one = inner(eⱼ) - inner(sⱼ) - cap·(eⱼ - sⱼ)
    """

    inner: Curve
    cap: float

    @property
    def duration(self) -> float:
        return self.inner.duration

    @cached_property
    def _stretches(self) -> tuple[Floats, Floats]:
        return self.inner.above(self.cap)

    @cached_property
    def _knots(self) -> tuple[Floats, Floats, Floats]:
        """The ends of all stretches in order (s₀ e₀ s₁ e₁ … ∞), the clipped count there, and the cut before each."""
        starts, ends = self._stretches
        cut = self.inner.count(ends) - self.inner.count(starts) - self.cap * (ends - starts)
        lost = np.concatenate([[0.0], np.cumsum(np.maximum(cut, 0.0))])
        times = np.column_stack([starts, ends]).ravel()
        counts = np.column_stack([self.inner.count(starts) - lost[:-1], self.inner.count(ends) - lost[1:]]).ravel()
        return np.append(times, np.inf), np.append(np.maximum.accumulate(counts), np.inf), lost

    def rate(self, t: Floats) -> Floats:
        return np.minimum(self.inner.rate(t), self.cap)

    def count(self, t: Floats) -> Floats:
        t = within(t, self.duration)
        times, counts, lost = self._knots
        place: Indices = np.asarray(np.searchsorted(times, t, side="right"))
        inside = place % 2 == 1
        at = np.maximum(place - 1, 0)
        with np.errstate(invalid="ignore"):
            straight = counts[at] + self.cap * (t - times[at])
        return np.where(inside, straight, self.inner.count(t) - lost[place // 2])

    def inverse(self, n: Floats) -> Floats:
        n = np.clip(np.asarray(n, dtype=np.float64), 0.0, self.total)
        times, counts, lost = self._knots
        place: Indices = np.asarray(np.searchsorted(counts, n - slack(n), side="left"))
        inside = place % 2 == 1
        at = np.maximum(place - 1, 0)
        with np.errstate(invalid="ignore"):
            straight = times[at] + (n - counts[at]) / self.cap if self.cap > 0 else times[at]
        return within(np.where(inside, straight, self.inner.inverse(n + lost[place // 2])), self.duration)

    def peak(self) -> float:
        return min(self.inner.peak(), self.cap)

    def breaks(self) -> Floats:
        inner = self.inner.breaks()
        edges = self._knots[0]
        return distinct(np.concatenate([inner, edges[(edges > 0) & (edges < self.duration)]]))

    def curvature(self, t: Floats) -> Floats:
        inside = np.searchsorted(self._knots[0], t, side="right") % 2 == 1
        return np.where(inside, 0.0, self.inner.curvature(t))
