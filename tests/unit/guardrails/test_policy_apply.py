"""Whatever is applied, in whatever order, a policy only ever lowers."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plg.diagnostics import ScenarioError
from plg.guardrails.policy import Ceilings, Policy, PolicyFile, PolicyRefusal, Rule, account_name
from plg.patterns.steady import Steady
from plg.queues.base import Job, Queue
from plg.scenario import ErrorRateLimit, Guardrails, Scenario

LIMITS = Guardrails(max_rate=500.0, max_total_jobs=20_000, max_duration=120.0)
SCENARIO = Scenario("sale", Steady(base_rate=10.0, duration=1.0), (Job("job", queue=Queue("list", "q")),), LIMITS)


def on(target: str, **limits: object) -> Scenario:
    return replace(SCENARIO, target=target, guardrails=replace(LIMITS, **limits))  # type: ignore[arg-type]  # names of Guardrails


def policy(*environments: Rule, users: tuple[Rule, ...] = (), everywhere: Ceilings = Ceilings()) -> Policy:  # noqa: B008  # frozen
    return Policy((PolicyFile("policy.yaml", environments, users, everywhere),))


PRODUCTION = Rule("production", ("*.prod.example.com",), Ceilings(max_rate=100.0, max_queue_depth=1000))
STAGING = Rule("staging", ("*.example.com",), Ceilings(max_rate=300.0))
ELSEWHERE = Rule("elsewhere", ("*",), Ceilings(max_rate=5.0))


def test_a_ceiling_lowers_and_says_so() -> None:
    scenario, remarks = policy(PRODUCTION).apply(on("redis://db.prod.example.com"))
    assert scenario.guardrails == replace(LIMITS, max_rate=100.0, max_queue_depth=1000)
    assert remarks == (
        "max_rate lowered from 500/s to 100/s by environment production of policy.yaml",
        "max_queue_depth lowered from unset to 1,000 by environment production of policy.yaml",
    )


def test_a_lower_limit_of_the_scenario_stays() -> None:
    scenario, remarks = policy(PRODUCTION).apply(on("redis://db.prod.example.com", max_rate=7.0, max_queue_depth=3))
    assert (scenario.guardrails.max_rate, scenario.guardrails.max_queue_depth, remarks) == (7.0, 3, ())


def test_every_environment_that_matches_holds_and_the_order_is_nothing() -> None:
    first, _ = policy(PRODUCTION, STAGING).apply(on("redis://db.prod.example.com"))
    second, _ = policy(STAGING, PRODUCTION).apply(on("redis://db.prod.example.com"))
    assert first.guardrails == second.guardrails
    assert first.guardrails.max_rate == 100.0


def test_the_catch_all_holds_only_for_hosts_no_other_environment_names() -> None:
    both = policy(PRODUCTION, ELSEWHERE)
    assert both.apply(on("redis://db.prod.example.com"))[0].guardrails.max_rate == 100.0
    assert both.apply(on("redis://unheard.of"))[0].guardrails.max_rate == 5.0
    assert both.apply(on("embedded"))[0].guardrails.max_rate == 5.0


def test_a_host_in_no_environment_has_no_ceiling() -> None:
    assert policy(PRODUCTION).apply(on("redis://db.other.org")) == (on("redis://db.other.org"), ())


def test_naming_an_environment_can_only_lower() -> None:
    both = policy(PRODUCTION, STAGING, ELSEWHERE)
    assert both.apply(on("redis://db.prod.example.com"), "staging")[0].guardrails.max_rate == 100.0
    assert both.apply(on("redis://db.example.com"), "production")[0].guardrails.max_rate == 100.0
    # Naming one does not turn the catch-all off.
    assert both.apply(on("redis://unheard.of"), "staging")[0].guardrails.max_rate == 5.0


def test_an_unknown_environment_is_refused_with_those_there_are() -> None:
    with pytest.raises(PolicyRefusal) as caught:
        policy(PRODUCTION, STAGING).apply(on("embedded"), "prod")
    [fault] = caught.value.diagnostics
    assert (fault.code, fault.help) == ("unknown-environment", "the environments are production, staging")


def test_a_forbidden_host_is_refused() -> None:
    with pytest.raises(ScenarioError) as caught:
        policy(replace(PRODUCTION, allow=False)).apply(on("redis://db.prod.example.com."))
    [fault] = caught.value.diagnostics
    assert fault.code == "policy-refused"
    assert fault.message == "the policy allows no load on db.prod.example.com (environment production)"


def test_a_target_that_cannot_be_read_is_refused_rather_than_free() -> None:
    with pytest.raises(PolicyRefusal, match="cannot tell the host"):
        policy(PRODUCTION).apply(on("redis://db.prod.example.com:port"))


def test_a_password_never_shows_in_a_refusal() -> None:
    with pytest.raises(PolicyRefusal) as caught:
        policy(PRODUCTION).apply(on("redis://u:geheim@db.prod.example.com:port"))
    assert "geheim" not in str(caught.value)


def test_users_have_ceilings_by_account_and_a_catch_all_of_their_own() -> None:
    users = (Rule("ci", ("runner", "ci-*"), Ceilings(max_rate=50.0)), Rule("others", ("*",), Ceilings(max_rate=1.0)))
    both = policy(PRODUCTION, users=users)
    assert both.apply(on("embedded"), account="ci-7")[0].guardrails.max_rate == 50.0
    assert both.apply(on("redis://db.prod.example.com"), account="runner")[0].guardrails.max_rate == 50.0
    assert both.apply(on("embedded"), account="eve")[0].guardrails.max_rate == 1.0
    with pytest.raises(PolicyRefusal, match="no load by eve"):
        policy(users=(Rule("eve", ("eve",), allow=False),)).apply(on("embedded"), account="eve")


def test_the_account_is_not_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    true = account_name()
    for variable in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody-else")
    assert account_name() == true
    guarded = policy(users=(Rule("me", (true,), Ceilings(max_rate=2.0)),))
    assert guarded.apply(on("embedded"))[0].guardrails.max_rate == 2.0


def test_a_second_file_takes_nothing_from_the_first() -> None:
    generous = PolicyFile("mine.yaml", (Rule("mine", ("*",), Ceilings(max_rate=1e6)),))
    strict = PolicyFile("theirs.yaml", (Rule("all", ("*",), Ceilings(max_rate=10.0)),))
    for files in ((generous, strict), (strict, generous)):
        scenario, remarks = Policy(files).apply(on("redis://db"))
        assert scenario.guardrails.max_rate == 10.0
        assert "environment all of theirs.yaml" in remarks[0]


def test_a_long_window_cannot_smuggle_a_burst_past_a_rate() -> None:
    scenario, remarks = policy(PRODUCTION).apply(on("redis://db.prod.example.com", rate_limit_window=3600.0))
    assert scenario.guardrails.rate_limit_window == 1.0
    assert any("rate_limit_window lowered from 1h to 1s" in remark for remark in remarks)


def test_a_ceiling_turns_the_emergency_stop_on() -> None:
    scenario, remarks = policy(PRODUCTION).apply(on("redis://db.prod.example.com", emergency_stop=False))
    assert scenario.guardrails.emergency_stop
    assert any("emergency_stop turned on" in remark for remark in remarks)
    untouched, _ = policy(PRODUCTION).apply(on("redis://other", emergency_stop=False))
    assert not untouched.guardrails.emergency_stop


@pytest.mark.parametrize(
    ("present", "ceiling", "then"),
    [
        (None, ErrorRateLimit(0.05, 10.0), ErrorRateLimit(0.05, 10.0)),
        (ErrorRateLimit(0.5, 5.0), ErrorRateLimit(0.05, 10.0), ErrorRateLimit(0.05, 5.0)),
        (ErrorRateLimit(0.01, 3600.0), ErrorRateLimit(0.05, 10.0), ErrorRateLimit(0.01, 10.0)),
        (ErrorRateLimit(0.01, 1.0), None, ErrorRateLimit(0.01, 1.0)),
    ],
)
def test_an_error_rate_is_as_strict_as_both(
    present: ErrorRateLimit | None, ceiling: ErrorRateLimit | None, then: ErrorRateLimit
) -> None:
    guarded = policy(everywhere=Ceilings(max_error_rate=ceiling))
    assert guarded.apply(on("embedded", max_error_rate=present))[0].guardrails.max_error_rate == then


amounts = st.integers(1, 10**6)
errors = st.builds(ErrorRateLimit, st.floats(0.01, 1), st.floats(0.1, 100))
ceilings = st.builds(
    Ceilings,
    **{f.name: st.none() | (errors if f.name == "max_error_rate" else amounts) for f in fields(Ceilings)},
)
limits = st.builds(
    Guardrails,
    *[amounts] * 3,
    *[st.none() | amounts] * 4,
    max_error_rate=st.none() | errors,
    rate_limit_window=amounts,
    emergency_stop=st.booleans(),
)
hosts = st.sampled_from(["*", "db", "d*", "embedded", "10.0.0.0/8", "x"])
patterns = st.lists(hosts, min_size=1, max_size=3).map(tuple)
rules = st.lists(st.builds(Rule, st.sampled_from(["a", "b", "c"]), patterns, ceilings), max_size=4).map(tuple)
files = st.builds(PolicyFile, st.just("p"), rules, rules, ceilings)


@settings(max_examples=150)
@given(
    chain=st.lists(files, min_size=1, max_size=3),
    limit=limits,
    target=st.sampled_from(["embedded", "redis://db", "redis://10.1.1.1", "unix:///s"]),
    account=st.sampled_from(["db", "x", "eve"]),
    named=st.none() | st.sampled_from(["a", "b"]),
)
def test_no_policy_ever_raises_a_limit(
    chain: list[PolicyFile], limit: Guardrails, target: str, account: str, named: str | None
) -> None:
    asked = replace(SCENARIO, target=target, guardrails=limit)
    guarded = Policy(tuple(chain))
    if named is not None and all(r.name != named for f in chain for r in f.environments):
        named = None
    free = guarded.apply(asked, None, account=account)[0].guardrails
    lowered = guarded.apply(asked, named, account=account)[0].guardrails
    for before, after in ((limit, free), (free, lowered)):
        for name in (f.name for f in fields(Ceilings) if f.name != "max_error_rate"):
            was, now = getattr(before, name), getattr(after, name)
            assert was is None or now <= was, name
        if before.max_error_rate is not None:
            assert after.max_error_rate is not None
            assert after.max_error_rate.fraction <= before.max_error_rate.fraction
            assert after.max_error_rate.over <= before.max_error_rate.over
        assert after.emergency_stop or not before.emergency_stop
    # Applied again it finds nothing left to lower.
    again, remarks = guarded.apply(replace(asked, guardrails=lowered), named, account=account)
    assert (again.guardrails, remarks) == (lowered, ())
