"""The same rate throughout."""

from __future__ import annotations

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import Curve, Floats, within


@dataclass(frozen=True)
class Steady(Curve):
    """One rate for the whole length; rate 0 is a pause::

    r ────────────     rate(t)    = base_rate
                       count(t)   = base_rate · t
    0            D     inverse(n) = n / base_rate
    """

    base_rate: float
    duration: float

    def rate(self, t: Floats) -> Floats:
        return np.full_like(np.asarray(t, dtype=np.float64), self.base_rate)

    def count(self, t: Floats) -> Floats:
        return self.base_rate * within(t, self.duration)

    def inverse(self, n: Floats) -> Floats:
        if self.base_rate == 0:
            return np.zeros_like(np.asarray(n, dtype=np.float64))
        return within(np.asarray(n) / self.base_rate, self.duration)

    def peak(self) -> float:
        return self.base_rate

    def segments(self) -> Floats:
        return np.array([[self.duration, self.base_rate, self.base_rate]])

    def capped(self, cap: float) -> Steady:
        return Steady(min(self.base_rate, cap), self.duration)
