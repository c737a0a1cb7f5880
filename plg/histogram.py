"""Latency histograms of fixed size that merge exactly.

Buckets are log-linear (the layout of HdrHistogram): a value ``x`` becomes ``v = x / 32us + 1`` and falls into
octave ``floor(log2 v)``, each octave cut into 128 equal parts. Values below 32 us are thus told apart to 0.25 us,
larger ones to 1/128 of themselves. Two histograms merge by adding counts, so a merge equals a histogram of the union.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SUB_BITS = 7
_UNIT = 32e-6
BUCKETS = 32 << _SUB_BITS
"""Number of buckets; the last one starts beyond 38 hours and is open."""
_OPEN = 86_400.0
"""Values of less than so many seconds are in none of the last buckets."""
_SHIFT = 52 - _SUB_BITS
_BIAS = 1023 << _SUB_BITS


def bucket_of(seconds: Floats) -> Ints:
    """Bucket index of each value. Negative values count as zero."""
    index = _index_of(np.maximum(seconds, 0.0))
    return np.asarray(np.minimum(index, BUCKETS - 1, out=index))


def counts_of(seconds: Floats, largest: float) -> Ints:
    """How many values lie in each bucket, up to the last that has any; none is negative, and one is the ``largest``.

    ``seconds`` is written over. To count values is an order of magnitude cheaper than to sort them.
    """
    index = _index_of(seconds)
    if largest >= _OPEN:
        np.minimum(index, BUCKETS - 1, out=index)
    return np.bincount(index)


def _index_of(seconds: Floats) -> Ints:
    """`bucket_of` for values that are not negative, in their own memory, and without an end to the buckets."""
    seconds *= 1.0 / _UNIT
    seconds += 1.0
    # The exponent and the leading mantissa bits of an IEEE double are the log-linear index already.
    index = seconds.view(np.int64)
    index >>= _SHIFT
    index -= _BIAS
    return index


def lower_edge(index: Ints) -> Floats:
    """Smallest value (s) that falls into each bucket."""
    octave = index >> _SUB_BITS
    part = (index & ((1 << _SUB_BITS) - 1)) / (1 << _SUB_BITS)
    edge: Floats = (np.ldexp(1.0 + part, octave) - 1.0) * _UNIT
    return edge


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """A summed histogram: dense ``counts`` over all buckets, and the exact total, sum, minimum and maximum (s)."""

    counts: Ints
    total: int
    sum: float
    min: float
    max: float

    @staticmethod
    def empty() -> Distribution:
        return Distribution(np.zeros(BUCKETS, dtype=np.int64), 0, 0.0, math.inf, -math.inf)

    def quantile(self, q: float) -> float | None:
        """Nearest-rank quantile: the value of rank ceil(q * total), as the middle of its bucket; None if empty."""
        if self.total == 0:
            return None
        rank = max(1, math.ceil(q * self.total - 1e-9))
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        edges = lower_edge(np.array([index, index + 1], dtype=np.int64))
        return float(min(max((edges[0] + edges[1]) / 2, self.min), self.max))

    def mean(self) -> float | None:
        """Arithmetic mean, from the exact sum; None without samples."""
        return self.sum / self.total if self.total else None
