"""From one rate to another in equal steps."""

from __future__ import annotations

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import MOST_PIECES, Floats, TooManyPieces
from plg.patterns.straight import Straight


@dataclass(frozen=True)
class Staircase(Straight):
    """N steps of D/N each, the first at a, the last at b; one step alone stands at a::

    b        ▁▔     step i  = ⌊t·N/D⌋
          ▁▔        rate(t) = a + (b-a)·i/(N-1)
    a  ▔            count and inverse: straight piece by straight piece
    """

    start_rate: float
    end_rate: float
    steps: int
    duration: float

    def __post_init__(self) -> None:
        if self.steps > MOST_PIECES:
            raise TooManyPieces(f"a staircase takes at most {MOST_PIECES:,} steps, not {self.steps:,}")

    def segments(self) -> Floats:
        edges = self.duration * np.arange(self.steps + 1) / self.steps
        rates = np.linspace(self.start_rate, self.end_rate, self.steps)
        return np.column_stack([np.diff(edges), rates, rates])
