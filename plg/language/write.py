"""A document written out: as DSL text, as YAML, as JSON. Reading what was written gives the same scenario."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from typing import Any

from plg.language import strings
from plg.language.expectation_text import canonical_text
from plg.language.format import format_text
from plg.language.kinds import is_reference
from plg.language.source import Document
from plg.language.validate import field_order
from plg.language.vocabulary import CHOICES, CLAUSES, CONTENTS, GUARDRAILS, JOB, PHASES, POSITIONS, RETRY, Field
from plg.language.write_yaml import write_yaml

__all__ = ["write_json", "write_plg", "write_yaml"]

_AMBIGUOUS = {
    *(spelled for spelled in CLAUSES.values()),
    *("in", "step", "steps", "then", "and", "of", "or", "during", "else", "each", "env", "keep", "warn"),
    *("true", "false", "null", "on", "off", "embedded", "fake"),
}
"""Words that would be read as something else than a param in some place: a reference to such a one is written $NAME."""


GROUPED = 10_000
"""Whole numbers from here on are written with underscores."""


def write_json(document: Document) -> str:
    """The document as JSON text, fields in canonical order."""
    return json.dumps(field_order(document), indent=2, ensure_ascii=False) + "\n"


def write_plg(document: Document) -> str:
    """A valid document as DSL text in canonical layout."""
    text = f"scenario {_quoted(document['name'])} {{\n" + "\n\n".join(_sections(document)) + "\n}\n"
    return format_text(text)


def _sections(document: Document) -> Iterator[str]:
    head = []
    if "description" in document:
        head.append(f"description {_text(document['description'])}")
    if document.get("tags"):
        head.append("tags " + ", ".join(_text(tag) for tag in document["tags"]))
    yield from ["\n".join(head)] if head else []
    setup = [f"param {name} = {_param(value)}" for name, value in document.get("params", {}).items()]
    if "target" in document:
        setup.append(f"target {_target(document['target'])}")
    setup += [f"data {name} {_text(file)}" for name, file in document.get("data", {}).items()]
    if "workers" in document:
        workers = document["workers"]
        only = f" only {_value('ownServer', workers['only'])}" if "only" in workers else ""
        setup.append(f"workers {_number(workers['count'])} each {_duration(workers['each'])}{only}")
    if "connections" in document:
        setup.append(f"connections {_number(document['connections'])}")
    if "pacing" in document:
        setup.append(f"pacing {_value('pacing', document['pacing'])}")
    if "max_lag" in document:
        setup.append(f"max_lag {_duration(document['max_lag'])}")
    if "watch" in document:
        setup.append(f"watch {_duration(document['watch'])}")
    yield from ["\n".join(setup)] if setup else []
    jobs = [
        *document.get("jobs", ()),
        *([{"name": "job", **document["job_config"]}] if "job_config" in document else []),
    ]
    yield from map(_job, jobs)
    yield _traffic(document)
    yield _guardrails(document["guardrails"])
    if document.get("expect"):
        yield "expect {\n" + "\n".join(canonical_text(line) for line in document["expect"]) + "\n}"


# Values --------------------


def _reference(value: Any, taken: Collection[str] = ()) -> str:
    name = value["param"]
    return f"${name}" if name in _AMBIGUOUS or name in PHASES or name in taken else str(name)


def _quoted(value: str) -> str:
    return strings.quote(value)


def _text(value: Any) -> str:
    return _reference(value) if is_reference(value) else _quoted(value)


def _number(value: Any) -> str:
    if is_reference(value):
        return _reference(value)
    whole = int(value) if isinstance(value, float) and value == int(value) else value
    return f"{whole:_}" if isinstance(whole, int) and abs(whole) >= GROUPED else strings.plain_number(whole)


def _with_unit(value: Any, unit: str) -> str:
    """A number with the unit that the document leaves out; text with a unit of its own as it is."""
    if isinstance(value, str) and unit == "/s" and value.rstrip().endswith("/s"):
        value = strings.number(strings.compact(value)[:-2])
    if isinstance(value, str):
        return strings.compact(value)
    return _number(value) if is_reference(value) else _number(value) + unit


def _duration(value: Any) -> str:
    return _with_unit(value, "s")


_UNITS = {
    "rate": "/s",
    "positiveRate": "/s",
    "duration": "s",
    "time": "s",
    "percent": "%",
    "cpuPercent": "%",
    "megabytes": "MB",
}


def _value(kind: str, value: Any) -> str:
    """A value of a field as the DSL spells it."""
    if kind in _UNITS:
        return _with_unit(value, _UNITS[kind])
    if is_reference(value):
        # Where a word of its own may stand, a bare name would be that word.
        return f"${value['param']}" if kind in CHOICES else _reference(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if kind in ("key", "file", "text", "url", "name"):
        return _quoted(value)
    if kind == "place" and not strings.BARE_PATH.fullmatch(value):
        return _quoted(value)
    return str(value) if isinstance(value, str) else _number(value)


def _param(value: Any) -> str:
    if isinstance(value, dict) and "env" in value:
        default = value.get("default")
        keep = " keep" if value.get("keep") else ""
        return f"env {value['env']}" + (f" else {_param(default)}" if default is not None else "") + keep
    if is_reference(value):
        return _reference(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        bare = strings.QUANTITY.fullmatch(value) and not strings.PLAIN_NUMBER.fullmatch(value)
        return value if bare else _quoted(value)
    return strings.plain_number(value)


def _target(target: Any) -> str:
    if isinstance(target, dict) and "url" in target:
        target = target["url"]
    if isinstance(target, dict) and "env" in target:
        default = target.get("default")
        return f"env {target['env']}" + (f" else {_target(default)}" if default is not None else "")
    return target if target in ("embedded", "fake") else _text(target)


def _json(value: Any) -> str:
    """A payload value. A word such as true is bare, a key only where it is a plain name."""
    if is_reference(value):
        return _reference(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{strings.name_or_string(key)}: {_json(child)}" for key, child in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


# Sections --------------------


def _job(job: Document) -> str:
    weight = f" weight {_value('weight', job['weight'])}" if "weight" in job else ""
    rows = [f"{name} {_setting(name, job[name])}" for name in JOB if name in job and name not in ("name", "weight")]
    return f"job {strings.name_or_string(job['name'])}{weight} {{\n" + "\n".join(rows) + "\n}"


def _setting(name: str, value: Any) -> str:
    if name in CONTENTS:
        return _json(value)
    if name == "queue" and isinstance(value, dict) and not is_reference(value):
        more = {key: setting for key, setting in value.items() if key not in ("kind", "name")}
        return f"{value['kind']} {_quoted(value['name'])}" + (f" {_json(more)}" if more else "")
    if name == "retry" and isinstance(value, dict) and not is_reference(value):
        return "{ " + " ".join(f"{key} {_value(RETRY[key].kind, value[key])}" for key in RETRY if key in value) + " }"
    if name == "call" and isinstance(value, str):
        return _quoted(value)
    return _value("key" if name == "queue" else "natural" if name == "retry" else JOB[name].kind, value)


def _guardrails(limits: Document) -> str:
    rows = [
        f"{spelled} {_error_rate(limits[name]) if field.kind == 'errorRate' else _value(field.kind, limits[name])}"
        for spelled, (name, field) in GUARDRAILS.items()
        if name in limits
    ]
    return "guardrails {\n" + "\n".join(rows) + "\n}"


def _error_rate(limit: Document) -> str:
    over = f" over {_duration(limit['over'])}" if "over" in limit else ""
    return _with_unit(limit["percent"], "%") + over


def _traffic(document: Document) -> str:
    arrivals = document.get("arrivals", {})
    options = f" {arrivals['process']}" if "process" in arrivals else ""
    if "seed" in arrivals:
        options += f" seed {_number(arrivals['seed'])}"
    pattern = document["pattern"]
    bare = pattern["type"] == "custom" and not set(pattern) - {"type", "phases"} and len(pattern["phases"]) > 1
    inner = _sequence(pattern["phases"], "then") if bare else _phase(pattern)
    return f"traffic{options} {{\n{inner}\n}}"


def _sequence(phases: list[Document], joint: str) -> str:
    return f"\n{joint} ".join(map(_phase, phases))


def _phase(phase: Document) -> str:
    label = f"{strings.name_or_string(phase['name'])}: " if "name" in phase else ""
    return label + " ".join([_shape(phase), *_clauses(phase)])


def _shape(phase: Document) -> str:
    kind = phase["type"]
    if kind == "custom":
        repeat = f"repeat {_number(phase['repeat'])} " if "repeat" in phase else ""
        # One phase in braces would be read as that phase alone: a sequence of one is a repeat of 1.
        if not repeat and len(phase["phases"]) == 1:
            repeat = "repeat 1 "
        return f"{repeat}{{\n{_sequence(phase['phases'], 'then')}\n}}"
    if kind == "overlay":
        return f"together {{\n{_sequence(phase['layers'], 'and')}\n}}"
    if kind == "points":
        rows = ", ".join(f"{_duration(row['at'])} {_value('rate', row['rate'])}" for row in phase["points"])
        mode = f"{_value('interpolation', phase['interpolation'])} " if "interpolation" in phase else ""
        return f"points {mode}{{ {rows} }}"
    first = PHASES[kind].first
    assert first is not None
    return f"{kind} {_value(PHASES[kind].fields[first].kind, phase[first])}"


def _clauses(phase: Document) -> Iterator[str]:
    kind = PHASES[phase["type"]]
    for clause, name in kind.clauses.items():
        if name not in phase:
            continue
        if clause == "from":
            yield f"from {_angle(phase[name])}"
            continue
        value = _value(kind.fields[name].kind, phase[name])
        yield f"in {value} steps" if clause == "steps" else f"{CLAUSES[clause]} {value}"
    if "ramp_type" in phase and phase["type"] == "ramp":
        yield _ramp_type(phase["ramp_type"], kind.fields["ramp_type"])


def _ramp_type(value: Any, field: Field) -> str:
    return _value(field.kind, value)


def _angle(value: Any) -> str:
    if is_reference(value):
        return _reference(value, POSITIONS)
    for word, angle in POSITIONS.items():
        if math.isclose(value, angle, rel_tol=0, abs_tol=0):
            return word
    return _number(value) + "rad"
