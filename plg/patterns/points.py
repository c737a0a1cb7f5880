"""A curve through given points."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import Floats, PatternError
from plg.patterns.straight import Straight


@dataclass(frozen=True)
class Points(Straight):
    r"""Through ``(second, rate)`` pairs from 0 to the last of them, which ends the pattern::

        linear     /\      between two points the straight line
                 /    \
        step     __|▔▔|    each rate until the next point; the last rate has no length
    """

    points: tuple[tuple[float, float], ...]
    interpolation: Literal["linear", "step"] = "linear"

    def __post_init__(self) -> None:
        seconds = [second for second, _ in self.points]
        if len(seconds) < 2:
            raise PatternError("points need at least two of them: the last one ends the pattern")
        if seconds[0] != 0:
            raise PatternError("the first point stands at 0s")
        if any(b <= a for a, b in pairwise(seconds)):
            raise PatternError("each point stands later than the one before it")

    @property
    def duration(self) -> float:
        return self.points[-1][0]

    def segments(self) -> Floats:
        seconds, rates = np.array(self.points, dtype=np.float64).T
        ends = rates[1:] if self.interpolation == "linear" else rates[:-1]
        return np.column_stack([np.diff(seconds), rates[:-1], ends])
