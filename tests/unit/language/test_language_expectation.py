"""Expectations: what a text means, its canonical form, and what does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.language_documents import expectations

from plg.language.expectation import read_expectation
from plg.language.expectation_text import canonical_text, params_of
from plg.measures import MEASURES
from plg.scenario import Expectation, Recovery, Subject

PHASES = ("calm", "black friday", "over", "stop")


def read(text: str) -> Expectation:
    result, faults = read_expectation(text, PHASES, file="f.plg", line=3)
    assert faults == []
    assert result is not None
    return result


def made(text: str, **fields: object) -> Expectation:
    return Expectation(text=text, file="f.plg", line=3, **fields)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("deviation < 5%", {"subject": Subject("deviation"), "op": "<", "bound": 0.05}),
        (
            "p99(latency) < 250ms during calm or stop",
            {"subject": Subject("latency", "p99", "calm"), "op": "<", "bound": 0.25, "stop": True},
        ),
        (
            "p99.9(lag) during over >= 1m30s",
            {"subject": Subject("lag", "p99.9", "over"), "op": ">=", "bound": 90.0},
        ),
        (
            'warn throughput during "black friday" > 90/m in 99% of 500ms',
            {
                "subject": Subject("throughput", None, "black friday"), "op": ">", "bound": 1.5,
                "window": 0.5, "quota": 0.99, "level": "warn",
            },
        ),
        ("memory < 1GiB", {"subject": Subject("memory"), "op": "<", "bound": 2.0**30}),
        ("max(queue_depth) <= 1_000 in every 2s", {
            "subject": Subject("queue_depth", "max"), "op": "<=", "bound": 1000.0, "window": 2.0,
        }),
        ("errors == 0", {"subject": Subject("errors"), "op": "==", "bound": 0.0}),
        ("p50(latency) > 0", {"subject": Subject("latency", "p50"), "op": ">", "bound": 0.0}),
        (
            "errors != 3 during stop or stop",
            {"subject": Subject("errors", None, "stop"), "op": "!=", "bound": 3.0, "stop": True},
        ),
        (
            "p95(latency) during calm <= 1.2 * p95(latency) during over",
            {
                "subject": Subject("latency", "p95", "calm"), "op": "<=",
                "relative": Subject("latency", "p95", "over"), "factor": 1.2,
            },
        ),
        (
            "p95(latency) <= mean(service_time) during calm",
            {"subject": Subject("latency", "p95"), "op": "<=", "relative": Subject("service_time", "mean", "calm")},
        ),
        ("cpu < 150%", {"subject": Subject("cpu"), "op": "<", "bound": 1.5}),
        ("drained within 1m30s after calm", {
            "subject": Subject("queue_depth"), "op": "<=", "bound": 0.0,
            "recovery": Recovery("drained", 90.0, "calm", "end"),
        }),
        ('warn workers >= 8 within 45s of "black friday"', {
            "subject": Subject("workers"), "op": ">=", "bound": 8.0, "level": "warn",
            "recovery": Recovery("reaches", 45.0, "black friday", "start"),
        }),
        ("p95(latency) returns to 1.2 * p95(latency) during calm in every 5s within 60s after over", {
            "subject": Subject("latency", "p95"), "op": "<=", "relative": Subject("latency", "p95", "calm"),
            "factor": 1.2, "window": 5.0, "recovery": Recovery("returns", 60.0, "over", "end"),
        }),
    ],
)  # fmt: skip
def test_meaning(text: str, fields: dict[str, object]) -> None:
    assert read(text) == made(text, **fields)
    assert canonical_text(text) == text


@given(expectations())
def test_spacing_does_not_matter(text: str) -> None:
    spaced = canonical_text(text)
    assert canonical_text(spaced) == spaced
    one, two = read(text), read(spaced)
    assert one.subject == two.subject
    assert (one.op, one.bound, one.window, one.quota, one.level, one.stop) == (
        two.op, two.bound, two.window, two.quota, two.level, two.stop
    )  # fmt: skip


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_can_be_asked(name: str) -> None:
    bounds = {"s": "1s", "jobs": "5", "jobs/s": "5/s", "fraction": "5%", "bytes": "5MB"}
    measure = MEASURES[name]
    subject = f"p99({name})" if measure.kind == "time" else name
    assert read(f"{subject} < {bounds[measure.unit]}").bound is not None
    for unit, bound in bounds.items():
        result, faults = read_expectation(f"{subject} < {bound}", PHASES)
        assert (result is None) == (unit != measure.unit), (unit, faults)


@pytest.mark.parametrize(
    ("text", "code", "blamed"),
    [
        ("latency < 5ms", "needs-aggregate", "latency"),
        ("p99(errors) < 5", "unexpected-aggregate", "p99"),
        ("p100(latency) < 5ms", "unknown-aggregate", "p100"),
        ("p0(latency) < 5ms", "unknown-aggregate", "p0"),
        ("median(latency) < 5ms", "unknown-aggregate", "median"),
        ("latenci < 5ms", "unknown-measure", "latenci"),
        ("p99 < 5ms", "unknown-measure", "p99"),
        ("errors < 5 during clam", "unknown-phase", "clam"),
        ("errors during calm < 5 during calm", "duplicate-key", "during calm"),
        ("errors < 5 or stop or stop", "duplicate-key", "or stop"),
        ("errors < 5 in every 1s in every 2s", "duplicate-key", "in every 2s"),
        ("errors = 5", "unknown-operator", "="),
        ("errors < 5%", "wrong-unit", "5%"),
        ("p99(latency) < 5", "missing-unit", "5"),
        ("p99(latency) < 5MB", "wrong-unit", "5MB"),
        ("p99(latency) < 5sec", "unknown-unit", "5sec"),
        ("throughput < 5/d", "unknown-unit", "5/d"),
        ("memory < 5XB", "unknown-unit", "5XB"),
        ("errors < -5", "out-of-range", "-5"),
        ("throughput < 1e999/s", "out-of-range", "1e999/s"),
        ("errors < 5 in every 0s", "out-of-range", "0s"),
        ("errors < 5 in 0% of 1s", "out-of-range", "0%"),
        ("errors < 5 in 101% of 1s", "out-of-range", "101%"),
        ("errors < 5 in every 5", "missing-unit", "5"),
        ("errors < 5 in 5s of 1s", "wrong-unit", "5s"),
        ("errors < 5 in every soon", "unknown-param", "soon"),
        ("errors < limit", "unknown-param", "limit"),
        ("errors < $limit", "unknown-param", "$limit"),
        ("drain_time < 5s in every 1s", "unexpected-window", "in every 1s"),
        ("drained", "needs-deadline", "drained"),
        ("workers >= 8 in 45s of calm", "unexpected-window", "in 45s of calm"),
        ("workers returns to 1", "needs-deadline", "returns"),
        ("drained within 5 after calm", "missing-unit", "5"),
        ("drained within 0s after calm", "out-of-range", "0s"),
        ("drained within 5s after clam", "unknown-phase", "clam"),
        ("drained within 5s after calm or stop", "unexpected-stop", "or stop"),
        ("drained in every 1s within 5s after calm", "unexpected-window", "in every 1s"),
        ("workers >= 2 in 99% of 1s within 5s of calm", "unexpected-window", "in 99% of 1s"),
        ("workers >= 2 during over within 5s of calm", "unexpected-phase", "during over"),
        ("errors == 0 within 5s after calm", "unexpected-deadline", "within 5s after calm"),
        ("drained within 5s after calm within 6s after over", "duplicate-key", "within 6s after over"),
        ("errors < sent", "needs-phase", "sent"),
        ("p50(lag) <= p50(latency)", "needs-phase", "p50(latency)"),
        ("errors <= p50(latency) during calm", "wrong-unit", "p50(latency) during calm"),
        ("errors during calm <= errors during calm", "compares-itself", "errors during calm"),
        ("errors <= 0 * errors during calm", "out-of-range", "0"),
        ("errors <= 5% * errors during calm", "wrong-unit", "5%"),
        ("errors <= f * errors during calm", "unknown-param", "f"),
        ("errors <", "syntax", ""),
        ("< 5", "syntax", "<"),
        ("errors < 5 6", "syntax", "6"),
        ("", "empty-file", ""),
    ],
)
def test_what_does_not_fit(text: str, code: str, blamed: str) -> None:
    result, faults = read_expectation(text, PHASES)
    assert result is None
    assert [fault.code for fault in faults] == [code]
    if blamed:
        assert text[slice(*faults[0].offsets)] == blamed


def test_all_faults_of_a_line_are_found() -> None:
    _, faults = read_expectation("latency < 5% during clam in every 0s", PHASES)
    assert {fault.code for fault in faults} == {"needs-aggregate", "wrong-unit", "unknown-phase", "out-of-range"}


@given(st.text(st.sampled_from('p95(latncy) <>=!*"0123456789.%ms/ing\n#$durevryost'), max_size=40))
def test_any_text_is_answered(text: str) -> None:
    result, faults = read_expectation(text, PHASES)
    assert (result is None) == bool(faults)
    canonical_text(text)
    params_of(text, ["p"])


def test_references_to_params() -> None:
    text = "p95(latency) <= slack * p95(latency) during calm in $share of width"
    assert params_of(text, ["slack", "width", "share"]) == {(16, 21): "slack", (52, 58): "share", (62, 67): "width"}
    assert params_of("errors < limit", ["limit"]) == {(9, 14): "limit"}
    # A measure is a measure, whatever params there are; an unknown word is no reference.
    assert params_of("errors < sent during calm", ["sent"]) == {}
    assert params_of("errors < limit", []) == {}
