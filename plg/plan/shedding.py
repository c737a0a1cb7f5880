"""Which arrivals a limit on the rate sheds: an even share of those inside an excursion, and none outside."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import Floats, Mask, Pattern, distinct
from plg.patterns.draws import units
from plg.plan.arrivals import Arrivals, Counts

OFFSET = 0.5 - 2.0**-20
"""Where within a job of excess the arrival to shed is taken; off the half, which round figures would meet exactly."""
CHOICES = 2
"""The stream of draws that decides which random arrivals are shed."""


class Shedding(Protocol):
    """Which arrivals are kept under ``max_rate``."""

    def kept(self, k: Counts, due: Floats) -> Mask:
        """Whether arrival ``k``, due at ``due``, is sent."""

    def shed_before(self, k: Counts) -> Counts:
        """How many of the arrivals 0 … k-1 are shed."""


@dataclass(frozen=True)
class NothingShed:
    """A rate that never exceeds the limit."""

    def kept(self, k: Counts, due: Floats) -> Mask:
        return np.ones(k.shape, dtype=bool)

    def shed_before(self, k: Counts) -> Counts:
        return np.zeros(k.shape, dtype=np.int64)


@dataclass(frozen=True)
class EvenShedding:
    """Every arrival at which the excess E(t) = Λ(t) - A(t) completes another job is shed.

    A is the integral of ``min(rate, max_rate)``. E grows only inside an excursion, and by less than a job from one
    uniform arrival to the next, so the shed ones are evenly spread and their number is within half a job of E.
    """

    curve: Pattern
    allowed: Pattern
    arrivals: Arrivals

    def _jobs(self, due: Floats) -> Counts:
        excess = self.curve.count(due) - self.allowed.count(due)
        return np.floor(np.where(due < 0, 0.0, excess) + OFFSET).astype(np.int64)

    def kept(self, k: Counts, due: Floats) -> Mask:
        if not k.size:
            return np.ones(0, dtype=bool)
        now = self._jobs(due)
        if k[-1] - k[0] == k.size - 1:  # neighbours: each arrival's excess serves the next one
            before = np.concatenate([self._jobs(self.arrivals.due(k[:1] - 1)), now[:-1]])
        else:
            before = self._jobs(self.arrivals.due(k - 1))
        return np.asarray(now <= before)

    def shed_before(self, k: Counts) -> Counts:
        return self._jobs(self.arrivals.due(k - 1))


class RandomShedding:
    """Each arrival inside an excursion is kept with the chance ``max_rate / rate``, by a draw of its own.

    What is left of a Poisson process is then a Poisson process of the clipped curve: the curve is clipped, not its
    noise.
    """

    SLICE = 65536

    def __init__(self, curve: Pattern, cap: float, arrivals: Arrivals, seed: int) -> None:
        self._curve, self._cap, self._arrivals, self._seed = curve, cap, arrivals, seed
        sums = [0]
        for block in range(arrivals.total // self.SLICE + 1):
            sums.append(sums[-1] + len(self._shed_in(block)))
        self._sums = np.array(sums, dtype=np.int64)

    def _shed_in(self, block: int) -> Counts:
        """The arrivals shed in one slice of the run, in order."""
        k = np.arange(block * self.SLICE, min((block + 1) * self.SLICE, self._arrivals.total))
        return k[~self.kept(k, self._arrivals.due(k))]

    def kept(self, k: Counts, due: Floats) -> Mask:
        rate = self._curve.rate(due)
        kept = np.asarray(rate <= self._cap)
        over = ~kept
        if over.any():
            kept[over] = units(self._seed, k[over], CHOICES) * rate[over] < self._cap
        return kept

    def shed_before(self, k: Counts) -> Counts:
        found = np.empty(k.shape, dtype=np.int64)
        blocks = k // self.SLICE
        for block in distinct(blocks).tolist():
            here = blocks == block
            found[here] = self._sums[block] + np.searchsorted(self._shed_in(block), k[here], side="left")
        return found
