"""The document of a run is what ran: saved, hashed, judged and drawn by it, whatever was asked beside the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plg.cli.main import main
from plg.guardrails.policy import Policy
from plg.guardrails.policy_file import read_policy_text
from plg.judge.outcome import scenario_hash
from plg.language.limits import read_guardrails, with_limits
from plg.language.load import load, load_document
from plg.prepare import Request, prepare
from plg.scenario import ErrorRateLimit, Guardrails

TEXT = """scenario "effective" {
  param spare = 3
  target fake
  traffic { steady 50/s over 300ms }
  guardrails { max_rate 60/s  max_total_jobs 20_000  max_duration 2m }
  expect { errors == 0 }
}
"""
CEILINGS = (
    "ceilings: {max_rate: 20/s, max_total_jobs: 9000, max_duration: 90s, max_memory_mb: 512.5, max_cpu_percent: 70%,"
    " max_queue_depth: 0, max_queue_age: 1m30s, max_error_rate: {percent: 0.7%, over: 3s}}"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "effective.plg"
    path.write_text(TEXT, encoding="utf-8")
    return path


def policy(text: str) -> Policy:
    return Policy((read_policy_text(text, "plg-policy.yaml"),))


def test_all_that_was_asked_is_in_the_document(file: Path) -> None:
    asked = Request({}, seed=7, connections=3, policy=policy(CEILINGS))
    prepared = prepare(file, asked)
    again = load_document(dict(prepared.scenario.document)).scenario
    ran = prepared.scenario
    assert (again.guardrails, again.connections, again.arrivals) == (ran.guardrails, 3, ran.arrivals)
    assert prepared.plan.seed == ran.arrivals.seed == 7
    assert ran.guardrails.max_queue_depth == 0
    assert ran.document["guardrails"] == {
        "max_rate": "20/s", "max_total_jobs": 9000, "max_duration": "90s", "max_memory_mb": 512.5,
        "max_cpu_percent": "70%", "max_queue_depth": 0, "max_queue_age": "90s",
        "max_error_rate": {"percent": "0.7%", "over": "3s"},
    }  # fmt: skip
    plain = prepare(file, Request({})).scenario
    assert scenario_hash(plain.document) != scenario_hash(ran.document)
    assert scenario_hash(plain.document) == scenario_hash(load(file).scenario.document)


def test_a_policy_that_lowers_nothing_leaves_the_document(file: Path) -> None:
    free = prepare(file, Request({}, policy=policy("ceilings: {max_rate: 100/s}"))).scenario
    assert free == prepare(file, Request({})).scenario


numbers = st.floats(1e-3, 1e8, allow_nan=False)
shares = st.floats(1e-2, 100.0).map(lambda percent: percent / 100)  # as those of files are
memory = st.floats(1e-3, 1e6).map(lambda megabytes: megabytes * 1e6)
errors = st.builds(ErrorRateLimit, shares, st.floats(1e-3, 1e6))
limits = st.builds(
    Guardrails, numbers, st.integers(1, 10**12), st.floats(1e-6, 3e7), st.none() | memory,
    st.none() | shares, st.none() | st.integers(0, 10**12), st.none() | st.floats(1e-6, 3e7), st.none() | errors,
    st.floats(1e-3, 1e5), shares, st.booleans(),
)  # fmt: skip


@given(limits)
def test_limits_that_held_are_read_from_the_document_as_they_were(held: Guardrails) -> None:
    before = {"max_rate": "60/s", "max_total_jobs": 5, "max_duration": "2m"}
    document = with_limits({"name": "x", "guardrails": before}, read_guardrails(before), held)
    assert read_guardrails(json.loads(json.dumps(document))["guardrails"]) == held


def test_every_report_tells_of_the_limit_that_held(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    (file.parent / "plg-policy.yaml").write_text("ceilings: {max_rate: 20/s}", encoding="utf-8")
    code = main(["check", file.name, "--quiet", "--seed", "5", "--connections", "2"])
    assert code in (0, 3, 5)
    report = file.parent / "plg-report"
    page = (report / "effective.html").read_text(encoding="utf-8")
    saved = json.loads((report / "effective.outcome.json").read_text(encoding="utf-8"))
    again = load(report / "effective.scenario.yaml").scenario
    assert "60/s" not in page.replace("lowered from 60/s", "")
    assert (again.guardrails.max_rate, again.arrivals.seed, again.connections) == (20.0, 5, 2)
    assert saved["scenario"]["guardrails"]["max_rate"] == "20/s"
    assert saved["scenario_hash"] == scenario_hash(saved["scenario"]) == scenario_hash(again.document)
    assert "max_rate lowered from 60/s to 20/s" in (report / "junit.xml").read_text(encoding="utf-8")


def test_a_check_repeats_the_remarks_of_the_file(file: Path) -> None:
    notes = prepare(file, Request({})).notes
    assert f"the param 'spare' is never used ({file}:2)" in notes
