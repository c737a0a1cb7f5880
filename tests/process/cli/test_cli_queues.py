"""`plg queues`: what it says of each format is what a scenario is told."""

from __future__ import annotations

import json

import pytest

from plg.queues.registry import SHIPPED

SCENARIO = """
scenario "asked" {{
  job work {{ {queue} {call} }}
  traffic {{ steady 50/s over 10s }}
  guardrails {{ max_rate 100/s  max_total_jobs 1_000  max_duration 1m }}
  expect {{ {line} }}
}}
"""
LINES = {
    **dict.fromkeys(("queue_wait", "run_time", "end_to_end"), "p95({}) < 5s"),
    **dict.fromkeys(("queue_age", "drain_time"), "{} < 5s"),
    "backlog_slope": "{} < 5/s",
}


@pytest.fixture
def formats(run):
    done = run("queues", "--json")
    assert (done.code, done.err) == (0, "")
    return {each["kind"]: each for each in json.loads(done.out)}


def test_every_format_is_listed(formats, run, monkeypatch):
    assert list(formats) == list(SHIPPED)
    monkeypatch.setenv("COLUMNS", "60")
    said = run("queues").out
    for kind, told in formats.items():
        assert f'queue {kind} "NAME"\n  {told["meaning"]}\n' in said
    assert max(len(line) for line in said.splitlines() if "measured" in line) <= 60


@pytest.mark.parametrize("kind", SHIPPED)
def test_what_is_said_to_be_measured_is_what_lint_says(kind, formats, run, tmp_path):
    told = formats[kind]
    by_workers = told["far_side"]["workers"]
    measures = [*told["measures"], *by_workers, "in_flight", "delayed", "workers"]
    call = 'call "shop.work"' if "call" in told["expresses"] else ""
    for measure in dict.fromkeys(measures):
        line = LINES.get(measure, "{} <= 5").format(measure)
        path = tmp_path / "asked.plg"
        path.write_text(SCENARIO.format(queue=f'queue {kind} "q"', call=call, line=line), encoding="utf-8")
        done = run("lint", path)
        known = measure in told["measures"] or measure in by_workers
        assert ("measure-not-given" in done.out) is not known, (measure, done.out)
        assert ("workers-tell" in done.out) is (measure in by_workers), (measure, done.out)


@pytest.mark.parametrize("kind", SHIPPED)
def test_what_a_job_can_say_is_what_lint_takes(kind, formats, run, tmp_path):
    said = {
        "call": 'call "shop.work"', "args": "args [1]", "kwargs": "kwargs { a: 1 }", "payload": "payload { a: 1 }",
        "priority": "priority 1", "delay": "delay 1s", "timeout": "timeout 1s", "retry": "retry 1",
    }  # fmt: skip
    told = formats[kind]["expresses"]
    path = tmp_path / "asked.plg"
    for name, words in said.items():
        call = 'call "shop.work"' if "call" in told and name != "call" else ""
        text = SCENARIO.format(queue=f'queue {kind} "q" {words}', call=call, line="errors == 0")
        path.write_text(text, encoding="utf-8")
        assert ("not-expressed" in run("lint", path).out) is (name not in told), name
