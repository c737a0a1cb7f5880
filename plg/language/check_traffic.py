"""What the schema cannot say of phases: names that are unique, amounts and points that fit each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from plg.diagnostics import Fault, Path
from plg.language.check_amounts import check_amounts
from plg.language.document import walk
from plg.language.kinds import duration, fault_of, is_reference, rate, show
from plg.language.source import Document
from plg.language.vocabulary import PHASES, POINT, Field


def check_phases(pattern: Any) -> Iterator[Fault]:
    """What is wrong with the phases of a pattern."""
    seen: dict[str, Path] = {}
    for path, phase in walk(pattern):
        name = phase.get("name")
        if isinstance(name, str):
            if name in seen:
                yield Fault("duplicate-name", f"two phases are named {name!r}", (*path, "name"))
            seen.setdefault(name, path)
        kind = PHASES.get(phase["type"]) if isinstance(phase.get("type"), str) else None
        if kind is None:
            continue
        if phase["type"] == "points":
            yield from _points(phase, path)
        amiss = list(check_amounts(phase, kind.fields, path))
        yield from amiss
        values = _values(phase, kind.fields) if not amiss else None
        if values is not None:
            yield from _fitting(phase["type"], values, path)


def _values(phase: Document, fields: Mapping[str, Field]) -> dict[str, Any] | None:
    """The fields of a phase as numbers; None where one of them is not of its kind."""
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in phase or field.kind in ("phases", "points", "file"):
            continue
        value = phase[name]
        if is_reference(value) or fault_of(field.kind, value) is not None:
            return None
        if field.kind in ("rate", "positiveRate"):
            value = rate(value)
        elif field.kind == "duration":
            value = duration(value)
        values[name] = value
    return values


def _fitting(kind: str, values: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    """Fields of one phase that do not fit each other."""
    if kind == "ramp" and values.get("ramp_type") == "exponential":
        for name in ("start_rate", "end_rate"):
            if values.get(name) == 0:
                yield Fault(
                    "out-of-range",
                    "an exponential ramp cannot start or end at 0",
                    (*path, name),
                    "use a small rate such as 0.1/s, or a linear ramp",
                )
    if kind == "burst" and values.get("burst_duration", 0) > values.get("burst_interval", math.inf):
        yield Fault(
            "out-of-range",
            "a burst lasts longer than the time between two bursts",
            (*path, "burst_duration"),
            "`for` is at most `every`",
        )
    if kind == "chaos" and values.get("max_rate", math.inf) < values.get("base_rate", 0):
        yield Fault(
            "out-of-range", "the upper rate is below the lower one", (*path, "max_rate"), "write the lower rate first"
        )


def _points(phase: Document, path: Path) -> Iterator[Fault]:
    rows = phase.get("points")
    before = -1.0
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict):
            yield from check_amounts(row, POINT, (*path, "points", index))
        at = row.get("at") if isinstance(row, dict) else None
        if at is None or is_reference(at) or fault_of("time", at) is not None:
            return
        seconds = duration(at)
        if index == 0 and seconds != 0:
            yield Fault("out-of-range", "the first point must be at 0s", (*path, "points", 0, "at"))
        elif seconds <= before:
            yield Fault(
                "out-of-range",
                f"a point at {show(at)} does not come after the one before it",
                (*path, "points", index, "at"),
                "each point is later than the one before",
            )
        before = seconds
