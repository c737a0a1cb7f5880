"""Reads the fields of a policy file, each fault with its place."""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, Fault, Path, ScenarioError, nearest
from plg.language.kinds import fault_of, show
from plg.language.source import Spans
from plg.units import parse_duration, parse_rate


@dataclass
class FieldReader:
    """A policy file that is read; ``faults`` are kept, and a field with one has some value all the same."""

    file: str
    text: str
    spans: Spans
    faults: list[Diagnostic] = field(default_factory=list)

    def refusal(self) -> ScenarioError:
        """All faults, in their order."""
        first = (0, 0)
        ordered = sorted(self.faults, key=lambda d: (d.span.line, d.span.column) if d.span else first)
        return ScenarioError(ordered, {self.file: self.text})

    def fault(self, code: str, message: str, path: Path, help: str = "", *, at_key: bool = False) -> None:
        span = self.spans.key(path) if at_key else self.spans.nearest(path)
        self.faults.append(Diagnostic(code, message, self.file, span, help, path=path))

    def mapping(self, value: Any, path: Path, what: str, fields: tuple[str, ...]) -> dict[str, Any]:
        """``value`` without the fields that are not known, each of which is a fault."""
        if not isinstance(value, dict):
            self.fault("wrong-type", f"{what} is a mapping, not {show(value)}", path)
            return {}
        for name in value:
            if name not in fields:
                near = nearest(name, fields)
                help = f"did you mean {near}?" if near else f"known here: {', '.join(fields)}"
                self.fault("unknown-key", f"{what} has no field `{name}`", (*path, name), help, at_key=True)
        return {name: inner for name, inner in value.items() if name in fields}

    def list(self, value: Any, path: Path) -> list[Any]:
        if isinstance(value, list) and value:
            return value
        what = "must not be empty" if value == [] else f"must be a list, not {show(value)}"
        self.fault("out-of-range" if value == [] else "wrong-type", f"`{path[-1]}` {what}", path)
        return []

    def texts(self, known: dict[str, Any], name: str, path: Path) -> tuple[str, ...]:
        """A list of texts, none of them empty."""
        found = self.list(known[name], (*path, name)) if name in known else []
        for index, value in enumerate(found):
            where = (*path, name, index)
            if not isinstance(value, str):
                self.fault("wrong-type", f"`{name}` must hold text, not {show(value)}", where, "quote it")
            elif not value:
                self.fault("out-of-range", f"`{name}` must not hold an empty text", where)
        return tuple(str(value) for value in found)

    def choices(self, known: dict[str, Any], name: str, path: Path, among: tuple[str, ...]) -> tuple[str, ...]:
        """A list of some of the words ``among``."""
        found = self.texts(known, name, path)
        for index, value in enumerate(found):
            if value not in among:
                near = nearest(value, among)
                help = f"did you mean {near}?" if near else f"known here: {', '.join(among)}"
                self.fault("unknown-name", f"`{name}` has no {show(value)}", (*path, name, index), help)
        return found

    def flag(self, known: dict[str, Any], name: str, path: Path, *, default: bool = False) -> bool:
        value = known.get(name, default)
        if not isinstance(value, bool):
            self.fault("wrong-type", f"`{name}` must be true or false, not {show(value)}", (*path, name))
        return bool(value)

    def numbers(self, known: dict[str, Any], name: str, path: Path, least: int, most: int) -> tuple[int, ...]:
        """A list of whole numbers from ``least`` to ``most``."""
        found = self.list(known[name], (*path, name)) if name in known else []
        for index, value in enumerate(found):
            if isinstance(value, bool) or not isinstance(value, int):
                message = f"`{name}` must hold whole numbers, not {show(value)}"
                self.fault("wrong-type", message, (*path, name, index))
            elif not least <= value <= most:
                message = f"`{name}` must hold numbers from {least} to {most}, not {value}"
                self.fault("out-of-range", message, (*path, name, index))
        return tuple(value for value in found if isinstance(value, int))

    def count(self, known: dict[str, Any], name: str, path: Path) -> float:
        """A whole number from 1 on; infinite where the field is left out."""
        value = known.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault("wrong-type", f"`{name}` must be a whole number, not {show(value)}", (*path, name))
        elif value < 1:
            self.fault("out-of-range", f"`{name}` must be at least 1, not {value}", (*path, name))
        return float(value) if name in known and isinstance(value, int) else math.inf

    def rate(self, known: dict[str, Any], name: str, path: Path) -> float:
        """A rate (jobs/s) above 0; infinite where the field is left out, or is no rate."""
        if name not in known or not self.checked("rate", known[name], (*path, name)):
            return math.inf
        found = parse_rate(known[name]) if isinstance(known[name], str) else float(known[name])
        if not found > 0:
            self.fault("out-of-range", f"`{name}` must be more than 0", (*path, name))
        return found

    def duration(self, value: Any, path: Path) -> float:
        """A duration (s); 0 where it is none."""
        if not self.checked("duration", value, path):
            return 0.0
        return parse_duration(value) if isinstance(value, str) else float(value)

    def checked(self, kind: str, value: Any, path: Path) -> bool:
        """Whether ``value`` is of its kind; a fault is kept where it is not."""
        fault: Fault | None = fault_of(kind, value)
        if fault is None and isinstance(value, dict):
            fault = Fault("wrong-type", f"must be a plain value, not {show(value)}", help="a policy has no params")
        if fault is not None:
            self.fault(fault.code, f"`{path[-1]}` {fault.message}", path, fault.help)
        return fault is None
