"""The rules of a policy beside its ceilings: queues, hours, roles, rates for admins; and which of them decides."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from plg.cli.main import main
from plg.diagnostics import ScenarioError
from plg.guardrails.admission import Admission
from plg.guardrails.explain import explain
from plg.guardrails.hours import DAYS, Hours, outside
from plg.guardrails.policy import Policy, PolicyRefusal, under_hard_ceilings
from plg.guardrails.policy_file import read_policy_text
from plg.guardrails.terms import Asked
from plg.patterns.steady import Steady
from plg.queues.base import Job, Queue
from plg.resources import read_text
from plg.scenario import Guardrails, Scenario
from plg.targets.interlock import Demand

LIMITS = Guardrails(max_rate=1000.0, max_total_jobs=1000, max_duration=60.0)
URL = "redis://db.example.com:6379/0"
RULES = """
admins: [kim, "ops-*"]
budget: 900/s
environments:
  - name: production
    hosts: [db.example.com]
    queues: ["load-*", orders]
    forbidden_queues: [load-secret]
    hours: ["Mon-Fri 09:00-17:30"]
    time_zone: Europe/Berlin
    admin_only: 500/s
    max_tests: 2
    budget: 800/s
    emergency_latch: until_reset
    ceilings: {max_rate: 700/s}
  - {name: elsewhere, hosts: ["*"], emergency_latch: 10m}
users:
  - {name: programs, roles: [operator], max_tests: 1, ceilings: {max_rate: 300/s}}
  - {name: guests, accounts: [guest], allow: false}
