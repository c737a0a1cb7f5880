"""A document against the schema: every fault in our own words.

Phases are told apart by their type before the schema sees them, and a phase whose fields are all of their kind never
gets there: a scenario may have tens of thousands, and they are all alike.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from plg.diagnostics import Fault, Path, nearest
from plg.language import otherwise
from plg.language.kinds import KINDS, fault_of, show
from plg.language.source import Document
from plg.language.strings import HUGE
from plg.language.vocabulary import CLAUSES, NESTED, PHASES, REQUIRED, SCENARIO_FIELDS
from plg.resources import read_text

MAX_PHASES = 100_000
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
}


@functools.cache
def schema() -> dict[str, Any]:
    """The scenario schema, read once a process."""
    loaded: dict[str, Any] = json.loads(read_text("schemas", "scenario.schema.json"))
    return loaded


@functools.cache
def _validator(definition: str | None) -> Any:
    """A validator of the whole document (None) or of one of the schema's definitions."""
    from jsonschema import Draft202012Validator

    whole = schema()
    if definition is None:
        return Draft202012Validator(whole)
    return Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": whole["$defs"]})


def check_document(document: Any) -> list[Fault]:
    """Every fault of ``document`` that the schema knows of."""
    if not isinstance(document, dict):
        return [Fault("wrong-type", f"a scenario is a mapping of fields, not {show(document)}", ())]
    endless = list(_endless(document))
    faults = list(_faults(_validator(None), {**document, "pattern": _PROBE} if "pattern" in document else document, ()))
    if "pattern" in document:
        faults += _check_phases(document["pattern"])
    blamed = {fault.path for fault in endless}
    return [*endless, *(fault for fault in faults if fault.path not in blamed)]


