"""Params, overrides and the environment, from the outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.spelled import spelled

from plg.diagnostics import ScenarioError
from plg.language.load import Loaded, load, load_document
from plg.language.params import typed_override


def document(**more: Any) -> dict[str, Any]:
    return {
        "name": "x",
        "pattern": {"type": "steady", "base_rate": {"param": "peak"}, "duration": {"param": "length"}},
        "jobs": [
            {"name": "a", "queue": {"param": "queue"}, "payload": {"n": "${param.peak}", "m": "x${param.length}"}}
        ],
        "guardrails": {"max_rate": 500, "max_total_jobs": 1000, "max_duration": "1m"},
        "params": {"peak": "5/s", "length": 2, "queue": "orders"},
        "expect": ["errors < length", "p99(lag) < $length"],
        **more,
    }


def effective(**options: Any) -> Loaded:
    return load_document(document(expect=["errors < length"]), environ={}, **options)


def codes(**options: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_document(document(**options.pop("more", {})), environ={}, **options)
    return [d.code for d in caught.value.diagnostics if d.severity == "error"]


def test_values_take_their_place() -> None:
    loaded = effective()
    scenario = loaded.scenario
    assert scenario.pattern.duration == 2
    assert scenario.jobs[0].queue.name == "orders"
    assert scenario.jobs[0].payload == {"n": "5/s", "m": "x2"}
    assert scenario.expect[0].text == "errors < 2"
    assert "params" not in loaded.document
    assert loaded.params == {"peak": "5/s", "length": 2, "queue": "orders"}


def test_a_bound_that_does_not_fit_is_the_params_fault() -> None:
    with pytest.raises(ScenarioError) as caught:
        load_document(document(), environ={})
    (fault,) = caught.value.diagnostics
    assert fault.code == "missing-unit"
    assert "'length'" in fault.message


AS_IT_IS = [
    "${seq}",
    "$${seq}",
    "a${nope}b",
    "${",
    "$",
    "$$",
    "${seq}$",
    "{seq}",
    '${choice("a")}',
    "${param.peak}",
    "${users.x}",
]


@pytest.mark.parametrize("value", AS_IT_IS)
@pytest.mark.parametrize("source", ["default", "environment", "override"])
@pytest.mark.parametrize("suffix", [".plg", ".yaml"])
def test_the_value_of_a_param_is_never_a_template(tmp_path: Path, value: str, source: str, suffix: str) -> None:
    """Alone in its string, beside other text, by its bare name, deep inside: it is taken as it is."""
    quoted = json.dumps(value if source == "default" else "x")
    if suffix == ".plg":
        payload = (
            '{ a: "${param.note}", b: "-${ param.note }", c: note, d: [{ e: "${param.note}{seq}${seq}" }], note: 1 }'
        )
        limits = "guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m }"
        text = f"scenario x {{ param note = env PLG_NOTE else {quoted} job a {{ payload {payload} }} {limits}"
        text += " traffic { steady 5/s over 1s } }"
    else:
        text = f"""
name: x
params: {{note: {{env: PLG_NOTE, default: {quoted}}}}}
jobs: [{{name: a, payload: {{a: "${{param.note}}", b: "-${{ param.note }}", c: {{param: note}},
        d: [{{e: "${{param.note}}{{seq}}${{seq}}"}}], note: 1}}}}]
