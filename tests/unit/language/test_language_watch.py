"""`watch`, `enqueued_at` and the span of drain_time: in all spellings, and refused where they cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from plg.language.load import lint, load
from plg.language.write import write_json, write_plg, write_yaml
from plg.plan.watching import MOST, watch_length

RAW = 'job a {{ queue "q" encoding raw {} payload {} }}'
MADE = '{ created: "${now_ms}", meta: { times: [1, "${now_ms}000"] } }'


def file(folder: Path, *statements: str, expect: str = "errors == 0") -> Path:
    path = folder / "s.plg"
    path.write_text(
        "scenario s {\n" + "\n".join(statements) + "\n"
        "traffic { a: steady 5/s over 1s then b: steady 9/s over 1s }\n"
        f"guardrails {{ max_rate 50/s max_total_jobs 1_000 max_duration 1m }}\nexpect {{ {expect} }}\n}}\n"
    )
    return path


def test_all_spellings_say_the_same(tmp_path: Path) -> None:
    loaded = load(file(tmp_path, "watch 90s", RAW.format("enqueued_at payload.meta.times.1", MADE)))
    assert (loaded.scenario.watch, loaded.scenario.jobs[0].enqueued_at) == (90.0, "payload.meta.times.1")
    for suffix, write in ((".plg", write_plg), (".yaml", write_yaml), (".json", write_json)):
        again = tmp_path / f"again{suffix}"
        again.write_text(write(loaded.document))
        assert load(again).scenario.document == loaded.scenario.document, suffix


@pytest.mark.parametrize(
    ("place", "payload"),
    [
        ("payload.created", MADE), ("payload.meta.times.1", MADE), ("payload", '"${now_ms}"'),
        ("payload", '"${ now_ms }000000"'),
        ('"payload.odd key"', '{ "odd key": "${now_ms}" }'), ('"payload.created"', MADE),
    ],
)  # fmt: skip
def test_a_place_that_holds_the_moment_of_sending_is_taken(tmp_path: Path, place: str, payload: str) -> None:
    path = file(tmp_path, RAW.format(f"enqueued_at {place}", payload))
    assert [d.message for d in lint(path).diagnostics] == []
    written = tmp_path / "w.plg"
    written.write_text(write_plg(load(path).document))
    assert load(written).scenario.jobs == load(path).scenario.jobs


@pytest.mark.parametrize(
    ("place", "payload", "says"),
    [
        ("payload.made", MADE, "`payload` has no `made`"),
        ("payload.meta.times.2", MADE, "`payload.meta.times` has no entry 2"),
        ("payload.meta.times", MADE, "`payload.meta.times` is a list, which is not the moment"),
        ("payload.created.x", MADE, "has no `x`"),
        ("payload.n", '{ n: "${seq}" }', "is '${seq}', which is not the moment of sending"),
        ("payload.n", '{ n: "at ${now_ms}" }', "which is not the moment of sending"),
        ("payload.n", '{ n: "$${now_ms}" }', "which is not the moment of sending"),
        ("payload.n", "{ n: 1800000000 }", "is 1800000000, which is not the moment of sending"),
        ("payload.n", '{ n: "2026-01-01T00:00:00Z" }', "which is not the moment of sending"),
        ("created", MADE, "must be a path into the payload"),
        ("payload", '"order ${seq}"', "which is not the moment of sending"),
    ],
)
def test_a_place_without_the_moment_of_sending_is_refused(tmp_path: Path, place: str, payload: str, says: str) -> None:
    [found] = lint(file(tmp_path, RAW.format(f"enqueued_at {place}", payload))).diagnostics
    assert says in found.message
    assert found.severity == "error"


def test_an_envelope_needs_no_place(tmp_path: Path) -> None:
    [found] = lint(file(tmp_path, f'job a {{ queue "q" enqueued_at payload.created payload {MADE} }}')).diagnostics
    assert found.code == "no-moment"


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("drain_time < 5s during a", ["unexpected-phase"]),
        ("drain_time during a < 5s", ["unexpected-phase"]),
        ("drain_time < 2 * drain_time during b", ["unexpected-phase"]),
        ("drain_time during a < 2 * drain_time during b", ["unexpected-phase", "unexpected-phase"]),
        ("queue_age during a < drain_time during b", ["unexpected-phase"]),
        ("drain_time < 2 * drain_time", ["compares-itself"]),
        ("drain_time < 2 * queue_age during a", []),
    ],
)
def test_drain_time_has_no_phase(tmp_path: Path, line: str, codes: list[str]) -> None:
    assert [found.code for found in lint(file(tmp_path, expect=line)).diagnostics] == codes


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("errors == 0", 0), ("queue_depth < 100", 0), ("max(queue_depth) < 100 in every 1s", 0),
        ("queue_age < 3s", 4.3), ("warn queue_age < 3s", 4.3), ("drain_time < 10s", 12), ("drain_time < 5m", MOST),
        ("queue_age < 3s in every 1s", 4.3), ("queue_age < 3s in 90% of 1s", MOST), ("mean(queue_depth) < 9", MOST),
        ("p95(queue_age) < 3s", MOST), ("queue_age during a < 2 * queue_age during b", MOST),
        ("queue_depth during a < 2 * queue_depth during b", 0), ("drain_time < 2 * queue_age during a", MOST),
        ("errors == 0  queue_age < 3s  drain_time < 10s", 12),
    ],
)  # fmt: skip
def test_the_watch_lasts_as_long_as_the_lines_need(tmp_path: Path, line: str, seconds: float) -> None:
    assert watch_length(load(file(tmp_path, expect=line)).scenario) == pytest.approx(seconds)
    assert watch_length(load(file(tmp_path, "watch 7s", expect=line)).scenario) == 7
    assert watch_length(load(file(tmp_path, "watch 0s", expect=line)).scenario) == 0


def test_jobs_that_never_tell_their_age_are_not_watched_for_it(tmp_path: Path) -> None:
    path = file(tmp_path, RAW.format("", "{ n: 1 }"), expect="queue_age < 30s")
    assert watch_length(load(path).scenario) == 0
    path = file(tmp_path, RAW.format("", "{ n: 1 }"), expect="queue_age < 30s  drain_time < 1s")
    assert watch_length(load(path).scenario) == pytest.approx(2.1)
