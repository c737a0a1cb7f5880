from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_samples import SAMPLES, expectation, failing, invalid, passing, stopped, unreachable

from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.outcome import Ledger, Outcome
from plg.reports.junit import InvalidScenario, junit

SUITE_ATTRIBUTES = {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"}
ROOT_ATTRIBUTES = {"name", "time", "tests", "failures", "errors"}
ORDER = ["properties", "testcase", "system-out", "system-err"]
CASE_ORDER = ["skipped", "error", "failure", "system-out", "system-err"]
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.encode("utf-8"))


def check_rules(root: ElementTree.Element) -> None:
    """The rules of junit-10 that a document can break, ``file`` and ``line`` of a case apart."""
    assert root.tag == "testsuites"
    assert set(root.attrib) <= ROOT_ATTRIBUTES
    assert len(root) > 0
    for total in ("tests", "failures", "errors"):
        assert int(root.get(total, "-1")) == sum(int(suite.get(total, "-1")) for suite in root)
    for suite in root:
        assert set(suite.attrib) <= SUITE_ATTRIBUTES
        assert ranks(suite, ORDER) == sorted(ranks(suite, ORDER))
        cases = suite.findall("testcase")
        assert int(suite.get("tests", "-1")) == len(cases) > 0
        assert int(suite.get("failures", "-1")) == sum(case.find("failure") is not None for case in cases)
        assert int(suite.get("errors", "-1")) == sum(case.find("error") is not None for case in cases)
        for case in cases:
            assert {"name", "classname", "time"} <= set(case.attrib) <= {"name", "classname", "time", "file", "line"}
            assert case.get("classname") == suite.get("name")
            assert ranks(case, CASE_ORDER) == sorted(ranks(case, CASE_ORDER))
        names = [(case.get("classname"), case.get("name")) for case in cases]
        assert len(set(names)) == len(names)
    for element in root.iter():
        if "time" in element.attrib:
            assert re.fullmatch(r"\d+\.\d{3}", element.attrib["time"])


def ranks(parent: ElementTree.Element, order: list[str]) -> list[int]:
    return [order.index(child.tag) for child in parent]


