"""Which faults may only be the consequence of others: of a statement that could not be read, of a misspelled word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from plg.diagnostics import Diagnostic, Span

_STATEMENT = {"pattern": "traffic", "arrivals": "traffic", "jobs": "job", "job_config": "job", "params": "param"}
"""The statements of the fields of a document; those of the others are called like the field."""
_QUOTED = re.compile(r"`([^`]+)`")
_MEANT = re.compile(r"did you mean `([^`]+)`")


def without_consequences(
    found: Iterable[Diagnostic], others: Collection[Diagnostic], lost: Collection[str]
) -> list[Diagnostic]:
    """``found`` without what ``others`` (faults of the text) and what was ``lost`` with them may have caused."""
    found = list(found)
    meant = [
        (match[1], fault.span)
        for fault in (*others, *found)
        if fault.code == "unknown-key" and (match := _MEANT.search(fault.help))
    ]
    phases = {repr(name.removeprefix("phase ")) for name in lost if name.startswith("phase ")}
    if any(fault.code == "not-one-of" and fault.path == ("pattern", "type") for fault in found):
        lost = {*lost, "traffic"}  # what phases it has is not known
    return [fault for fault in found if not _follows(fault, lost, phases, _within(meant, fault))]


def _within(meant: Iterable[tuple[str, Span | None]], fault: Diagnostic) -> set[str]:
    """The words meant by others that stand in what a field is said to be missing in; for other faults, all words."""
    whole = fault.span
    if fault.code != "missing-field" or whole is None:
        return {word for word, _ in meant}
    first, last = (whole.line, whole.column), (whole.end_line, whole.end_column)
    return {
        word
        for word, span in meant
        if span is None or (first <= (span.line, span.column) and (span.end_line, span.end_column) <= last)
    }


def _follows(fault: Diagnostic, lost: Collection[str], phases: Collection[str], meant: Collection[str]) -> bool:
    """``phases`` are the names in quotes of the phases that are ``lost``, ``''`` for those without one."""
    if fault.code == "missing-field":
        fields = {statement_of(name) for name in _QUOTED.findall(fault.message)} | {*_QUOTED.findall(fault.message)}
        statement = statement_of(str(fault.path[0])) if fault.path else ""
        absent = "traffic" in fields and bool(phases)
        return bool(fields & {*meant}) or statement in lost or (not fault.path and _gone(lost, fields)) or absent
    if fault.code == "unknown-phase":
        named = fault.message.partition("there is no phase ")[2] in phases
        numbered = "''" in phases and "'phase-" in fault.message
        return "name" in meant or named or numbered or _gone(lost, {"traffic"}) or "pattern" in meant
    if fault.code == "unknown-param":
        return _gone(lost, {"param"})
    if fault.code == "unknown-template":
        return _gone(lost, {"param", "data"})
    return fault.code == "unused-param" and bool(lost)


def _gone(lost: Collection[str], statements: Collection[str]) -> bool:
    return "scenario" in lost or any(statement in lost for statement in statements)


def statement_of(field: str) -> str:
    """The statement of the DSL that fills a field of the document."""
    return _STATEMENT.get(field, field)
