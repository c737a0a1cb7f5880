"""Straight pieces in a row: the form in which most patterns, and any sum or sequence of them, are evaluated."""

from __future__ import annotations

import numpy as np

from plg.patterns.base import Floats, Indices, slack, within


class Polyline:
    """A rate curve of straight pieces that may jump between them.

    Piece i starts at ``starts[i]``, lasts ``length[i]`` and goes from ``first[i]`` to ``last[i]``::

        rate        ___          slope s = (last - first) / length
               ____/   |   __    count(t) = cum[i] + first·u + s·u²/2,  u = t - starts[i]
              |        |__/      inverse: u = 2m / (first + √(first² + 2·s·m)),  m = n - cum[i]

    The inverse is the root of the quadratic in the form that does not cancel.
    """

    def __init__(self, segments: Floats, starts: Floats | None = None) -> None:
        self.length, self.first, self.last = np.ascontiguousarray(segments.T)
        ends = np.cumsum(self.length)
        self.starts = np.concatenate([[0.0], ends[:-1]]) if starts is None else starts
        self.duration = float(ends[-1]) if starts is None else float(starts[-1] + self.length[-1])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slope = (self.last - self.first) / self.length
        # A piece so short that its slope has no number holds no moment but its first.
        self.slope = np.where(np.isfinite(slope), slope, 0.0)
        self.cum = np.concatenate([[0.0], np.cumsum((self.first + self.last) * 0.5 * self.length)])
        self.total = float(self.cum[-1])

    def _locate(self, t: Floats) -> tuple[Indices, Floats]:
        t = within(t, self.duration)
        index: Indices = np.asarray(np.searchsorted(self.starts, t, side="right") - 1)
        return index, np.minimum(t - self.starts[index], self.length[index])

    def rate(self, t: Floats) -> Floats:
        """Jobs per second at ``t``."""
        index, u = self._locate(t)
        return np.asarray(np.maximum(self.first[index] + self.slope[index] * u, 0.0))

    def count(self, t: Floats) -> Floats:
        """Jobs until ``t``, never past the end of the piece that holds it."""
        index, u = self._locate(t)
        inside = self.cum[index] + u * (self.first[index] + 0.5 * self.slope[index] * u)
        return np.asarray(np.minimum(inside, self.cum[index + 1]))

    def inverse(self, n: Floats) -> Floats:
        """The earliest time with ``count >= n``."""
        n = np.clip(np.asarray(n, dtype=np.float64), 0.0, self.total)
        index = np.clip(np.searchsorted(self.cum, n - slack(n), side="left") - 1, 0, len(self.length) - 1)
        m = np.clip(n - self.cum[index], 0.0, self.cum[index + 1] - self.cum[index])
        first, slope = self.first[index], self.slope[index]
        root = np.sqrt(np.maximum(first * first + 2 * slope * m, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            u = 2 * m / (first + root)
        u = np.where(m > 0, u, 0.0)
        return np.asarray(self.starts[index] + np.minimum(u, self.length[index]))


def cap_segments(segments: Floats, cap: float) -> Floats:
    """The same pieces under ``min(rate, cap)``: a piece that crosses the cap falls into two."""
    length, first, last = segments.T
    crosses = (np.minimum(first, last) < cap) & (np.maximum(first, last) > cap)
    low = np.column_stack([length, np.minimum(first, cap), np.minimum(last, cap)])
    if not crosses.any():
        return low
    share = np.where(crosses, (cap - first) / np.where(crosses, last - first, 1.0), 1.0)
    head = np.column_stack([length * share, low[:, 1], np.where(crosses, cap, low[:, 2])])
    tail = np.column_stack([length * (1 - share), np.full(len(length), cap), low[:, 2]])
    both = np.stack([head, tail], axis=1).reshape(-1, 3)
    wanted = np.stack([np.ones(len(length), dtype=bool), crosses], axis=1).reshape(-1)
    return np.asarray(both[wanted])


def stretches(segments: Floats, cap: float) -> tuple[Floats, Floats]:
    """Starts and ends of the maximal stretches of the pieces above ``cap``."""
    length, first, last = segments.T
    ends = np.cumsum(length)
    starts = np.concatenate([[0.0], ends[:-1]])
    over = np.maximum(first, last) > cap
    gap = np.where(last != first, last - first, 1.0)
    meet = starts + length * np.clip((cap - first) / gap, 0.0, 1.0)
    return join(np.where(first > cap, starts, meet)[over], np.where(last > cap, ends, meet)[over])


def join(starts: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Stretches in order with those that touch (to rounding) made one and those without length left out."""
    wide = ends - starts > 1e-12
    starts, ends = starts[wide], ends[wide]
    if not len(starts):
        return starts, ends
    fresh = starts[1:] > ends[:-1] + 1e-12 * np.maximum(1.0, ends[:-1])
    return starts[np.concatenate([[True], fresh])], ends[np.concatenate([fresh, [True]])]
