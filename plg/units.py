"""Quantities as people write them: rates, durations, sizes and percentages.

Every parser returns a float in the base unit (jobs per second, seconds, bytes, fraction) and raises
`UnitError`, which names the known units, on anything else.
"""

from __future__ import annotations

import math
import re
import unicodedata

RATE_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
"""Seconds in the period a rate is counted over."""
DURATION_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_NUMBER = r"(?:[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
_RATE = re.compile(rf"^({_NUMBER})\s*(?:/\s*([A-Za-z]+))$")
_DURATION_PART = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-zµ]+)")
_SIZE = re.compile(rf"^({_NUMBER})\s*([A-Za-z]+)$")
_PERCENT = re.compile(rf"^({_NUMBER})\s*%$")


def plain_digits(text: str) -> str:
    """``text`` with the decimal digits of every script (``٣``) as 0 to 9, the only ones that are read."""
    return text if text.isascii() else "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def counted(number: int, noun: str) -> str:
    """``1 window``, ``1,200 windows``."""
    return f"{number:,d} {noun}" if number == 1 else f"{number:,d} {noun}s"


class UnitError(ValueError):
    """A quantity that cannot be read. ``known`` lists the units that would do."""

    def __init__(self, message: str, known: tuple[str, ...] = (), unit: str | None = None) -> None:
        super().__init__(message)
        self.known = known
        self.unit = unit


def _number(text: str) -> float:
    value = float(text.replace("_", ""))
    if not math.isfinite(value):
        raise UnitError(f"{text if len(text) <= 20 else text[:20] + '…'} is too large a number")
    return value


def parse_rate(text: str) -> float:
    """``10/s``, ``90/m`` or ``3600/h`` as jobs per second."""
    match = _RATE.match(text.strip())
    if not match:
        raise UnitError(f"{text!r} is not a rate", ("/s", "/m", "/h"))
    if match[2] not in RATE_UNITS:
        raise UnitError(f"unknown rate unit {match[2]!r}", ("/s", "/m", "/h"), match[2])
    return _number(match[1]) / RATE_UNITS[match[2]]


def parse_duration(text: str) -> float:
    """``250ms``, ``10s``, ``1m30s`` or ``1.5h`` as seconds."""
    stripped, position, total = text.strip(), 0, 0.0
    if not stripped:
        raise UnitError(f"{text!r} is not a duration", tuple(DURATION_UNITS))
    while position < len(stripped):
        match = _DURATION_PART.match(stripped, position)
        if not match:
            raise UnitError(f"{text!r} is not a duration", tuple(DURATION_UNITS))
        if match[2] not in DURATION_UNITS:
            raise UnitError(f"unknown duration unit {match[2]!r}", tuple(DURATION_UNITS), match[2])
        total += _number(match[1]) * DURATION_UNITS[match[2]]
        position = match.end()
    return total


def parse_size(text: str) -> float:
    """``512MB`` or ``1GiB`` as bytes."""
    match = _SIZE.match(text.strip())
    if not match:
        raise UnitError(f"{text!r} is not a size", tuple(SIZE_UNITS))
    if match[2] not in SIZE_UNITS:
        raise UnitError(f"unknown size unit {match[2]!r}", tuple(SIZE_UNITS), match[2])
    return _number(match[1]) * SIZE_UNITS[match[2]]


def parse_percent(text: str) -> float:
    """``5%`` as the fraction 0.05."""
    match = _PERCENT.match(text.strip())
    if not match:
        raise UnitError(f"{text!r} is not a percentage", ("%",))
    return _number(match[1]) / 100


def _short(value: float, digits: int = 4) -> str:
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = f"{value:.0f}" if abs(value) >= 1 else text
    return text


def format_rate(per_second: float) -> str:
    """A rate for people: ``200/s``, ``0.5/s``."""
    return f"{per_second:,.0f}/s" if per_second >= 1000 else f"{_short(per_second)}/s"


def format_duration(seconds: float) -> str:
    """A duration for people: ``250ms``, ``1.5s``, ``1m30s``."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds == 0:
        return "0s"
    if seconds < 1e-3:
        return f"{_short(seconds * 1e6, 3)}us"
    if seconds < 1:
        return f"{_short(seconds * 1e3, 3)}ms"
    if seconds < 60:
        return f"{_short(seconds, 4)}s"
    whole = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, whole = divmod(whole, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts[:2])


def format_size(size: float) -> str:
    """A size for people: ``512MB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= factor:
            return f"{_short(size / factor)}{unit}"
    return f"{_short(size)}B"


def format_percent(fraction: float) -> str:
    """A fraction for people: ``0.4%``."""
    return f"{_short(fraction * 100, 3)}%"
