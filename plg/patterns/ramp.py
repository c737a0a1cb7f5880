"""From one rate to another."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import Curve, Floats, PatternError, within
from plg.patterns.straight import Straight

Shape = Literal["linear", "exponential", "logarithmic"]
_MOST_EXPONENT = 700.0
"""e to the power of more than 709 is infinite for a float."""


def ramp(start_rate: float, end_rate: float, duration: float, shape: Shape = "linear") -> Curve:
    """The ramp of the shape asked for. An exponential one needs both ends above zero."""
    if shape == "linear":
        return LinearRamp(start_rate, end_rate, duration)
    if shape == "logarithmic":
        return LogarithmicRamp(start_rate, end_rate, duration)
    if min(start_rate, end_rate) <= 0:
        raise PatternError("an exponential ramp needs both rates above zero")
    return ExponentialRamp(start_rate, end_rate, duration)


@dataclass(frozen=True)
class LinearRamp(Straight):
    """A straight line from ``start_rate`` a to ``end_rate`` b::

    b        /     rate(t)    = a + (b-a)·t/D
           /       count(t)   = a·t + (b-a)·t²/(2D)
    a    /         inverse(n) = 2n / (a + √(a² + 2n·(b-a)/D))
    """

    start_rate: float
    end_rate: float
    duration: float

    def segments(self) -> Floats:
        return np.array([[self.duration, self.start_rate, self.end_rate]])


@dataclass(frozen=True)
class _Bend(Curve):
    """What the bent ramps share: they rise or fall throughout, so any level is crossed once at most."""

    start_rate: float
    end_rate: float
    duration: float

    @abstractmethod
    def meets(self, level: float) -> float:
        """When the rate is ``level``, for a level between the two ends."""

    def peak(self) -> float:
        return max(self.start_rate, self.end_rate)

    def above(self, cap: float) -> tuple[Floats, Floats]:
        if self.peak() <= cap:
            return np.empty(0), np.empty(0)
        start, end = 0.0, self.duration
        if min(self.start_rate, self.end_rate) < cap:
            meeting = min(max(self.meets(cap), 0.0), self.duration)
            start, end = (meeting, end) if self.end_rate > self.start_rate else (start, meeting)
        return np.array([start]), np.array([end])


@dataclass(frozen=True)
class ExponentialRamp(_Bend):
    """The same factor every second, from a to b, both above zero::

    b         │    rate(t)    = a·e^(g·t),  g = ln(b/a)/D
             /     count(t)   = (rate(t) - a)/g = a·expm1(g·t)/g
    a   ____/      inverse(n) = log1p(n·g/a)/g

    Over hundreds of powers of ten e^(g·t) and n·g/a are beyond what a float can hold, though rates and counts are not:
    there the sums of logarithms serve instead.
    """

    @property
    def growth(self) -> float:
        """ln(b/a)/D, per second."""
        return (math.log(self.end_rate) - math.log(self.start_rate)) / self.duration

    @property
    def steep(self) -> bool:
        """Whether the factor from one end to the other is too large for a float."""
        return self.growth * self.duration > _MOST_EXPONENT

    def rate(self, t: Floats) -> Floats:
        t = within(t, self.duration)
        if self.steep:
            rate = np.exp(math.log(self.start_rate) + self.growth * t)
        else:
            rate = self.start_rate * np.exp(self.growth * t)
        return np.clip(rate, min(self.start_rate, self.end_rate), self.peak())

    def count(self, t: Floats) -> Floats:
        t, growth = within(t, self.duration), self.growth
        if growth == 0:
            return self.start_rate * t
        if self.steep:
            grown = np.exp(math.log(self.start_rate) + growth * t) - self.start_rate
            slow = self.start_rate * np.expm1(np.minimum(growth * t, 1.0))
            return np.where(growth * t > 1, grown, slow) / growth
        return np.asarray(self.start_rate * np.expm1(growth * t) / growth)

    def inverse(self, n: Floats) -> Floats:
        n, growth = np.asarray(n, dtype=np.float64), self.growth
        if growth == 0:
            return within(n / self.start_rate, self.duration)
        if self.steep:
            jobs = n * growth
            slow = np.log1p(np.minimum(jobs, self.start_rate) / self.start_rate)
            grown = np.log(np.maximum(jobs, self.start_rate) + self.start_rate) - math.log(self.start_rate)
            return within(np.where(jobs > self.start_rate, grown, slow) / growth, self.duration)
        inside = np.maximum(n * growth / self.start_rate, -1 + 1e-16)
        return within(np.log1p(inside) / growth, self.duration)

    def meets(self, level: float) -> float:
        return (math.log(level) - math.log(self.start_rate)) / self.growth

    def curvature(self, t: Floats) -> Floats:
        return np.full_like(t, self.growth**2 * self.peak())


@dataclass(frozen=True)
class LogarithmicRamp(_Bend):
    """Fast at first, then ever slower, from a to b; x = t/D, y = 1 + 9x::

    b     ____     rate(t)    = a + (b-a)·log10(y)
        /          count(t)   = D·(a·x + (b-a)·(y·ln(y) - 9x)/(9·ln 10))
    a  │           inverse    numerical
    """

    def rate(self, t: Floats) -> Floats:
        x = within(t, self.duration) / self.duration
        return np.maximum(self.start_rate + (self.end_rate - self.start_rate) * np.log10(1 + 9 * x), 0.0)

    def count(self, t: Floats) -> Floats:
        x = within(t, self.duration) / self.duration
        y = 1 + 9 * x
        bent = (y * np.log(y) - 9 * x) / (9 * math.log(10))
        return self.duration * (self.start_rate * x + (self.end_rate - self.start_rate) * bent)

    def meets(self, level: float) -> float:
        return self.duration * (10 ** ((level - self.start_rate) / (self.end_rate - self.start_rate)) - 1) / 9

    def curvature(self, t: Floats) -> Floats:
        steepest = 81 / math.log(10) / self.duration**2
        return np.full_like(t, abs(self.end_rate - self.start_rate) * steepest)
