"""A rate that leaps up for a moment, again and again."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import MERGEABLE, MOST_PIECES, Curve, Floats, PatternError, TooManyPieces, laps, slack, within
from plg.patterns.polyline import stretches


@dataclass(frozen=True)
class Burst(Curve):
    """``burst_rate`` for the first ``burst_duration`` of every ``burst_interval``, ``base_rate`` for the rest::

    burst  ▔|    ▔|        u = t mod interval, k = whole intervals before t
    base    |____ |____    rate(t)  = burst while u < burst_duration, else base
                           count(t) = k·A + burst·min(u, d) + base·max(u-d, 0)
                           A = burst·d + base·(interval-d); the inverse undoes the same steps
    """

    base_rate: float
    burst_rate: float
    burst_duration: float
    burst_interval: float
    duration: float

    def __post_init__(self) -> None:
        if not 0 < self.burst_duration <= self.burst_interval:
            raise PatternError("a burst must last longer than nothing and no longer than its interval")

    @property
    def _area(self) -> tuple[float, float]:
        """Jobs of one burst, and of one whole interval."""
        burst = self.burst_rate * self.burst_duration
        return burst, burst + self.base_rate * (self.burst_interval - self.burst_duration)

    def rate(self, t: Floats) -> Floats:
        _, u = laps(within(t, self.duration), self.burst_interval)
        hot = u < self.burst_duration * (1 - 1e-15)
        return np.where(np.where(np.asarray(t) < self.duration, hot, self._ends_hot), self.burst_rate, self.base_rate)

    @property
    def _ends_hot(self) -> bool:
        """Whether the pattern ends in a burst; its end belongs to what came before it."""
        last = math.ceil(self.duration / self.burst_interval * (1 - 1e-15)) - 1
        return self.duration - last * self.burst_interval <= self.burst_duration * (1 + 1e-15)

    def count(self, t: Floats) -> Floats:
        k, u = laps(within(t, self.duration), self.burst_interval)
        hot = np.minimum(u, self.burst_duration)
        return k * self._area[1] + self.burst_rate * hot + self.base_rate * (u - hot)

    def inverse(self, n: Floats) -> Floats:
        n = np.asarray(n, dtype=np.float64)
        burst, area = self._area
        if area == 0:
            return np.zeros_like(n)
        k = np.maximum(np.ceil((n - slack(n)) / area) - 1, 0.0)
        m = np.clip(n - k * area, 0.0, area)
        hot = np.minimum(m, burst) / self.burst_rate if self.burst_rate else np.zeros_like(m)
        early = m <= burst + slack(n)
        calm = (m - burst) / self.base_rate if self.base_rate else np.zeros_like(m)
        u = np.where(early & (burst > 0), hot, self.burst_duration + np.maximum(calm, 0.0))
        return np.where(n > 0, within(k * self.burst_interval + u, self.duration), 0.0)

    def peak(self) -> float:
        calm = self.base_rate if self.duration > self.burst_duration < self.burst_interval else 0.0
        return max(self.burst_rate, calm)

    def capped(self, cap: float) -> Burst:
        return replace(self, base_rate=min(self.base_rate, cap), burst_rate=min(self.burst_rate, cap))

    def segments(self) -> Floats | None:
        return self._unrolled() if 2 * self.duration / self.burst_interval <= MERGEABLE else None

    def breaks(self) -> Floats:
        return np.cumsum(self._unrolled()[:-1, 0])

    def above(self, cap: float) -> tuple[Floats, Floats]:
        return stretches(self._unrolled(), cap)

    def _unrolled(self) -> Floats:
        cycles = self.duration / self.burst_interval
        if cycles > MOST_PIECES:
            raise TooManyPieces(f"{cycles:,.0f} bursts are too many to list")
        lap = np.arange(np.ceil(cycles * (1 - 1e-15)))
        edges = np.column_stack([lap * self.burst_interval, lap * self.burst_interval + self.burst_duration]).ravel()
        lengths = np.diff(np.minimum(np.append(edges, self.duration), self.duration))
        rates = np.tile([self.burst_rate, self.base_rate], len(lap))
        return np.asarray(np.column_stack([lengths, rates, rates])[lengths > 0])