"""


def policy(text: str = RULES) -> Policy:
    schema = json.loads(read_text("schemas", "policy.schema.json"))
    import yaml

    assert not list(Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))
    return Policy((read_policy_text(text, "p.yaml"),))


def at(text: str, place: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(place)).timestamp()


NOON = at("2026-11-30T12:00")


def asked(**more) -> Asked:
    return Asked(**{"target": URL, "account": "ann", "start": NOON, "lasting": 60.0, "rate": 100.0, **more})


def test_what_a_run_needs_of_its_server_is_the_least_of_all_rules() -> None:
    found = policy().admit(asked(role="operator"))
    rule = "environment production of p.yaml"
    assert found == Demand(
        "", 800.0, 2.0, 1.0, (rule, rule, "user rule programs of p.yaml"), math.inf
    )  # fmt: skip
    assert found.asks
    other = policy().admit(asked(target="redis://other"))
    assert (other.budget, other.tests, other.sources[0], other.latch) == (900.0, math.inf, "p.yaml", 600.0)
    assert (
        policy("environments: [{name: a, hosts: [h], require_allow: true}]").admit(asked(target="redis://h")).required
    )
    assert not policy("environments: [{name: a, hosts: [h], require_allow: true}]").admit(asked()).asks


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queues": ("load-1", "orders")}, None),
        ({"queues": ("load-1", "payments")}, "it allows the queues load-*, orders alone, not 'payments'"),
        ({"queues": ("load-secret",)}, "it forbids the queue 'load-secret'"),
        ({"rate": 500.0}, None),
        ({"rate": 501.0}, "it lets admins alone send more than 500/s, and this is 501/s"),
        ({"rate": 501.0, "role": "author"}, "it lets admins alone"),
        ({"rate": 501.0, "role": "admin"}, None),
        ({"rate": 501.0, "account": "kim"}, None),
        ({"rate": 501.0, "account": "ops-7"}, None),
        ({"start": at("2026-11-30T08:59")}, "and it is Mon 08:59 Europe/Berlin"),
        ({"start": at("2026-11-30T09:00")}, None),
        ({"start": at("2026-11-30T17:29")}, None),
        ({"start": at("2026-11-30T17:29"), "lasting": 61.0}, "a run of 1m1s would go on at Mon 17:30 Europe/Berlin"),
        ({"start": at("2026-11-29T12:00")}, "and it is Sun 12:00"),
        ({"start": None}, None),
        ({"account": "guest"}, "the policy allows no load by guest (user rule guests)"),
        ({"target": "redis://other", "rate": 5000.0, "queues": ("payments",), "start": at("2026-11-29T12:00")}, None),
    ],
)
def test_a_run_is_refused_by_the_rule_that_says_why(change, words) -> None:
    """What a run is told is what ``plg policy explain`` says."""
    decision = explain(policy(), asked(**change))
    assert decision.allowed is (words is None)
    if words is None:
        policy().admit(asked(**change))
        return
    with pytest.raises(PolicyRefusal) as caught:
        policy().admit(asked(**change))
    [fault] = caught.value.diagnostics
    assert words in fault.message
    assert fault.span is not None
    [step] = [step for step in decision.steps if step.refuses]
    assert step.refuses in fault.message or step.refuses == "it allows no load"
    assert decision.decides == step.rule


def test_the_queues_and_the_role_count_before_anything_is_planned() -> None:
    scenario = Scenario("s", Steady(5, 5), (Job("j", Queue("list", "payments")),), LIMITS, URL)
    with pytest.raises(PolicyRefusal, match="not 'payments'"):
        policy().apply(scenario, account="ann")
    fine = Scenario("s", Steady(5, 5), (Job("j", Queue("list", "orders")),), LIMITS, URL)
    assert policy().apply(fine, account="ann")[0].guardrails.max_rate == 700
    assert policy().apply(fine, account="ann", role="operator")[0].guardrails.max_rate == 300


def test_nobody_is_an_admin_by_a_file_of_their_own() -> None:
    both = Policy((*policy().files, read_policy_text("admins: [ann]", "mine.yaml")))
    with pytest.raises(PolicyRefusal, match="admins alone"):
        both.admit(asked(rate=600.0))


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("budget: 0", "out-of-range", 1, "more than 0"),
        ("max_tests: 0", "out-of-range", 1, "at least 1"),
        ("max_tests: true", "wrong-type", 1, "whole number"),
        ("admins: kim", "wrong-type", 1, "must be a list"),
        ("webhook: {url: ftp://x, secret: {env: A}}", "wrong-type", 1, "https://"),
        ("webhook: {url: https://x, secret: abc}", "wrong-type", 1, "no place for a secret"),
        ("webhook: {url: https://x}", "missing-field", 1, "`secret`"),
        ("users:\n  - {name: a}", "missing-field", 2, "`accounts`"),
        ("users:\n  - {name: a, roles: [root]}", "unknown-name", 2, "viewer, operator"),
        ("users:\n  - {name: a, roles: [admn]}", "unknown-name", 2, "did you mean admin?"),
        ("environments:\n  - {name: a, hosts: [h], ports: [0]}", "out-of-range", 2, "from 1 to 65535"),
        ("environments:\n  - {name: a, hosts: [h], ports: ['6379']}", "wrong-type", 2, "whole numbers"),
        ("environments:\n  - {name: a, hosts: [h], databases: []}", "out-of-range", 2, "empty"),
        ("environments:\n  - {name: a, hosts: [h], hours: [always]}", "bad-hours", 2, "Mon-Fri 09:00-17:30"),
        ("environments:\n  - {name: a, hosts: [h], hours: ['Foo 1:00-2:00']}", "bad-hours", 2, "no day"),
        ("environments:\n  - {name: a, hosts: [h], hours: ['9:00-9:00']}", "bad-hours", 2, "no time at all"),
        ("environments:\n  - {name: a, hosts: [h], hours: ['9:00-24:01']}", "bad-hours", 2, "no day has"),
        ("environments:\n  - {name: a, hosts: [h], time_zone: Mars}", "unknown-name", 2, "Europe/Berlin"),
        ("environments:\n  - {name: a, hosts: [h], emergency_latch: often}", "wrong-type", 2, "emergency_latch"),
        ("environments:\n  - {name: a, hosts: [h], require_allow: 1}", "wrong-type", 2, "true or false"),
        ("environments:\n  - {name: a, hosts: [h], admin_only: fast}", "wrong-type", 2, "admin_only"),
        ("users:\n  - {name: a, accounts: [b], budget: 5/s}", "unknown-key", 2, "budget"),
    ],
)
def test_a_fault_of_a_rule_is_named_with_its_place(text: str, code: str, line: int, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_policy_text(text, "p.yaml")
    [fault] = caught.value.diagnostics
    assert (fault.span.line if fault.span else 0) == line
    assert words in f"{fault.message} {fault.help}", fault
    assert fault.code == code


def _holds(hours: list[Hours], moment: datetime) -> bool:
    """By going through the week minute by minute."""
    minute = moment.hour * 60 + moment.minute
    yesterday = (moment.weekday() - 1) % 7
    for each in hours:
        over_night = each.end <= each.begin
        if moment.weekday() in each.days and each.begin <= minute and (over_night or minute < each.end):
            return True
        if over_night and yesterday in each.days and minute < each.end:
            return True
    return False


clock = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda t: f"{t[0]:02d}:{t[1]:02d}")
days = st.one_of(st.just(""), st.sampled_from(DAYS), st.tuples(*[st.sampled_from(DAYS)] * 2).map("-".join))
spans = st.tuples(days, clock, clock).filter(lambda t: t[1] != t[2]).map(lambda t: f"{t[0]} {t[1]}-{t[2]}".strip())


@given(st.lists(spans, min_size=1, max_size=4), st.integers(0, 7 * 24 * 60 - 1), st.integers(0, 3 * 24 * 60))
@example(["Fri-Mon 22:00-06:00"], 0, 300)
@example(["00:00-24:00"], 5, 9000)
def test_hours_hold_as_a_walk_through_the_week_says(texts: list[str], minute: int, lasting: int) -> None:
    hours = [Hours.read(text) for text in texts]
    monday = at("2026-11-30T00:00", "UTC")
    start = monday + minute * 60
    steps = range(minute, minute + max(1, lasting))
    walk = [step for step in steps if not _holds(hours, datetime.fromtimestamp(monday + step * 60, ZoneInfo("UTC")))]
    first = outside(hours, "UTC", start, lasting * 60.0)
    assert first == (monday + walk[0] * 60 if walk else None)


def test_hours_are_those_of_the_place_where_summer_time_begins() -> None:
    night = [Hours.read("00:00-03:00")]
    assert outside(night, "Europe/Berlin", at("2026-03-29T01:30"), 1799) is None
    assert outside(night, "Europe/Berlin", at("2026-03-29T01:30"), 3600) == at("2026-03-29T03:00")


def test_more_than_plg_allows_is_lowered_without_any_policy() -> None:
    wild = Guardrails(max_rate=1e9, max_total_jobs=10**12, max_duration=1e9, emergency_stop=False)
    scenario, remarks = under_hard_ceilings(Scenario("s", Steady(5, 5), (), wild, URL))
    limits = scenario.guardrails
    assert (limits.max_rate, limits.max_total_jobs, limits.max_duration) == (1e7, 10**11, 366 * 86_400)
    assert len(remarks) == 3
    assert not limits.emergency_stop
    calm = Scenario("s", Steady(5, 5), (), LIMITS, URL)
    assert under_hard_ceilings(calm) == (calm, ())


def test_tests_of_one_server_share_a_number_and_a_rate_whatever_their_targets() -> None:
    text = RULES.replace("budget: 900/s", "budget: 900/s\nmax_tests: 3")
    here = Admission(policy(text), most=10)
    other = {"target": "redis://other"}
    assert here.begin("a", asked(rate=400.0, **other)) is None
    assert "leave 500/s of the budget of 900/s in p.yaml" in str(here.begin("b", asked(rate=501.0, **other)))
    assert here.begin("c", asked(role="operator", account="ci", **other)) is None
    assert "1 test of ci already run" in str(here.begin("d", asked(role="operator", account="ci", **other)))
    assert here.begin("e", asked(**other)) is None
    assert "3 tests already run, and p.yaml allows 3" in str(here.begin("f", asked(rate=1.0, **other)))
    here.end("a")
    here.end("unknown")
    assert here.begin("f", asked(rate=1.0, **other)) is None
    assert sorted(here.running) == ["c", "e", "f"]
    with pytest.raises(PolicyRefusal):
        here.begin("g", asked(account="guest"))
    alone = Admission(None, most=1)
    assert alone.begin("a", asked()) is None
    assert "this server takes 1 at a time" in str(alone.begin("b", asked()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plg-policy.yaml").write_text(RULES)
    (tmp_path / "sale.plg").write_text(
        'scenario "sale" { job a { queue "orders" } traffic { steady 600/s over 10s }\n'
        "guardrails { max_rate 650/s max_total_jobs 10_000 max_duration 1m } }"
    )
    return tmp_path


def test_the_command_says_which_rule_decides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        code = main(["policy", *arguments])
        return code, capsys.readouterr().out

    assert said("check")[0] == 0
    monday = ("--at", "2026-11-30T12:00:00Z", "--target", URL)
    code, out = said("explain", "sale.plg", "--account", "ann", *monday)
    assert code == 2
    assert "it lets admins alone send more than 500/s, and this is 600/s" in out
    assert out.splitlines()[-1] == f"exit 2: refused by environment production of {folder / 'plg-policy.yaml'}"
    assert said("explain", "sale.plg", "--account", "kim", *monday)[0] == 0
    code, out = said("explain", "--account", "kim", "--rate", "800/s", *monday)
    assert out.splitlines()[-1].startswith("exit 0: allowed, with at most 700/s; what is asked, 800/s, is clipped")
    code, out = said("explain", "--json", "--account", "ann", "--target", "redis://u:pw@other")
    told = json.loads(out)
    assert (code, told["allowed"], told["max_rate"]) == (0, True, 1e7)
    assert "pw" not in told["asked"]["target"]
    by_rule = {rule["rule"].partition(" of ")[0]: rule for rule in told["rules"]}
    assert by_rule["environment production"]["why"] == "other is none of its hosts"
    assert by_rule["environment elsewhere"]["applies"]
    assert by_rule["user rule programs"]["why"] == "it is not for ann"
