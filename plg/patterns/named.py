"""A phase with a name."""

from __future__ import annotations

from functools import cached_property

from plg.dataclass import dataclass
from plg.patterns.base import Curve, Floats


@dataclass(frozen=True)
class Named(Curve):
    """Another pattern under a name; in everything else that pattern itself."""

    name: str
    inner: Curve

    @property
    def duration(self) -> float:
        return self.inner.duration

    @cached_property
    def total(self) -> float:
        return self.inner.total

    def rate(self, t: Floats) -> Floats:
        return self.inner.rate(t)

    def count(self, t: Floats) -> Floats:
        return self.inner.count(t)

    def inverse(self, n: Floats) -> Floats:
        return self.inner.inverse(n)

    def peak(self) -> float:
        return self.inner.peak()

    def breaks(self) -> Floats:
        return self.inner.breaks()

    def curvature(self, t: Floats) -> Floats:
        return self.inner.curvature(t)

    def segments(self) -> Floats | None:
        return self.inner.segments()

    def capped(self, cap: float) -> Curve:
        return self.inner.capped(cap)

    def above(self, cap: float) -> tuple[Floats, Floats]:
        return self.inner.above(cap)
