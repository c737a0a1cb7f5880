"""Amounts that a schema cannot read, being text, and limits that do not fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plg.diagnostics import Fault, Path
from plg.language.kinds import duration, fault_of, is_reference, show
from plg.language.source import Document
from plg.language.vocabulary import ERROR_RATE, GUARDRAILS, SINGLE, WORKERS, Field
from plg.pacing import DEFAULT_PACING, PACINGS
from plg.units import format_duration

_IN_TEXT = ("rate", "positiveRate", "duration", "time", "percent", "cpuPercent")
"""Kinds of value that may be written as text with a unit."""


def check_amounts(node: Document, fields: Mapping[str, Field], path: Path) -> Iterator[Fault]:
    """Quantities written as text that are of their kind but too small or too large: the schema cannot read them."""
    for name, field in fields.items():
        value = node.get(name)
        if isinstance(value, str) and field.kind in _IN_TEXT:
            fault = fault_of(field.kind, value)
            if fault is not None and fault.code == "out-of-range":
                yield Fault(fault.code, f"`{name}` {fault.message}", (*path, name), fault.help)


def check_guardrails(limits: Any) -> Iterator[Fault]:
    """What is wrong with the guardrails."""
    if not isinstance(limits, dict):
        return
    yield from check_amounts(limits, dict(GUARDRAILS.values()), ("guardrails",))
    errors = limits.get("max_error_rate")
    if isinstance(errors, dict):
        yield from check_amounts(errors, ERROR_RATE, ("guardrails", "max_error_rate"))
    window, longest = limits.get("rate_limit_window"), limits.get("max_duration")
    if any(fault_of("duration", value) is not None or is_reference(value) for value in (window, longest)):
        return
    if duration(window) > duration(longest):
        yield Fault(
            "out-of-range", "the window of max_rate is longer than max_duration", ("guardrails", "rate_limit_window")
        )


def check_rest(document: Document) -> Iterator[Fault]:
    """Amounts that stand beside traffic, jobs and guardrails."""
    yield from check_amounts(document, SINGLE, ())
    yield from _patience(document.get("max_lag"), document.get("pacing", DEFAULT_PACING))
    workers = document.get("workers")
    if isinstance(workers, dict):
        yield from check_amounts(workers, WORKERS, ("workers",))


def _patience(max_lag: Any, pacing: Any) -> Iterator[Fault]:
    """plg sends together what is due within a tick: with hardly more patience than that it would drop its own jobs."""
    known = PACINGS.get(pacing) if isinstance(pacing, str) else None
    if max_lag is None or known is None or is_reference(max_lag) or fault_of("time", max_lag) is not None:
        return
    if duration(max_lag) < (least := 2 * known.tick):
        message = f"`max_lag` must be at least {format_duration(least)}, twice a tick of pacing {pacing}, and is "
        finer = min(2 * other.tick for other in PACINGS.values())
        help_ = f"`pacing precise` takes {finer * 1000:g}ms" if finer < least else ""
        yield Fault("out-of-range", message + show(max_lag), ("max_lag",), help_)