def case(root: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(case for case in root.iter("testcase") if case.get("name") == name)


def test_every_sample_keeps_the_rules(outcome: Outcome) -> None:
    root = parse(junit([outcome]))
    check_rules(root)
    bad = root.findall(".//failure") + root.findall(".//error")
    assert bool(bad) == (outcome.exit_code != 0)
    for element in bad:
        assert element.get("message")
        assert element.text


def test_one_case_an_expectation_one_for_guardrails_one_for_the_ledger() -> None:
    names = [case.get("name") for case in parse(junit([failing()])).iter("testcase")]
    assert names == ["own workers", *(e.text for e in failing().expectations), "guardrails", "ledger"]


def test_a_failure_says_bound_observation_and_place() -> None:
    found = case(parse(junit([failing()])), "p99(latency) < 250ms during stampede or stop")
    failure = found.find("failure")
    assert failure is not None
    message = "expected < 250ms during stampede, observed 312ms, first breach at 12.4s in stampede"
    assert failure.get("message") == message
    assert message in (failure.text or "")
    assert found.get("file") == "scenarios/flash-sale.plg"
    assert found.get("line") == "37"


def test_no_data_is_an_error_and_a_warning_passes_with_its_text() -> None:
    root = parse(junit([failing()]))
    assert case(root, "p99.9(lag) < 20ms during doors").find("error") is not None
    warned = case(root, "warn p99(lag) < 1ms")
    assert [child.tag for child in warned] == ["system-out"]
    assert (warned[0].text or "").startswith("WARNING: expected < 1ms, observed 1.6ms")


def test_properties_hold_what_identifies_the_run() -> None:
    suite = parse(junit([failing()]))[0]
    found = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert found["seed"] == "42"
    assert found["planned"] == "2520"
    assert found["acked"] == "2442"
    assert found["deviation"] == "0.03095"
    assert {"run_id", "plg_version", "target", "scenario_hash"} <= set(found)


@pytest.mark.parametrize(
    ("outcome", "name"),
    [(invalid(), "run"), (unreachable(), "run"), (stopped(), "guardrails")],
    ids=["invalid", "unreachable", "stopped"],
)
def test_a_run_that_went_wrong_is_an_error_with_its_reason(outcome: Outcome, name: str) -> None:
    error = case(parse(junit([outcome])), name).find("error")
    assert error is not None
    assert outcome.reason in (error.text or "")


def test_a_ledger_that_does_not_add_up_is_an_error() -> None:
    broken = replace(passing(), ledger=Ledger(10, 8, 0, 0, 0, 8, 0, 0), exit_code=1, reason="2 jobs unaccounted for")
    error = case(parse(junit([broken])), "ledger").find("error")
    assert error is not None
    assert error.get("message") == "the ledger does not add up: 2 jobs unaccounted for"


@pytest.mark.parametrize("code", [1, 3, 4, 5, 6, 130])
def test_no_exit_code_but_zero_leaves_a_green_document(code: int) -> None:
    root = parse(junit([replace(passing(), exit_code=code, reason="for a reason nobody foresaw")]))
    check_rules(root)
    assert root.findall(".//error") or root.findall(".//failure")


def test_durations_of_cases_add_up_to_that_of_the_run() -> None:
    suite = parse(junit([failing()]))[0]
    total = sum(float(found.get("time", "0")) for found in suite.iter("testcase"))
    assert total == pytest.approx(16.0, abs=0.01)
    assert suite.get("time") == "16.000"


def test_same_texts_and_same_scenarios_get_names_of_their_own() -> None:
    twice = replace(passing(), expectations=(passing().expectations[0],) * 3)
    root = parse(junit([twice, twice]))
    check_rules(root)
    assert [suite.get("name") for suite in root] == ["flash-sale", "flash-sale (2)"]
    names = [case.get("name") for case in root[0].iter("testcase")]
    assert names[1:4] == ["deviation < 5%", "deviation < 5% (2)", "deviation < 5% (3)"]


def test_a_name_that_looks_like_a_numbered_one_is_not_taken_twice() -> None:
    texts = ["errors == 0", "errors == 0 (2)", "errors == 0"]
    made = tuple(expectation(text, "pass", 0.0, 0.0, "jobs") for text in texts)
    root = parse(junit([replace(passing(), expectations=made)]))
    check_rules(root)


def test_a_refused_scenario_is_a_suite_with_one_error() -> None:
    faults = [
        Diagnostic("unknown-unit", "unknown rate unit 'fortnight'", "a.plg", Span(7, 3, 7, 12)),
        Diagnostic("missing-field", "max_rate is missing", "a.plg", Span(9, 1, 9, 2)),
    ]
    root = parse(junit([InvalidScenario("a", ScenarioError(faults), "the rendered text\nof both")]))
    check_rules(root)
    found = case(root, "scenario is valid")
    error = found.find("error")
    assert error is not None
    assert error.get("message") == "unknown-unit: unknown rate unit 'fortnight' (and 1 more)"
    assert error.text == "the rendered text\nof both"
    assert (found.get("file"), found.get("line")) == ("a.plg", "7")
    assert root.get("errors") == "1"


def test_attachments_stand_where_gitlab_looks() -> None:
    outcome = failing()
    root = parse(junit([outcome], {outcome.run_id: "plg-report/flash-sale.html"}))
    marker = "[[ATTACHMENT|plg-report/flash-sale.html]]"
    with_marker = {c.get("name") for c in root.iter("testcase") if marker in (c.findtext("system-out") or "")}
    failed = {
        c.get("name") for c in root.iter("testcase") if c.find("failure") is not None or c.find("error") is not None
    }
    assert failed <= with_marker
    assert "ledger" in with_marker


def test_nothing_to_write_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        junit([])


anything = st.text(alphabet=st.characters(), max_size=40)


@settings(max_examples=120, deadline=None)
@given(name=anything, text=anything, reason=anything, detail=anything)
def test_any_text_gives_well_formed_xml(name: str, text: str, reason: str, detail: str) -> None:
    base = SAMPLES["error"]()
    odd = replace(
        base,
        scenario={**base.scenario, "name": name},
        reason=reason,
        expectations=(replace(base.expectations[0], text=text, detail=detail, file=text), *base.expectations),
        errors=((detail, 3),),
    )
    written = junit([odd, odd, InvalidScenario(name, ScenarioError([Diagnostic("x", reason)]), detail)])
    assert not ILLEGAL.search(written)
    check_rules(parse(written))
