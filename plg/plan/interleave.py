"""Which kind of job each arrival is: shares by weight, spread as evenly as whole jobs allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from heapq import heapify, heappop, heappush

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass

FINEST = 2**30
"""Weights become whole numbers of at most this sum, so that shares are exact and products fit 64 bits."""


@dataclass(frozen=True, slots=True)
class _Fork:
    """Of every ``whole`` jobs that come here, ``share`` go left. A branch is a kind of job or another fork."""

    left: int | _Fork
    right: int | _Fork
    share: int
    whole: int


class Interleave:
    """Kinds laid out over the arrivals by a tree of two-way shares.

    At each fork the n-th comer (from 0) goes left when ``⌊(n+1)·p + ½⌋ > ⌊n·p + ½⌋``, p the left branch's share: no
    other rule keeps two shares closer. The tree joins the lightest kinds first (Huffman's), which keeps the heavy ones
    near the root. It is closed in k: any arrival's kind is known without those before it.

    Among the first n arrivals a kind of weight w is within ``½·(1 + Σ w/w_g)`` jobs of its share, the sum over the
    groups g around it other than the whole: half a job for two kinds, at most one for three, never two.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = _whole(weights)
        self._root = _grow(self.weights)

    def kinds(self, k: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """Index of the kind of each arrival number."""
        if isinstance(self._root, int):
            return np.full(k.shape, self._root, dtype=np.intp)
        found = np.zeros(k.shape, dtype=np.intp)
        stack: list[tuple[int | _Fork, npt.NDArray[np.intp], npt.NDArray[np.int64]]] = [
            (self._root, np.arange(k.size), np.ravel(k))
        ]
        flat = found.ravel()
        while stack:
            branch, where, n = stack.pop()
            if isinstance(branch, int):
                flat[where] = branch
                continue
            before = _lefts(n, branch)
            left = _lefts(n + 1, branch) > before
            stack.append((branch.left, where[left], before[left]))
            stack.append((branch.right, where[~left], (n - before)[~left]))
        return flat.reshape(k.shape)


def _lefts(n: npt.NDArray[np.int64], fork: _Fork) -> npt.NDArray[np.int64]:
    """``⌊n·p + ½⌋`` in whole numbers."""
    turns, rest = np.divmod(n, fork.whole)
    return np.asarray(turns * fork.share + (2 * rest * fork.share + fork.whole) // (2 * fork.whole))


def _whole(weights: Sequence[float]) -> tuple[int, ...]:
    """The weights as the smallest whole numbers in their ratio; as `FINEST` parts where those would be too large.

    A decimal is taken as written: 0.1 is a tenth.
    """
    exact = [Fraction(repr(float(weight))) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * scale) for weight in exact]
    common = math.gcd(*whole) or 1
    whole = [weight // common for weight in whole]
    if sum(whole) > FINEST:
        total = sum(whole)
        whole = [max(1, round(Fraction(weight * FINEST, total))) if weight else 0 for weight in whole]
    return tuple(whole)


def _grow(weights: Sequence[int]) -> int | _Fork:
    """Huffman's tree over the kinds with any weight. Of two alike the one written first goes first."""
    heap: list[tuple[int, int, int | _Fork]] = [(w, -i, i) for i, w in enumerate(weights) if w > 0]
    if not heap:
        return 0
    heapify(heap)
    fresh = len(weights)
    while len(heap) > 1:
        light, _, right = heappop(heap)
        heavy, _, left = heappop(heap)
        heappush(heap, (light + heavy, -fresh, _Fork(left, right, heavy, light + heavy)))
        fresh += 1
    return heap[0][2]
