"""Guardrails as the effective scenario states them, in base units, for lines and captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from plg.units import UnitError, parse_duration, parse_percent, parse_rate, parse_size

_READERS: Mapping[str, Callable[[str], float]] = {
    "max_rate": parse_rate,
    "max_queue_age": parse_duration,
    "max_duration": parse_duration,
    "max_memory_mb": lambda text: parse_size(text) / 1e6,
    "max_cpu_percent": lambda text: parse_percent(text) * 100,
}


def limit_of(scenario: Mapping[str, Any], guardrail: str) -> float | None:
    """The limit in jobs/s, jobs, s, MB or percent of one core; None where the scenario sets none that can be drawn."""
    guardrails = scenario.get("guardrails")
    value = guardrails.get(guardrail) if isinstance(guardrails, Mapping) else None
    if isinstance(value, str):
        try:
            return _READERS.get(guardrail, float)(value)
        except (UnitError, ValueError):
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
