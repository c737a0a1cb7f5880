"""Random numbers that are the same on every machine, whatever version of NumPy it has.

The generator is SplitMix64 (Steele, Lea and Flood, 2014) read at any place: draw i of a seed is ``mix(key + (i+1)·G)``
with G = 0x9E3779B97F4A7C15 and ``mix`` its finaliser, in arithmetic modulo 2⁶⁴. Independent uses of one seed take
different *streams*, which set the key. Logarithms are made of additions, products and quotients alone, all of which
IEEE 754 fixes to the last bit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from plg.patterns.base import Floats

_GAMMA = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1
_LN2 = math.log(2)
_TERMS = tuple(1 / (2 * i + 1) for i in range(12))


def _mix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _key(seed: int, stream: int) -> int:
    if stream == 0:
        return seed & _WORD
    return (seed ^ int(_mix(np.array([stream * _GAMMA & _WORD], dtype=np.uint64))[0])) & _WORD


def words(seed: int, index: npt.NDArray[np.int64], stream: int = 0) -> npt.NDArray[np.uint64]:
    """The 64-bit draws at ``index`` (0, 1, …). Stream 0 is SplitMix64 as published, started at ``seed``."""
    place = (np.asarray(index).astype(np.uint64) + np.uint64(1)) * np.uint64(_GAMMA)
    return _mix(np.uint64(_key(seed, stream)) + place)


def units(seed: int, index: npt.NDArray[np.int64], stream: int = 0) -> Floats:
    """Uniform draws in [0, 1): the top 53 bits over 2⁵³."""
    return (words(seed, index, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def exponentials(seed: int, index: npt.NDArray[np.int64], stream: int = 0) -> Floats:
    """Unit exponential draws, ``-ln(u)`` with u uniform and never zero."""
    top = (words(seed, index, stream) >> np.uint64(11)).astype(np.float64)
    return -_log((top + 0.5) * 2.0**-53)


def _log(x: Floats) -> Floats:
    """ln(x) for x > 0 as ``e·ln 2 + 2·artanh((m-1)/(m+1))``, m in [√½, √2): eleven terms reach the last bit."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, mantissa * 2, mantissa)
    exponent = exponent - small
    s = (mantissa - 1) / (mantissa + 1)
    z = s * s
    series = np.full_like(z, _TERMS[-1])
    for term in reversed(_TERMS[:-1]):
        series *= z
        series += term
    return np.asarray(exponent * _LN2 + 2 * s * series)
