"""The base of the patterns that are straight pieces in a row."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import Curve, Floats
from plg.patterns.polyline import Polyline, cap_segments, stretches


class Straight(Curve):
    """A curve of straight pieces: a subclass gives `segments` and ``duration``; the rest has a closed form."""

    @abstractmethod
    def segments(self) -> Floats:
        """Rows of ``(length, rate at start, rate at end)``."""

    @cached_property
    def _line(self) -> Polyline:
        return Polyline(self.segments())

    def rate(self, t: Floats) -> Floats:
        return self._line.rate(t)

    def count(self, t: Floats) -> Floats:
        return self._line.count(t)

    def inverse(self, n: Floats) -> Floats:
        return np.minimum(self._line.inverse(n), self.duration)

    def peak(self) -> float:
        return float(self.segments()[:, 1:].max())

    def breaks(self) -> Floats:
        return self._line.starts[1:]

    def capped(self, cap: float) -> Curve:
        return self if self.peak() <= cap else Pieces(cap_segments(self.segments(), cap))

    def above(self, cap: float) -> tuple[Floats, Floats]:
        return stretches(self.segments(), cap)


@dataclass(frozen=True, eq=False)
class Pieces(Straight):
    """Straight pieces as they come: what a capped or a summed pattern of straight pieces is."""

    rows: Floats

    @cached_property
    def duration(self) -> float:
        return self._line.duration

    def segments(self) -> Floats:
        return self.rows