pattern: {{type: steady, base_rate: 5, duration: 1}}
guardrails: {{max_rate: 9, max_total_jobs: 9, max_duration: 1m}}
"""
    path = tmp_path / f"x{suffix}"
    path.write_text(text, encoding="utf-8")
    environ = {"PLG_NOTE": value} if source == "environment" else {}
    overrides = {"note": value} if source == "override" else {}
    loaded = load(path, environ=environ, overrides=overrides)
    expected = {"a": value, "b": "-" + value, "c": value, "d": [{"e": f"{value}{{seq}}7"}], "note": 1}
    assert json.loads(spelled(loaded.scenario.jobs[0].payload, seq=7)) == expected


def test_a_switch_in_a_text_is_spelled_as_in_json() -> None:
    loaded = load_document(
        document(
            params={"on_": True, "peak": 1, "length": 1, "queue": "q"},
            jobs=[{"name": "a", "queue": {"param": "queue"}, "payload": ["${param.on_}", "=${param.on_}"]}],
            expect=[],
        ),
        environ={},
    )
    assert loaded.scenario.jobs[0].payload == [True, "=true"]


def test_overrides() -> None:
    loaded = load_document(document(expect=[]), environ={}, overrides={"peak": "9", "length": "4s", "queue": "5"})
    assert loaded.scenario.pattern.duration == 4
    assert loaded.scenario.pattern.peak() == 9
    assert loaded.scenario.jobs[0].queue.name == "5"
    assert codes(overrides={"paek": "5"})[0] == "unknown-param"


def test_an_override_of_the_wrong_kind_is_named() -> None:
    with pytest.raises(ScenarioError) as caught:
        load_document(document(expect=[]), environ={}, overrides={"peak": "fast"})
    assert "'peak'" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("text", "declared", "value"),
    [
        ("900/s", "400/s", "900/s"),
        ("900", "400/s", 900),
        ("1_000", 5, 1000),
        ("0.5", 5, 0.5),
        ("1e3", 5, 1000.0),
        ("true", False, True),
        ("5", "orders", "5"),
        ("true", "orders", "true"),
        ("orders", 5, "orders"),
        ("9" * 400, 5, "9" * 400),
    ],
)
def test_overrides_are_typed(text: str, declared: Any, value: Any) -> None:
    assert typed_override(text, declared) == value
    assert type(typed_override(text, declared)) is type(value)


def test_the_environment() -> None:
    params = {
        "peak": {"env": "PEAK", "default": "5/s"},
        "length": {"env": "LENGTH"},
        "queue": {"env": "Q", "default": "q"},
    }
    loaded = load_document(document(params=params, expect=[]), environ={"PEAK": "7/s", "LENGTH": "3", "Q": ""})
    assert loaded.scenario.pattern.peak() == 7
    assert loaded.scenario.pattern.duration == 3
    assert loaded.scenario.jobs[0].queue.name == "q"
    assert codes(more={"params": params, "expect": []}) == ["unset-variable"]
    # What is set from outside needs no variable.
    assert (
        load_document(document(params=params, expect=[]), environ={}, overrides={"length": "3"}).params["length"] == 3
    )


def test_chains_and_circles() -> None:
    chain = {"peak": {"param": "a"}, "a": {"param": "b"}, "b": "6/s", "length": 1, "queue": "q"}
    assert load_document(document(params=chain, expect=[]), environ={}).scenario.pattern.peak() == 6
    circle = {**chain, "b": {"param": "a"}}
    assert codes(more={"params": circle, "expect": []}) == ["param-cycle"]
    itself = {**chain, "b": {"param": "b"}}
    assert codes(more={"params": itself, "expect": []}) == ["param-cycle"]


@pytest.mark.parametrize("params", [5, [], {"peak": [1]}, {"peak": {"x": 1}}, {"1": 5}, {"peak": None}, {"a b": 1}])
def test_params_of_the_wrong_shape(params: Any) -> None:
    assert codes(more={"params": params})


def test_the_given_document_stays_as_it_is() -> None:
    given = document(expect=["errors  <  length"])
    before = repr(given)
    load_document(given, environ={})
    assert repr(given) == before


def test_targets(tmp_path: Path) -> None:
    def target(given: Any, environ: dict[str, str] | None = None, override: str | None = None) -> tuple[str, Any]:
        loaded = load_document(document(target=given, expect=[]), environ=environ or {}, target=override)
        return loaded.scenario.target, loaded.document["target"]

    assert target("fake") == ("fake", "fake")
    secret = "redis://user:secret@h:1/0"
    assert target(secret) == (secret, "redis://user:***@h:1/0")
    env = {"url": {"env": "URL", "default": "embedded"}}
    assert target(env) == ("embedded", env)
    assert target(env, {"URL": secret}) == (secret, env)
    assert target(env, {"URL": ""}) == ("embedded", env)
    assert target({"env": "URL", "default": secret})[1] == {"env": "URL", "default": "redis://user:***@h:1/0"}
    assert target("fake", {}, secret) == (secret, "redis://user:***@h:1/0")
    for bad in ("http://x", "localhost", "redis://", ""):
        assert codes(more={"expect": []}, target=bad) == ["bad-target"]
    assert codes(more={"target": {"url": {"env": "URL"}}, "expect": []}) == ["unset-variable"]
    file = tmp_path / "x.plg"
    file.write_text(
        'scenario x { param where = "fake" target where traffic { steady 1/s over 1s }'
        " guardrails { max_rate 1/s max_total_jobs 1 max_duration 1s } }"
    )
    assert load(file, environ={}).scenario.target == "fake"
    assert load(file, environ={}, overrides={"where": "embedded"}).scenario.target == "embedded"
