"""Where in a run each named phase stands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import Curve, Floats, Mask, Pattern, TooManyPieces, laps
from plg.patterns.clip import Clip
from plg.patterns.named import Named
from plg.patterns.overlay import Overlay
from plg.patterns.sequence import Sequence

MOST_INTERVALS = 10_000
"""The most intervals of one phase that are listed."""


class TooManySpans(TooManyPieces):
    """A phase that stands too often in a run for its intervals to be listed."""


@dataclass(frozen=True)
class PhaseSpan:
    """A phase and all the places where it stands.

    It first starts at ``start`` and lasts ``duration`` seconds each time. Every ``(period, times)`` of ``loops``, from
    the outermost in, is a repeat around it, so it stands at ``start + Σ kᵢ·periodᵢ`` for all ``0 <= kᵢ < timesᵢ``.
    """

    name: str
    start: float
    duration: float
    loops: tuple[tuple[float, int], ...]
    curve: Curve

    @property
    def times(self) -> int:
        """How often the phase stands in the run."""
        product = 1
        for _, times in self.loops:
            product *= times
        return product

    @property
    def end(self) -> float:
        """When the last of its intervals ends."""
        return self.start + sum(period * (times - 1) for period, times in self.loops) + self.duration

    def intervals(self, most: int = MOST_INTERVALS) -> Floats:
        """Rows of ``(start, end)`` in seconds, in order; `TooManySpans` where there are more than ``most``."""
        if self.times > most:
            raise TooManySpans(f"phase {self.name!r} stands {self.times:,} times in the run; {most:,} can be listed")
        return self.first(self.times)

    def first(self, count: int) -> Floats:
        """Rows of ``(start, end)`` of its first ``count`` intervals, or of all where there are fewer."""
        number = np.arange(min(count, self.times))
        starts = np.full(len(number), self.start)
        for period, times in reversed(self.loops):
            number, lap = np.divmod(number, times)
            starts += lap * period
        return np.column_stack([starts, starts + self.duration])

    def contains(self, t: Floats) -> Mask:
        """Which of the times lie in one of its intervals, ends excluded; no list is made."""
        inside = np.asarray((t >= self.start) & (t < self.end))
        rest = np.asarray(t, dtype=np.float64) - self.start
        for period, times in self.loops:
            _, rest = laps(np.maximum(rest, 0.0), period, times)
        return inside & (rest < self.duration)


def spans(pattern: Pattern) -> tuple[PhaseSpan, ...]:
    """Every named phase, and those of the outermost sequence without a name as ``phase-1``, ``phase-2``, … in order.

    A phase comes before the phases inside it. A pattern that is no sequence is itself the one outermost phase.
    """
    curve = pattern if isinstance(pattern, Curve) else None
    if curve is None:
        raise TypeError("phases are known of patterns read from a scenario")
    found = list(_walk(curve))
    taken = {name for name, _ in found if name is not None}
    numbers = (f"phase-{i}" for i in range(1, len(found) + len(taken) + 2))
    free = (name for name in numbers if name not in taken)
    return tuple(PhaseSpan(next(free) if name is None else name, *place) for name, place in found)


_Found = tuple[str | None, tuple[float, float, tuple[tuple[float, int], ...], Curve]]


def _walk(root: Curve) -> Iterator[_Found]:
    """Depth first, without recursion: nesting is the user's and may be deep."""
    top = root.inner if isinstance(root, Named) else root
    outermost = isinstance(top, Sequence)
    stack: list[tuple[Curve, float, tuple[tuple[float, int], ...], bool]] = [(root, 0.0, (), not outermost)]
    while stack:
        curve, start, loops, listed = stack.pop()
        if isinstance(curve, Named):
            yield curve.name, (start, curve.duration, loops, curve.inner)
            stack.append((curve.inner, start, loops, False))
            continue
        if listed:
            yield None, (start, curve.duration, loops, curve)
        if isinstance(curve, Clip):
            stack.append((curve.inner, start, loops, False))
        elif isinstance(curve, Overlay):
            stack += [(layer, start, loops, False) for layer in curve.layers[::-1]]
        elif isinstance(curve, Sequence):
            inner = (*loops, (curve.period, curve.repeat)) if curve.repeat > 1 else loops
            places = zip(curve.parts, curve.starts.tolist(), strict=True)
            stack += [(part, start + at, inner, curve is top) for part, at in places][::-1]
