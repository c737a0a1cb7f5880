"""What is written is what is read: every spelling of a document is the same scenario."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from language_documents import UNHURRIED, documents

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
