"""Grammar, schema and dataclasses say the same: names, kinds, defaults and words; and the schema is a manual."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.language_documents import UNHURRIED, documents, phases

from plg.language import vocabulary
from plg.language.kinds import KINDS, fault_of
from plg.language.strings import HUGE, STRING
from plg.language.validate import _is_plain, _validator, check_document, schema
from plg.queues.base import Job
from plg.scenario import Arrivals, ErrorRateLimit, Guardrails, Scenario, Workers

DEFS = schema()["$defs"]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from nodes(child, f"{path}/{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from nodes(child, f"{path}/{index}")


def test_every_property_is_described() -> None:
    for path, node in nodes(schema()):
        for name, rules in node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ():
            if "/if" in path or "/then" in path:
                continue
            target = DEFS[rules["$ref"].rsplit("/", 1)[1]] if "$ref" in rules else rules
            assert rules.get("description") or target.get("description") or "const" in rules, f"{path}/{name}"


def test_every_definition_has_title_and_is_used() -> None:
    text = json.dumps(schema())
    for name, rules in DEFS.items():
        assert rules.get("title"), name
        assert f'"#/$defs/{name}"' in text, f"{name} is never used"


def test_examples_and_defaults_obey_the_schema() -> None:
    checked = 0
    for path, node in nodes(schema()):
        if path.endswith("/properties") or ("examples" not in node and "default" not in node):
            continue
        samples = [*node.get("examples", ()), *([node["default"]] if node.get("default") is not None else [])]
        rules = {key: value for key, value in node.items() if key not in ("examples", "default")}
        validator = Draft202012Validator({**rules, "$defs": DEFS})
        for sample in samples:
            assert not list(validator.iter_errors(sample)), f"{path}: {sample}"
            checked += 1
    assert checked > 60


@pytest.mark.parametrize("kind", vocabulary.PHASES)
def test_phases(kind: str) -> None:
    """Fields, kinds, defaults and requirements of a phase agree between the tables and the schema."""
    rules, table = DEFS[kind], vocabulary.PHASES[kind]
    assert set(rules["properties"]) == {"type", "name", *table.fields}
    required = {name for name, field in table.fields.items() if field.default is vocabulary.REQUIRED}
    assert set(rules["required"]) == {"type", *required}
    assert rules["additionalProperties"] is False
    for name, field in table.fields.items():
        given = rules["properties"][name]
        if "$ref" in given:
            assert given["$ref"] == f"#/$defs/{field.kind}", name
        default = given.get("default")
        assert default == (None if field.default is vocabulary.REQUIRED else field.default), name
    assert set(table.clauses.values()) <= set(table.fields)
    assert table.first is None or table.first in table.fields


def test_the_types_are_one_list() -> None:
    types = list(vocabulary.PHASES)
    assert DEFS["phase"]["properties"]["type"]["enum"] == types
    assert [branch["if"]["properties"]["type"]["const"] for branch in DEFS["phase"]["allOf"]] == types
    assert [branch["then"]["$ref"] for branch in DEFS["phase"]["allOf"]] == [f"#/$defs/{name}" for name in types]


def test_the_patterns_know_the_same_types() -> None:
    from plg.patterns.registry import CONTAINERS, LEAVES

    assert {*LEAVES, *CONTAINERS} == set(vocabulary.PHASES)
    assert dict(CONTAINERS) == vocabulary.NESTED


@pytest.mark.parametrize(
    ("table", "rules", "cls"),
    [
        (vocabulary.JOB, DEFS["job"], Job),
        (dict(vocabulary.GUARDRAILS.values()), DEFS["guardrails"], Guardrails),
        (vocabulary.WORKERS, schema()["properties"]["workers"], Workers),
        (vocabulary.ARRIVALS, schema()["properties"]["arrivals"], Arrivals),
        (vocabulary.ERROR_RATE, DEFS["guardrails"]["properties"]["max_error_rate"], ErrorRateLimit),
    ],
    ids=["job", "guardrails", "workers", "arrivals", "error rate"],
)
def test_fields(table: dict[str, vocabulary.Field], rules: dict[str, Any], cls: type) -> None:
    """The same fields with the same kinds and defaults in table, schema and dataclass."""
    assert set(table) == set(rules["properties"])
    assert rules["additionalProperties"] is False
    required = {name for name, field in table.items() if field.default is vocabulary.REQUIRED}
    assert set(rules.get("required", ())) == required
    renamed = {"max_memory_mb": "max_memory", "max_cpu_percent": "max_cpu", "percent": "fraction"}
    attributes = {field.name: field for field in dataclasses.fields(cls)}
    if cls is Job:
        # A stream and an end are spelled beside queues; a queue and a retry are values of several fields.
        table = {
            name: field for name, field in table.items() if name not in ("stream", "max_len", "push", "queue", "retry")
        }
        attributes = {name: field for name, field in attributes.items() if name not in ("queue", "retry")}
    assert {renamed.get(name, name) for name in table} == set(attributes)
    for name, field in table.items():
        given = rules["properties"][name]
        assert given.get("$ref", f"#/$defs/{field.kind}") == f"#/$defs/{field.kind}"
        if field.default is not vocabulary.REQUIRED:
            assert given.get("default") == field.default, name
            attribute = attributes[renamed.get(name, name)]
            if cls is not ErrorRateLimit:
                assert same_default(field, attribute), name


def same_default(field: vocabulary.Field, attribute: dataclasses.Field[Any]) -> bool:
    from plg.language.kinds import duration, fraction

    own = attribute.default if attribute.default is not dataclasses.MISSING else attribute.default_factory()  # type: ignore[misc]
    own = list(own) if isinstance(own, tuple) else own
    readers = {"duration": duration, "percent": fraction}
    default = field.default
    return bool(own == (readers[field.kind](default) if field.kind in readers and default is not None else default))


def test_the_document() -> None:
    properties = schema()["properties"]
    assert tuple(properties) == vocabulary.SCENARIO_FIELDS
    assert schema()["required"] == ["name", "pattern", "guardrails"]
    attributes = {field.name: field for field in dataclasses.fields(Scenario)}
    own = {"job_config", "params"}
    assert set(properties) - own <= set(attributes)
    assert attributes["connections"].default == properties["connections"]["default"] == 1
    assert attributes["pacing"].default == properties["pacing"]["default"] == "economical"
    assert attributes["max_lag"].default == 1.0
    assert properties["max_lag"]["default"] == "1s"
    assert attributes["target"].default == properties["target"].get("default", DEFS["target"]["default"])
    job, config = DEFS["job"]["properties"], DEFS["jobConfig"]["properties"]
    assert {name: rules for name, rules in job.items() if name != "name"} == {
        name: rules for name, rules in config.items() if name != "name"
    }


@pytest.mark.parametrize(
    ("kind", "words", "annotation"),
    [
        ("process", get_args(Arrivals.__dataclass_fields__["process"].type), Arrivals),
        ("encoding", None, Job),
    ],
)
def test_words_of_the_dataclasses(kind: str, words: Any, annotation: type) -> None:
    from typing import get_type_hints

    hints = get_type_hints(annotation)
    assert DEFS[kind]["anyOf"][0]["enum"] == list(get_args(hints[kind]))


def test_the_grammar_knows_every_clause_and_statement() -> None:
    from plg.language.parse import parser

    grammar = parser()
    rules = {rule.alias or rule.origin.name for rule in grammar.rules}
    clauses = {clause for kind in vocabulary.PHASES.values() for clause in kind.clauses}
    assert clauses <= rules
    assert set(vocabulary.CLAUSES) == clauses
    spelled_otherwise = {"name", "params", "jobs", "job_config", "arrivals", "pattern"}
    assert set(vocabulary.SCENARIO_FIELDS) - spelled_otherwise <= {str(name) for name in rules}
    (string,) = [terminal for terminal in grammar.terminals if terminal.name == "STRING"]
    assert string.pattern.value.replace("\n", "\\n") == STRING


def test_a_keyword_is_a_whole_word() -> None:
    from plg.language.parse import parser

    keywords = [t for t in parser().terminals if t.priority == 2]
    assert len(keywords) > 30
    for terminal in keywords:
        word = "x" if terminal.name == "_TIMES" else terminal.name.strip("_").lower()
        pattern = re.compile(terminal.pattern.to_regexp())
        assert pattern.match(word + " ")
        assert not pattern.match(word + "y")
        assert not pattern.match(word + "-y")
        assert not pattern.match(word + "_y")


# The fast way and the schema give one verdict ------------------------------------------------------------

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["10/s", "-1/s", "90 / m", "5/fortnight", "1m30s", "1 h", "5", "5%", " 80 %", "", "0s", "0/s",
                     "1e3/s", "1e400/s", "1_0ms", "s", "linear", "exponential", "step", "poisson", "json", "a b", " a",
                     'a"', "a\n", "\u0661s", "367d", "366d", "100.1%", "512MB"]),
    st.just({"param": "x"}), st.just({"param": 5}), st.just({"param": "x", "y": 1}), st.just([]), st.just({}),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@settings(parent=UNHURRIED, max_examples=120)
@given(value=values)
def test_a_kind_is_what_the_schema_says(kind: str, value: Any) -> None:
    """`fault_of` and the schema agree, but for the size of a quantity in text and params without a name."""
    valid = not list(_validator(kind).iter_errors(value))
    fault = fault_of(kind, value)
    if fault is not None and fault.code == "out-of-range" and isinstance(value, str):
        return
    if value == {"param": ""}:
        return
    assert valid == (fault is None), (kind, value, fault)


@settings(parent=UNHURRIED, max_examples=150)
@given(phases(["n"]), st.data())
def test_what_is_passed_quickly_is_valid(phase: dict[str, Any], data: st.DataObject) -> None:
    """A phase that never meets the schema would have passed it."""
    field = data.draw(st.sampled_from([*phase, "extra", "name"]))
    changed = {**phase, field: data.draw(values)} if data.draw(st.booleans()) else phase
    nested = vocabulary.NESTED.get(changed["type"]) if isinstance(changed["type"], str) else None
    if _is_plain(changed, nested):
        rest = {**changed, nested: [{"type": "steady", "base_rate": 1, "duration": 1}]} if nested else changed
        assert not list(_validator("phase").iter_errors(rest)), changed


@settings(parent=UNHURRIED, max_examples=60)
@given(documents())
def test_valid_documents_pass_the_schema_and_ours(document: dict[str, Any]) -> None:
    assert check_document(document) == []
    assert not list(Draft202012Validator(schema()).iter_errors(document))


@settings(parent=UNHURRIED, max_examples=150)
@given(documents(), st.data())
def test_what_the_schema_refuses_is_named(document: dict[str, Any], data: st.DataObject) -> None:
    """Change one node to anything: the verdicts agree, and the fault stands at that node, its parent or below it."""
    path = data.draw(st.sampled_from([path for path, _ in places(document) if path]))
    changed = replaced(document, path, data.draw(values))
    faults = check_document(changed)
    assert bool(faults) == bool(list(Draft202012Validator(schema()).iter_errors(changed)))
    for fault in faults:
        shorter = min(len(fault.path), len(path))
        assert fault.path[:shorter] == path[:shorter]
        assert fault.message
        assert "is not valid under" not in fault.message


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield path, node
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(child, (*path, key))


def replaced(node: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[path[0]] = replaced(node[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, HUGE * 10, -(HUGE**2)])
def test_numbers_that_are_none(number: float) -> None:
    document = {
        "name": "x",
        "pattern": {"type": "steady", "base_rate": number, "duration": 1},
        "jobs": [{"name": "a", "payload": {"deep": [number]}}],
        "guardrails": {"max_rate": 1, "max_total_jobs": 1, "max_duration": 1},
    }
    faults = check_document(document)
    assert {fault.path for fault in faults} == {("pattern", "base_rate"), ("jobs", 0, "payload", "deep", 0)}
    assert {fault.code for fault in faults} == {"out-of-range"}


@pytest.mark.parametrize("sign", '/\\:*?"<>|')
def test_the_help_names_every_sign_that_no_name_of_a_scenario_holds(sign: str) -> None:
    rules = schema()["properties"]["name"]
    assert re.search(rules["pattern"], f"a{sign}b") is None
    assert ("double quote" if sign == '"' else f" {sign} ") in rules["description"]
