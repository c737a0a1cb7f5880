"""The limits of a scenario in one table: what each is called, how it is read, and how it is written.

Guardrails are read by it, the ceilings of policies too, and it puts the limits that hold into the effective document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from plg.language.kinds import duration, fraction, rate
from plg.language.strings import plain_number
from plg.language.vocabulary import ERROR_RATE, GUARDRAILS
from plg.scenario import ErrorRateLimit, Guardrails


class Limit(NamedTuple):
    """One limit: the ``field`` of a document and its ``kind``, the attribute of `Guardrails` that it is, how the
    attribute is read from the field, and the field written from it."""

    field: str
    kind: str
    attribute: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def error_rate(limit: Mapping[str, Any]) -> ErrorRateLimit:
    """The most errors that a field of a document tells."""
    return ErrorRateLimit(fraction(limit["percent"]), duration(limit.get("over", ERROR_RATE["over"].default)))


def _exact(amount: float, read: Callable[[str], float], spell: Callable[[float], str], wanted: float) -> str:
    """The shortest spelling of about ``amount`` that is read as exactly what is ``wanted``."""
    for digits in range(1, 18):
        text = spell(float(f"{amount:.{digits}g}"))
        if read(text) == wanted:
            break
    return text


def _plain(value: float) -> str:
    return plain_number(int(value) if value == int(value) else value)


def _rate(value: float) -> str:
    return _exact(value, rate, lambda amount: f"{_plain(amount)}/s", value)


def _duration(value: float) -> str:
    return _exact(value, duration, lambda amount: f"{_plain(amount)}s", value)


def _percent(value: float) -> str:
    return _exact(value * 100, fraction, lambda amount: f"{_plain(amount)}%", value)


def _bytes(megabytes: Any) -> float:
    return float(megabytes) * 1e6


def _megabytes(value: float) -> int | float:
    amount = float(_exact(value / 1e6, _bytes, _plain, value))
    return int(amount) if amount == int(amount) else amount


def _error_rate(limit: ErrorRateLimit) -> dict[str, str]:
    return {"percent": _percent(limit.fraction), "over": _duration(limit.over)}


_WAYS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "positiveRate": (rate, _rate),
    "count": (int, int),
    "natural": (int, int),
    "duration": (duration, _duration),
    "percent": (fraction, _percent),
    "cpuPercent": (fraction, _percent),
    "megabytes": (_bytes, _megabytes),
    "errorRate": (error_rate, _error_rate),
    "switch": (bool, bool),
}
_ATTRIBUTES = {"max_memory_mb": "max_memory", "max_cpu_percent": "max_cpu"}
LIMITS = {
    field: Limit(field, description.kind, _ATTRIBUTES.get(field, field), *_WAYS[description.kind])
    for field, description in GUARDRAILS.values()
}
"""Every limit, by the field of a document."""


def read_guardrails(limits: Mapping[str, Any]) -> Guardrails:
    """The guardrails of a valid document; those that are not there keep the defaults."""
    given = {LIMITS[field].attribute: LIMITS[field].read(value) for field, value in limits.items()}
    return Guardrails(**given)


def with_limits(document: Mapping[str, Any], given: Guardrails, held: Guardrails) -> dict[str, Any]:
    """The document whose guardrails are those that ``held``, where they are not what it had ``given``."""
    written = {**document.get("guardrails", {}), **dict(_changes(given, held))}
    ordered = {field: written[field] for field in LIMITS if field in written}
    return {**document, "guardrails": ordered}


def _changes(given: Guardrails, held: Guardrails) -> Iterator[tuple[str, Any]]:
    for limit in LIMITS.values():
        value = getattr(held, limit.attribute)
        if value != getattr(given, limit.attribute) and value is not None:
            yield limit.field, limit.write(value)
