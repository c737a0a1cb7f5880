"""What is written is what is read: every spelling of a document is the same scenario."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from support.language_documents import TRICKY, UNHURRIED, documents, json_values

from plg.diagnostics import ScenarioError
from plg.language.format import format_text
from plg.language.load import Loaded, load_document, read_text
from plg.language.write import write_json, write_plg, write_yaml
from plg.patterns.spans import spans


def scenario_of(document: dict[str, Any]) -> Loaded:
    return load_document(document, environ={})


def same(first: Loaded, second: Loaded) -> bool:
    """Equal in every field; curves are compared where they are drawn, since they hold arrays."""
    one, two = first.scenario, second.scenario
    plain = [field.name for field in fields(one) if field.name not in ("document", "file", "pattern")]
    return all(getattr(one, name) == getattr(two, name) for name in plain) and same_curve(one.pattern, two.pattern)


def same_curve(one: Any, two: Any) -> bool:
    times = np.linspace(0, one.duration, 101)
    names = [(span.name, span.start, span.duration, span.loops) for span in spans(one)]
    return (
        one.duration == two.duration
        and np.array_equal(one.rate(times), two.rate(times))
        and np.array_equal(one.count(times), two.count(times))
        and names == [(span.name, span.start, span.duration, span.loops) for span in spans(two)]
    )


WRITERS = {".plg": write_plg, ".yaml": write_yaml, ".json": write_json}


@pytest.mark.parametrize("suffix", WRITERS)
@settings(parent=UNHURRIED, max_examples=60)
@given(document=documents())
def test_a_document_survives_every_spelling(suffix: str, document: dict[str, Any]) -> None:
    try:
        before = scenario_of(document)
    except ScenarioError as error:
        # Only what the generator cannot know may be wrong with its documents: the sheer size of the traffic.
        assume({d.code for d in error.diagnostics} != {"too-large"})
        raise
    text = WRITERS[suffix](document)
    source = read_text(text, f"scenario{suffix}", suffix)
    assert source.faults == ()
    after = scenario_of(source.document)
    assert same(before, after), text
    if suffix != ".plg":
        assert json.dumps(source.document, sort_keys=True) == json.dumps(document, sort_keys=True)


@settings(parent=UNHURRIED, max_examples=60)
@given(document=documents(), payload=json_values)
def test_written_yaml_means_the_same_to_any_reader(document: dict[str, Any], payload: Any) -> None:
    """PyYAML reads by the rules of YAML 1.1, where far more words are numbers, dates and booleans."""
    document = {**document, "tags": TRICKY, "jobs": [{"name": "no", "payload": {"on": payload, "x": TRICKY}}]}
    assert yaml.safe_load(write_yaml(document)) == document


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_strings_stay_strings(text: str) -> None:
    document = {"name": "x", "tags": [text], "jobs": [{"name": "a", "payload": {text: [text, {"k": text}]}}]}
    for suffix, write in ((".yaml", write_yaml), (".json", write_json)):
        assert read_text(write(document), "x" + suffix, suffix).document == document
    frame = {**document, "pattern": STEADY, "guardrails": {"max_rate": 1, "max_total_jobs": 1, "max_duration": "1s"}}
    assert read_text(write_plg(frame), "x.plg").document["jobs"] == document["jobs"]


STEADY = {"type": "steady", "base_rate": 1, "duration": "1s"}


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ({"type": "custom", "phases": [STEADY]}, {"type": "custom", "phases": [STEADY], "repeat": 1}),
        ({"type": "custom", "phases": [STEADY, STEADY]}, None),
        ({"type": "custom", "name": "a", "phases": [STEADY, STEADY]}, None),
        ({"type": "custom", "phases": [STEADY, STEADY], "max_rate": 5}, None),
        ({"type": "custom", "phases": [STEADY, {"type": "custom", "phases": [STEADY, STEADY]}]}, None),
        ({"type": "overlay", "layers": [STEADY]}, None),
        ({"type": "overlay", "layers": [STEADY, {"type": "custom", "phases": [STEADY, STEADY], "repeat": 2}]}, None),
    ],
)
def test_nesting_keeps_its_shape(pattern: dict[str, Any], read: dict[str, Any] | None) -> None:
    limits = {"max_rate": 1, "max_total_jobs": 1, "max_duration": "1s"}
    text = write_plg({"name": "x", "pattern": pattern, "guardrails": limits})
    assert read_text(text, "x.plg").document["pattern"] == (read or pattern)


@settings(parent=UNHURRIED, max_examples=60)
@given(document=documents())
def test_written_dsl_is_in_canonical_layout(document: dict[str, Any]) -> None:
    text = write_plg(document)
    assert format_text(text) == text
    assert write_plg(read_text(text, "again.plg").document) == text


@settings(parent=UNHURRIED, max_examples=40)
@given(document=documents())
def test_the_effective_document_is_a_scenario_of_its_own(document: dict[str, Any]) -> None:
    try:
        loaded = scenario_of(document)
    except ScenarioError:
        assume(False)
    assert same(loaded, scenario_of(loaded.document))
    assert scenario_of(loaded.document).document == loaded.document
