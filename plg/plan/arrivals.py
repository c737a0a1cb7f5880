"""When each arrival is due: the curve cut at every half job, or at random."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError
from plg.patterns.base import Floats, Mask, Pattern, distinct, slack
from plg.patterns.draws import exponentials

Counts = npt.NDArray[np.int64]

BLOCK = 8192
"""Exponential draws that are summed together; a fixed number, so that every sum is the same however it is asked for."""
MOST_RANDOM = 1_000_000_000
"""The most random arrivals of one plan: they are drawn one by one to be counted."""
GAPS = 1
"""The stream of draws that gaps between random arrivals come from."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Arrivals in order of their due time, as columns of one length.

    ``seq`` is k, the arrival's number in the whole run; ``due`` seconds from the start, never falling; ``kind`` the
    index of its job in the scenario; ``kept`` False where ``max_rate`` sheds it.
    """

    seq: Counts
    due: Floats
    kind: npt.NDArray[np.intp]
    kept: Mask

    def __len__(self) -> int:
        return len(self.seq)


class Arrivals(Protocol):
    """The arrivals 0, 1, … ``total - 1`` of a curve."""

    @property
    def total(self) -> int:
        """How many there are."""

    def due(self, k: Counts) -> Floats:
        """When arrival ``k`` is due, in seconds; -1 of a k below zero."""

    def before(self, t: Floats) -> Counts:
        """How many are due before ``t``."""


@dataclass(frozen=True)
class Uniform:
    """Arrival k stands where the integral reaches k + ½, so the number due by t is within half a job of it::

    Λ(t)      .·`         due(k) = Λ⁻¹(k + ½)
          ___/            before(t) = #{k: due(k) < t}
     k+½ /                an arrival whose turn is the very end of the run is not part of it
    """

    curve: Pattern

    @cached_property
    def total(self) -> int:
        """Half jobs that lie below the whole integral."""
        jobs = float(self.curve.count(np.asarray(self.curve.duration)))
        return max(0, math.ceil(jobs - 0.5 - 1e-9 - 2e-15 * jobs))

    def due(self, k: Counts) -> Floats:
        return np.where(k < 0, -1.0, self.curve.inverse(np.maximum(k, 0) + 0.5))

    def before(self, t: Floats) -> Counts:
        level = self.curve.count(np.asarray(t, dtype=np.float64)) - 0.5
        count = np.ceil(level)
        unsure = np.abs(level - np.round(level)) < 1e-6 + 4e-15 * np.abs(level)
        if unsure.any():  # on a half job rounding must not decide: ask when that arrival is due
            k = np.round(level[unsure])
            count[unsure] = k + (self.due(k.astype(np.int64)) < np.asarray(t)[unsure])
        return np.clip(count, 0, self.total).astype(np.int64)


class Poisson:
    """Arrivals of a Poisson process with the curve as its intensity.

    Arrival k stands where the integral reaches S_k, the sum of the first k + 1 unit exponential draws of the seed
    (`plg.patterns.draws`). The sums are kept at every `BLOCK`-th draw, so any arrival is found from its block alone.
    """

    def __init__(self, curve: Pattern, seed: int) -> None:
        self.curve, self.seed = curve, seed
        self._jobs = float(curve.count(np.asarray(curve.duration)))
        if self._jobs > MOST_RANDOM:
            message = f"random arrivals are drawn one by one: {self._jobs:,.0f} jobs are more than {MOST_RANDOM:,}"
            help_ = "use uniform arrivals, a lower rate or a shorter run"
            raise ScenarioError([Diagnostic("too-many-arrivals", message, help=help_, path=("arrivals", "process"))])
        sums = [0.0]
        while sums[-1] < self._jobs:
            sums.append(float(self._block(len(sums) - 1, sums[-1])[-1]))
        self._sums = np.array(sums)
        last = max(len(sums) - 2, 0)
        self.total = last * BLOCK + int(np.searchsorted(self._block(last, sums[last]), self._jobs, side="left"))

    def _block(self, block: int, offset: float) -> Floats:
        draws = exponentials(self.seed, np.arange(block * BLOCK, (block + 1) * BLOCK), GAPS)
        draws[0] += offset
        return np.cumsum(draws)

    def _levels(self, k: Counts) -> Floats:
        """S_k, block by block."""
        found = np.empty(k.shape)
        blocks = k // BLOCK
        for block in distinct(blocks).tolist():
            here = blocks == block
            found[here] = self._block(block, self._sums[block])[k[here] - block * BLOCK]
        return found

    def due(self, k: Counts) -> Floats:
        return np.where(k < 0, -1.0, self.curve.inverse(np.minimum(self._levels(np.maximum(k, 0)), self._jobs)))

    def before(self, t: Floats) -> Counts:
        level = self.curve.count(np.asarray(t, dtype=np.float64))
        count = np.empty(level.shape, dtype=np.int64)
        blocks = np.clip(np.searchsorted(self._sums, level, side="left") - 1, 0, max(len(self._sums) - 2, 0))
        for block in distinct(blocks).tolist():
            here = blocks == block
            sums = self._block(block, self._sums[block])
            count[here] = block * BLOCK + np.searchsorted(sums, level[here] - slack(level[here]), side="left")
        return np.clip(count, 0, self.total)
