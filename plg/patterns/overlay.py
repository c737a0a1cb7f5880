"""Patterns at the same time."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import MERGEABLE, Curve, Floats, distinct, within
from plg.patterns.crossings import highest
from plg.patterns.named import Named
from plg.patterns.polyline import Polyline, cap_segments, stretches
from plg.patterns.straight import Pieces


@dataclass(frozen=True)
class Overlay(Curve):
    r"""The sum of its layers, as long as the longest; a layer that has ended adds nothing::

    layer 1  ____/\____        rate(t)  = Σ rate_i(t),  t < duration_i
    layer 2  ▔▔▔▔▔|            count(t) = Σ count_i(min(t, duration_i))
    sum      ▔▔▔▔▔\____        inverse: closed where every layer is straight pieces, else numerical
    """

    layers: tuple[Curve, ...]

    @cached_property
    def duration(self) -> float:
        return max(layer.duration for layer in self.layers)

    @cached_property
    def _flat(self) -> tuple[Curve, ...]:
        """The layers with names taken off and overlays among them opened."""
        flat: list[Curve] = []
        stack = list(self.layers)[::-1]
        while stack:
            layer = stack.pop()
            if isinstance(layer, Named):
                stack.append(layer.inner)
            elif isinstance(layer, Overlay):
                stack += layer.layers[::-1]
            else:
                flat.append(layer)
        return tuple(flat)

    @cached_property
    def _line(self) -> Polyline | None:
        rows = self.segments()
        return None if rows is None else Polyline(rows)

    def rate(self, t: Floats) -> Floats:
        t = within(t, self.duration)
        total = np.zeros_like(t)
        for layer in self._flat:
            alive = (t < layer.duration) | (layer.duration >= self.duration)
            total += np.where(alive, layer.rate(t), 0.0)
        return total

    def count(self, t: Floats) -> Floats:
        if self._line is not None:
            return self._line.count(t)
        t = within(t, self.duration)
        total = np.zeros_like(t)
        for layer in self._flat:
            total += layer.count(t)
        return total

    def inverse(self, n: Floats) -> Floats:
        return super().inverse(n) if self._line is None else np.minimum(self._line.inverse(n), self.duration)

    def peak(self) -> float:
        return self._peak

    @cached_property
    def _peak(self) -> float:
        if self._line is not None:
            return float(max(self._line.first.max(), self._line.last.max()))
        return highest(self)

    def breaks(self) -> Floats:
        ends = [layer.duration for layer in self._flat if layer.duration < self.duration]
        return distinct(np.concatenate([*(layer.breaks() for layer in self._flat), ends]))

    def curvature(self, t: Floats) -> Floats:
        total = np.zeros_like(t)
        for layer in self._flat:
            total += np.where(t < layer.duration, layer.curvature(within(t, layer.duration)), 0.0)
        return total

    def segments(self) -> Floats | None:
        return self._rows

    @cached_property
    def _rows(self) -> Floats | None:
        lines: list[Polyline] = []
        for layer in self._flat:
            rows = layer.segments()
            if rows is None or sum(len(line.starts) for line in lines) + len(rows) > MERGEABLE:
                return None
            lines.append(Polyline(rows))
        return _sum(lines, self.duration)

    def capped(self, cap: float) -> Curve:
        rows = self.segments()
        return super().capped(cap) if rows is None else Pieces(cap_segments(rows, cap))

    def above(self, cap: float) -> tuple[Floats, Floats]:
        rows = self.segments()
        return super().above(cap) if rows is None else stretches(rows, cap)


def _sum(lines: list[Polyline], duration: float) -> Floats:
    """The sum of straight pieces is straight between any two of their seams."""
    seams = distinct(np.concatenate([[0.0, duration], *(line.starts for line in lines), [x.duration for x in lines]]))
    seams = seams[seams <= duration]
    first, last = np.zeros(len(seams) - 1), np.zeros(len(seams) - 1)
    for line in lines:
        alive = seams[:-1] < line.duration
        index = np.searchsorted(line.starts, seams[:-1][alive], side="right") - 1
        for ends, into in ((seams[:-1], first), (seams[1:], last)):
            into[alive] += line.first[index] + line.slope[index] * (ends[alive] - line.starts[index])
    return np.column_stack([np.diff(seams), np.maximum(first, 0.0), np.maximum(last, 0.0)])
