"""What every pattern is: a rate curve with its exact integral and the inverse of that integral.

`Pattern` is what the rest of the program relies on. `Curve` is what a pattern is written as: it turns four things a
pattern must say of itself (``duration``, ``rate``, ``count``, ``peak``) into everything else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Number = TypeVar("Number", bound=np.number[Any])

MOST_PIECES = 1_000_000
"""The most breaks, draws or excursions one pattern may have; beyond it tables would no longer be small."""
MERGEABLE = 200_000
"""The most straight pieces that a pattern is unrolled into; beyond it arithmetic serves instead of a table."""


class PatternError(ValueError):
    """A pattern that has no sound meaning. ``path`` names the node of the document where it is known."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


class TooManyPieces(PatternError):
    """A pattern with more breaks, draws, excursions or intervals than can be listed."""


@runtime_checkable
class Pattern(Protocol):
    """A rate curve on ``[0, duration]``. Every method takes and returns a float64 array of any shape.

    Times are seconds from the start of the pattern, rates jobs per second, counts jobs. Rates are finite and never
    negative, so ``count`` never falls; ``count(0) = 0``. Times outside the pattern are taken as its nearest end.
    """

    @property
    def duration(self) -> float:
        """Length in seconds, positive and finite."""

    @property
    def total(self) -> float:
        """All jobs of the pattern: ``count(duration)``."""

    def rate(self, t: Floats) -> Floats:
        """Jobs per second at ``t``; right-continuous at a step."""

    def count(self, t: Floats) -> Floats:
        """The exact integral of `rate` from 0 to ``t``."""

    def breaks(self) -> Floats:
        """Times strictly inside the pattern at which the rate jumps or kinks, in order. Raises `TooManyPieces`."""

    def inverse(self, n: Floats) -> Floats:
        """The earliest ``t`` with ``count(t) >= n``, for ``0 <= n <= count(duration)``.

        Where the rate is zero for a while the count stands still; the earliest moment is the left end of that stretch.
        """

    def peak(self) -> float:
        """The largest rate anywhere on the pattern (a supremum where it is not reached)."""

    def capped(self, cap: float) -> Pattern:
        """The pattern whose rate is ``min(rate, cap)`` everywhere."""

    def above(self, cap: float) -> tuple[Floats, Floats]:
        """Starts and ends of the maximal stretches where the rate exceeds ``cap``, in order."""


class Curve(ABC):
    """A pattern with everything derivable derived.

    A subclass gives ``duration`` (a field or a property), `rate`, `count` and `peak`. It gives `breaks` where its rate
    jumps or kinks and `curvature` where it bends, and may replace the numerical `inverse` by a closed form.
    """

    if TYPE_CHECKING:  # a bare dataclass field could not stand in for an abstract property at run time

        @property
        def duration(self) -> float:
            """Length in seconds, positive and finite."""

    @abstractmethod
    def rate(self, t: Floats) -> Floats:
        """Jobs per second at ``t``; right-continuous at a step."""

    @abstractmethod
    def count(self, t: Floats) -> Floats:
        """The exact integral of `rate` from 0 to ``t``."""

    @abstractmethod
    def peak(self) -> float:
        """The largest rate anywhere on the pattern."""

    @cached_property
    def total(self) -> float:
        """All jobs of the pattern: ``count(duration)``."""
        return float(self.count(np.asarray(self.duration)))

    def breaks(self) -> Floats:
        """Times strictly inside the pattern at which the rate jumps or kinks, in order."""
        return np.empty(0)

    def curvature(self, t: Floats) -> Floats:
        """A bound on ``|rate''|`` over the smooth stretch that holds ``t``. Zero says: straight."""
        return np.zeros_like(t)

    def segments(self) -> Floats | None:
        """The pattern as straight pieces, rows of ``(length, rate at start, rate at end)``; None where it bends."""
        return None

    def inverse(self, n: Floats) -> Floats:
        """The earliest ``t`` with ``count(t) >= n``, found numerically (far below a microsecond)."""
        from plg.patterns.solve import invert  # the solver and the clip are written on curves: here, not above

        return invert(self, self._brackets, n)

    @cached_property
    def _brackets(self) -> tuple[Floats, Floats]:
        from plg.patterns.solve import brackets

        return brackets(self)

    def capped(self, cap: float) -> Curve:
        """The pattern whose rate is ``min(rate, cap)`` everywhere."""
        from plg.patterns.clip import clip

        return clip(self, cap)

    def above(self, cap: float) -> tuple[Floats, Floats]:
        """Starts and ends of the maximal stretches where the rate exceeds ``cap``, in order."""
        from plg.patterns.crossings import stretches_above

        return stretches_above(self, cap)


def within(t: Floats, duration: float) -> Floats:
    """``t`` as float64, taken into ``[0, duration]``."""
    return np.clip(np.asarray(t, dtype=np.float64), 0.0, duration)


def distinct(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The values in order, each once. `numpy.unique` loads masked arrays at its first use, which takes 8 ms."""
    found = np.sort(values, axis=None)
    kept = np.ones(len(found), dtype=bool)
    kept[1:] = found[1:] != found[:-1]
    return found[kept]


def slack(n: Floats | float) -> Floats:
    """How far two counts near ``n`` may differ and still be the same count written with rounding, in jobs.

    An arrival due exactly where the rate falls to zero would otherwise land on either side of the pause by chance.
    """
    return np.asarray(1e-12 + 4e-15 * np.abs(n))


def laps(t: Floats, period: float, most: int | None = None) -> tuple[Floats, Floats]:
    """Whole periods before ``t`` and the time since the last of them began.

    A seam, of the periods or of what stands within one, belongs to what comes after it. The rounding of a later lap
    must not undo that, so its time within the period is read a last bit late.
    """
    lap = np.floor(t / period * (1 + 1e-15))
    if most is not None:
        lap = np.minimum(lap, most - 1)
    rest = t - lap * period
    return lap, np.clip(np.where(lap > 0, rest + 4e-16 * t, rest), 0.0, period)