def _endless(document: Document) -> Iterator[Fault]:
    """Numbers that are none, or as good as infinite: the schema cannot refuse them."""
    stack: list[tuple[Path, Any]] = [((), document)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [((*path, key), child) for key, child in value.items() if not isinstance(child, str)]
        elif isinstance(value, list):
            stack += [((*path, index), child) for index, child in enumerate(value) if not isinstance(child, str)]
        elif isinstance(value, int | float) and not abs(value) <= HUGE:
            found = "infinite" if abs(value) > HUGE else "not a number"
            help = "JSON has no such value: write null or a text" if {"args", "kwargs", "payload"} & {*path} else ""
            yield Fault("out-of-range", f"{_field(path)} is {found}", path, help)


_PROBE = {"type": "steady", "base_rate": 1, "duration": 1}
"""Stands in for the pattern while the rest of the document is checked."""


def _check_phases(pattern: Any) -> list[Fault]:
    faults: list[Fault] = []
    queue: list[tuple[Any, Path]] = [(pattern, ("pattern",))]
    # The sequence around all of them is not counted: nobody wrote it as a phase.
    seen = -1 if isinstance(pattern, dict) and pattern.get("type") == "custom" else 0
    while queue:
        phase, path = queue.pop()
        seen += 1
        if seen > MAX_PHASES:
            return [*faults, Fault("too-large", f"there are more than {MAX_PHASES:,} phases", ("pattern",))]
        kind = phase.get("type") if isinstance(phase, dict) else None
        nested = NESTED.get(kind) if isinstance(kind, str) else None
        inner = phase.get(nested) if nested else None
        children = inner if isinstance(inner, list) else []
        if not _is_plain(phase, nested):
            faults += _phase_faults({**phase, nested: children and [_PROBE]} if children else phase, path)
        queue += [(child, (*path, nested, index)) for index, child in reversed(list(enumerate(children)))]  # type: ignore[arg-type]  # there are children only where nested is a name
    return faults


def _is_plain(phase: Any, nested: str | None) -> bool:
    """Whether a phase is certainly valid: known fields, all of their kind, none missing."""
    word = phase.get("type") if isinstance(phase, dict) else None
    kind = PHASES.get(word) if isinstance(word, str) else None
    if kind is None:
        return False
    for name, value in phase.items():
        if name == "type":
            continue
        if name == "name":
            if fault_of("name", value) is not None:
                return False
        elif name == nested:
            if not isinstance(value, list) or not 0 < len(value) <= (1000 if nested == "layers" else MAX_PHASES):
                return False
        elif name not in kind.fields or kind.fields[name].kind not in KINDS or fault_of(kind.fields[name].kind, value):
            return False
    return all(name in phase for name, field in kind.fields.items() if field.default is REQUIRED)


def _phase_faults(phase: Any, path: Path) -> Iterator[Fault]:
    if not isinstance(phase, dict):
        yield Fault("wrong-type", f"a phase is a mapping, not {show(phase)}", path)
    elif "type" not in phase:
        yield Fault("missing-field", "this phase has no `type`", path, f"one of {', '.join(PHASES)}")
    elif phase["type"] not in list(PHASES):
        word = phase["type"]
        suggestion = (otherwise.PHASES.get(word) or nearest(word, PHASES)) if isinstance(word, str) else None
        suggestion = suggestion if suggestion in PHASES else None
        help = f"did you mean {suggestion}?" if suggestion else f"one of {', '.join(PHASES)}"
        yield Fault("not-one-of", f"there is no phase type {show(word)}", (*path, "type"), help)
    else:
        yield from _faults(_validator(phase["type"]), phase, path)


# From the validator's errors to ours --------------------


def _faults(validator: Any, instance: Any, base: Path) -> Iterator[Fault]:
    """Each fault once: the validator reports every missing field apart, and `_missing` names them all."""
    seen: set[Fault] = set()
    for error in validator.iter_errors(instance):
        for fault in _translate(error, (*base, *error.absolute_path)):
            if fault not in seen:
                seen.add(fault)
                yield fault


def _translate(error: Any, path: Path) -> Iterator[Fault]:
    rule, value, rules = error.validator, error.instance, error.schema
    if rule == "required":
        yield from _missing(error, path)
    elif rule == "additionalProperties":
        yield from _unknown_keys(value, rules, path)
    elif rule == "anyOf":
        yield _wrong_kind(value, rules, path)
    elif rule == "type":
        yield Fault("wrong-type", f"{_field(path)} must be {_TYPES[rules['type']]}, not {show(value)}", path)
    elif rule in ("minItems", "minLength"):
        yield Fault(
            "out-of-range",
            f"{_field(path)} must not be empty"
            if rules[rule] == 1
            else f"{_field(path)} needs at least {rules[rule]} entries",
            path,
        )
    elif rule in ("maxItems", "maxLength"):
        what = "entries" if rule == "maxItems" else "characters"
        yield Fault("out-of-range", f"{_field(path)} has more than {rules[rule]:,} {what}", path)
    elif rule == "pattern":
        yield Fault(
            "bad-name",
            f"{show(value)} cannot be {_article(path)}",
            path,
            rules.get("description", ""),
            at_key=_is_property_name(error),
        )
    else:
        yield Fault("wrong-type", f"{_field(path)} cannot be {show(value)}", path, rules.get("description", ""))


def _is_property_name(error: Any) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _article(path: Path) -> str:
    return "the name of the scenario" if path == ("name",) else f"a name in {_field(path)}"


def _field(path: Path) -> str:
    """The field a path ends in, for a sentence."""
    if not path:
        return "the scenario"
    last = path[-1]
    if isinstance(last, str):
        return f"`{last}`"
    owner = path[-2] if len(path) > 1 else "the list"
    return f"entry {last + 1} of `{owner}`"


def _missing(error: Any, path: Path) -> Iterator[Fault]:
    """Every required field that is not there; the field's own description is the best help."""
    for name in error.validator_value:
        if name not in error.instance:
            help = _help(name, error.schema.get("properties", {}).get(name, {}))
            message = f"{_owner(path, error.instance)} has no `{name}`"
            yield Fault("missing-field", message, path, help, missing=name)


def _owner(path: Path, value: Any) -> str:
    if not path:
        return "the scenario"
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return f"this {value['type']}"
    return f"this {'job' if path[-2:-1] == ('jobs',) else 'entry'}" if isinstance(path[-1], int) else f"`{path[-1]}`"


def _help(name: str, properties: dict[str, Any]) -> str:
    text = str(properties.get("description", ""))
    examples = properties.get("examples")
    if not examples and "$ref" in properties:
        examples = schema()["$defs"][properties["$ref"].rsplit("/", 1)[1]].get("examples")
    if examples and not isinstance(examples[0], dict | list):
        text += f" For example {name}: {examples[0]}"
    return text


def _unknown_keys(value: dict[Any, Any], rules: dict[str, Any], path: Path) -> Iterator[Fault]:
    known = list(rules.get("properties", ()))
    for key in value:
        if key in known:
            continue
        suggestion = _meant(str(key), value, path) if str(key) not in known else None
        suggestion = suggestion if suggestion in known else nearest(str(key), known)
        help = f"did you mean `{suggestion}`?" if suggestion else "known: " + ", ".join(known)
        if re.fullmatch(r"\d{3}", str(key)):
            help = "a number is written without commas, such as 1_000"
        yield Fault("unknown-key", f"{_owner(path, value)} takes no `{key}`", (*path, key), help, at_key=True)


def _meant(key: str, value: Mapping[str, Any], path: Path) -> str | None:
    """The field that a word of the DSL, or of another tool, stands for."""
    if not path:
        statement = otherwise.STATEMENTS.get(key, key)
        return {"traffic": "pattern", "job": "jobs", "param": "params"}.get(statement, statement)
    kind = PHASES.get(value.get("type", "")) if isinstance(value.get("type", ""), str) else None
    if kind is None:
        return None
    if key == "rate":
        return kind.first
    word = otherwise.CLAUSES.get(key, key)
    return next((field for clause, field in kind.clauses.items() if CLAUSES[clause] == word), None)


def _wrong_kind(value: Any, rules: dict[str, Any], path: Path) -> Fault:
    """A single value that is not of its kind: our own check of that kind says what is wrong."""
    kind = _kinds().get(rules.get("title", ""))
    fault = fault_of(kind, value) if kind is not None else None
    if fault is None:
        return Fault("wrong-type", f"{_field(path)} cannot be {show(value)}", path, rules.get("description", ""))
    return Fault(fault.code, f"{_field(path)} {fault.message}", path, fault.help)


@functools.cache
def _kinds() -> dict[str, str]:
    """Title of a definition to its name, for those that are kinds of value."""
    return {definition["title"]: name for name, definition in schema()["$defs"].items() if name in KINDS}


def field_order(document: Document) -> Document:
    """The document with its fields in canonical order."""
    ordered = {name: document[name] for name in SCENARIO_FIELDS if name in document}
    return {**ordered, **{name: value for name, value in document.items() if name not in ordered}}


def check_params(document: Any) -> list[Fault]:
    """The faults of the params, which are gone from the document that `check_document` sees."""
    if not isinstance(document, dict) or "params" not in document:
        return []
    return [
        f for f in _faults(_validator(None), {**_EMPTY, "params": document["params"]}, ()) if f.path[:1] == ("params",)
    ]


_EMPTY = {"name": "x", "pattern": _PROBE, "guardrails": {"max_rate": 1, "max_total_jobs": 1, "max_duration": 1}}
