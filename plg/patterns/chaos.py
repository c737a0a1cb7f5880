"""A rate drawn afresh every period."""

from __future__ import annotations

import math

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import MOST_PIECES, Floats, TooManyPieces
from plg.patterns.draws import units
from plg.patterns.straight import Straight


@dataclass(frozen=True)
class Chaos(Straight):
    """A uniform draw between ``base_rate`` and ``max_rate`` each period, the same on every machine for one seed::

    max  ▔  _         draw i  = uᵢ in [0, 1): draw i of the seed (see `plg.patterns.draws`)
          _▔ ▔_       rate(t) = base + (max-base)·uᵢ,  i = ⌊t/period⌋
    base     ▔  _     the last draw is cut short where the periods do not fill the length
    """

    base_rate: float
    max_rate: float
    period: float
    duration: float
    seed: int = 0

    def __post_init__(self) -> None:
        if self.duration / self.period > MOST_PIECES:
            raise TooManyPieces(f"chaos takes at most {MOST_PIECES:,} periods, not {self.duration / self.period:,.0f}")

    def segments(self) -> Floats:
        draws = max(1, math.ceil(self.duration / self.period * (1 - 1e-12)))
        edges = np.append(np.arange(draws) * self.period, self.duration)
        rates = self.base_rate + (self.max_rate - self.base_rate) * units(self.seed, np.arange(draws))
        return np.column_stack([np.diff(edges), rates, rates])
