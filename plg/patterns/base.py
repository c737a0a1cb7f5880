"""What every pattern is: a rate curve with its exact integral and the inverse of that integral."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@runtime_checkable
class Pattern(Protocol):
    """A rate curve on ``[0, duration]``. Every method takes and returns a float64 array of any shape.

    Times are seconds from the start of the pattern, rates jobs per second, counts jobs.
    """

    @property
    def duration(self) -> float:
        """Length in seconds, positive and finite."""

    def rate(self, t: Floats) -> Floats:
        """Jobs per second at ``t``; right-continuous at a step."""

    def count(self, t: Floats) -> Floats:
        """The exact integral of `rate` from 0 to ``t``."""

    def inverse(self, n: Floats) -> Floats:
        """The earliest ``t`` with ``count(t) >= n``, for ``0 <= n <= count(duration)``."""

    def peak(self) -> float:
        """The largest rate anywhere on the pattern (a supremum where it is not reached)."""
