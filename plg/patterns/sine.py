"""A wave around a rate."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import replace
from functools import cached_property

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import MOST_PIECES, Curve, Floats, TooManyPieces, laps, slack, within
from plg.patterns.polyline import join

TROUGH = -math.pi / 2
TURN = 2 * math.pi


@dataclass(frozen=True)
class Sine(Curve):
    r"""A sine of one period, cut at zero below and at ``ceiling`` above, from the angle ``phase`` on::

          ___ ceiling     θ        = 2πt/period + phase
         /   \            rate(t)  = min(ceiling, max(0, base_rate + amplitude·sin θ))
        /     \     /     count(t) = (W(θ) - W(phase))·period/2π
               \___/ 0    inverse    numerical, in W, within one turn

    W is the integral of the cut wave over the angle. One turn from trough to trough has at most five arcs: zero,
    rising wave, ceiling, falling wave, zero; on a wave W grows by ``base·Δθ - amplitude·Δcos θ``, on a flat arc by its
    rate times ``Δθ``.
    """

    base_rate: float
    amplitude: float
    period: float
    duration: float
    phase: float = 0.0
    ceiling: float = math.inf

    @cached_property
    def _turn(self) -> _Turn:
        return _Turn(self.base_rate, self.amplitude, self.ceiling)

    def _angle(self, t: Floats) -> Floats:
        """Angle from the trough before the start, so that it is never negative."""
        lap, rest = laps(within(t, self.duration), self.period)
        return self._origin + TURN * (lap + rest / self.period)

    @cached_property
    def _origin(self) -> float:
        return (self.phase - TROUGH) % TURN

    @cached_property
    def _before(self) -> float:
        return self._turn.area(self._origin)

    def rate(self, t: Floats) -> Floats:
        return self._turn.rate(self._angle(t))

    def count(self, t: Floats) -> Floats:
        t = within(t, self.duration)
        grown = (self._over_turns(t) - self._before) * (self.period / TURN)
        return np.where(t > 0, np.maximum(grown, 0.0), 0.0)

    def _over_turns(self, t: Floats) -> Floats:
        whole, rest = laps(t, self.period)
        angle = self._origin + TURN * rest / self.period
        over = angle >= TURN
        return (whole + over) * self._turn.total + self._turn.count(np.where(over, angle - TURN, angle))

    @cached_property
    def total(self) -> float:
        whole = math.floor(self.duration / self.period * (1 + 1e-15))
        angle = self._origin + TURN * max(self.duration - whole * self.period, 0.0) / self.period
        if angle >= TURN:
            whole, angle = whole + 1, angle - TURN
        area = whole * self._turn.total + self._turn.area(angle) - self._before
        return max(area * (self.period / TURN), 0.0)

    def inverse(self, n: Floats) -> Floats:
        n = np.clip(np.asarray(n, dtype=np.float64), 0.0, self.total)
        if self._turn.total == 0:
            return np.zeros_like(n)
        area = n * (TURN / self.period) + self._before
        turn = np.maximum(np.ceil((area - slack(area)) / self._turn.total) - 1, 0.0)
        angle = TURN * turn + self._turn.inverse(area - turn * self._turn.total)
        return np.where(n > 0, within((angle - self._origin) * (self.period / TURN), self.duration), 0.0)

    def peak(self) -> float:
        start = self._origin
        crest = math.pi if start <= math.pi else math.pi + TURN
        if start + TURN * self.duration / self.period >= crest:
            return max(0.0, min(self.base_rate + abs(self.amplitude), self.ceiling))
        return float(np.max(self.rate(np.array([0.0, self.duration]))))

    def capped(self, cap: float) -> Sine:
        return replace(self, ceiling=min(cap, self.ceiling))

    def curvature(self, t: Floats) -> Floats:
        return np.full_like(t, self.amplitude * (TURN / self.period) ** 2)

    def breaks(self) -> Floats:
        return self._times(self._turn.breaks())

    def above(self, cap: float) -> tuple[Floats, Floats]:
        if cap >= self.peak():
            return np.empty(0), np.empty(0)
        half = math.acos(min(1.0, max(-1.0, (cap - self.base_rate) / self.amplitude))) if self.amplitude else math.pi
        middles = self._all_turns(math.pi)
        width = half * self.period / TURN
        return join(np.maximum(middles - width, 0.0), np.minimum(middles + width, self.duration))

    def _times(self, angles: Floats) -> Floats:
        """When the wave stands at these angles from the trough, strictly inside the pattern."""
        times = np.sort(np.concatenate([self._all_turns(float(angle)) for angle in angles] or [np.empty(0)]))
        return np.asarray(times[(times > 0) & (times < self.duration)])

    def _all_turns(self, angle: float) -> Floats:
        turns = self.duration / self.period
        if turns > MOST_PIECES:
            raise TooManyPieces(f"a sine of {turns:,.0f} periods has too many to list")
        lap = np.arange(-1.0, math.ceil(turns) + 2)
        return (lap + (angle - self._origin) / TURN) * self.period


class _Turn(Curve):
    """One turn of the cut wave over the angle from its trough: rate and integral per radian."""

    def __init__(self, base: float, amplitude: float, ceiling: float) -> None:
        self._base, self._amplitude, self._ceiling = base, amplitude, ceiling
        light = math.pi - self._half(ceiling - base)  # half the arc around the crest where it is above the ceiling
        dark = min(self._half(-base), math.pi - light)  # half the arc around the trough where it is below zero
        self._edges = (0.0, dark, math.pi - light, math.pi + light, TURN - dark, TURN)
        self._flat = (0.0, math.nan, ceiling, math.nan, 0.0)  # the rate of each arc; of a wave it is none
        sums = [0.0]
        for arc in range(5):
            sums.append(sums[-1] + max(self._grown(arc, self._edges[arc + 1]), 0.0))
        self._sums = tuple(sums)

    def _half(self, level: float) -> float:
        """Angle from the trough at which ``-amplitude·cos`` rises through ``level``."""
        if self._amplitude == 0:
            return math.pi if level > 0 else 0.0
        return math.acos(min(1.0, max(-1.0, -level / self._amplitude)))

    def _grown(self, arc: int, angle: float) -> float:
        start, flat = self._edges[arc], self._flat[arc]
        if angle == start:
            return 0.0
        if math.isnan(flat):
            return self._base * (angle - start) - self._amplitude * (math.sin(angle) - math.sin(start))
        return flat * (angle - start)

    def area(self, angle: float) -> float:
        """The integral from the trough to one angle: `count` without the cost of an array."""
        arc = min(max(bisect_right(self._edges, angle) - 1, 0), 4)
        return min(self._sums[arc] + max(self._grown(arc, angle), 0.0), self._sums[arc + 1])

    @property
    def duration(self) -> float:
        return TURN

    @cached_property
    def total(self) -> float:
        return self._sums[-1]

    @cached_property
    def _table(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self._edges), np.array(self._flat), np.array(self._sums)

    def rate(self, t: Floats) -> Floats:
        return np.asarray(np.clip(self._base - self._amplitude * np.cos(t), 0.0, self._ceiling))

    def count(self, t: Floats) -> Floats:
        edges, flats, sums = self._table
        arc = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, 4)
        start, flat = edges[arc], flats[arc]
        wave = self._base * (t - start) - self._amplitude * (np.sin(t) - np.sin(start))
        with np.errstate(invalid="ignore"):
            level = flat * (t - start)
        grown = np.where(np.isnan(flat), wave, level)
        return np.asarray(np.clip(sums[arc] + grown, sums[arc], sums[arc + 1]))

    def peak(self) -> float:
        return max(0.0, min(self._base + self._amplitude, self._ceiling))

    def breaks(self) -> Floats:
        return self._table[0][1:-1]
