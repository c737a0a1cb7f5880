"""Each connection is held against the policy before it is made: under its name, its address and all other names."""

from __future__ import annotations

import json
import socket

import pytest

from plg.guardrails.policy import Ceilings, Policy, PolicyFile, PolicyRefusal, Rule
from plg.guardrails.terms import Asked, Terms
from plg.patterns.steady import Steady
from plg.scenario import Guardrails, Scenario
from plg.targets import gate as gates
from plg.targets.base import TargetError
from plg.targets.gate import Gate
from plg.targets.hosts import Door, door_of, holding, names_of
from plg.targets.open import open_target

LIMITS = Guardrails(max_rate=100.0, max_total_jobs=1000, max_duration=60.0)
NAMES = {"db.prod.example.com": ["10.1.2.3", "fd00::3"], "redis.ci": ["192.0.2.10"], "me.example.com": ["127.0.1.1"]}


def gate(*rules: Rule) -> Gate:
    return Policy((PolicyFile("p.yaml", rules),)).gate(LIMITS)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the policy's names resolve to, and those that were asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, seconds: float):
        asked.append(host)
        if host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(0, 0, 0, "", (address, port)) for address in NAMES[host]]

    monkeypatch.setattr(gates, "look_up", look_up)
    return asked


@pytest.mark.parametrize(
    ("host", "address", "words"),
    [
        ("x.shop.example.com", "192.0.2.7", "allows no load on x.shop.example.com at 192.0.2.7"),
        ("queue.example.com", "10.2.2.3", "lower ceiling holds: max_rate lowered from 100/s to 10/s"),
        ("::ffff:10.2.2.3", "::ffff:10.2.2.3", "--env network"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.3, which is db.prod.example.com (environment production of p.yaml)"),
        ("alias.example.com", "fd00:0::3", "allows no load on alias.example.com at fd00:0::3"),
        ("localhost", "127.0.0.1", "127.0.0.1, which is me.example.com (environment me of p.yaml)"),
        ("queue.example.com", "192.0.2.8", None),
    ],
)
def test_every_connection_is_held_against_the_policy(host: str, address: str, words: str | None) -> None:
    found = gate(
        Rule("shop", ("*.shop.example.com",), allow=False),
        Rule("production", ("db.prod.example.com",), allow=False),
        Rule("network", ("10.2.0.0/16",), Ceilings(max_rate=10.0)),
        Rule("me", ("me.example.com",), allow=False),
        Rule("fast", ("queue.example.com",), Ceilings(max_rate=500.0)),
    ).refusal(host, address)
    if words is None:
        assert found is None
    else:
        assert found is not None
        assert words in found


def test_the_catch_all_is_for_hosts_that_nothing_else_names() -> None:
    """A node that a cluster tells of by its address is still the host that the policy names."""
    judge = gate(Rule("ci", ("redis.ci",)), Rule("elsewhere", ("*",), Ceilings(max_rate=1.0)))
    assert judge.refusal("192.0.2.10", "192.0.2.10") is None
    assert "environment elsewhere" in str(judge.refusal("192.0.2.11", "192.0.2.11"))


@pytest.mark.parametrize(
    ("named", "host", "address"),
    [
        ("localhost", "vm", "127.0.1.1"),  # a node of a cluster on this machine, under the name that it announces
        ("localhost", "vm", "::1"),
        ("me.example.com", "vm", "127.0.1.1"),
        ("redis.ci", "node-1.example.com", "192.0.2.10"),
        ("192.0.2.0/24", "node-1.example.com", "192.0.2.10"),
    ],
)
def test_the_catch_all_meets_a_name_as_it_would_in_a_url(named: str, host: str, address: str) -> None:
    """Otherwise a node that is asked for as one host and announces another takes jobs under no ceiling at all."""
    for forbidden in (Rule("elsewhere", ("*",), allow=False), Rule("elsewhere", ("*",), Ceilings(max_rate=1.0))):
        judge = gate(Rule("free", (named,)), forbidden)
        assert "environment elsewhere" in str(judge.refusal(host, address))
        assert judge.refusal(address, address) is None
    roomy = gate(Rule("free", (named,)), Rule("elsewhere", ("*",), Ceilings(max_rate=100.0, max_total_jobs=1000)))
    assert roomy.refusal(host, address) is None


def test_an_address_of_an_interface_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "is_local", lambda address: address == "192.0.2.77")
    strict = gate(Rule("here", ("localhost",), allow=False))
    assert "environment here" in str(strict.refusal("192.0.2.77", "192.0.2.77"))
    assert strict.refusal("192.0.2.78", "192.0.2.78") is None
    free = gate(Rule("here", ("localhost",)), Rule("elsewhere", ("*",), allow=False))
    assert "environment elsewhere" in str(free.refusal("192.0.2.77", "192.0.2.77")), "as it is for a URL with it"


def test_each_file_is_asked() -> None:
    loose, strict = (Rule("ci", ("redis.ci",)),), (Rule("elsewhere", ("*",), allow=False),)
    judge = Policy((PolicyFile("a.yaml", loose), PolicyFile("b.yaml", strict))).gate(LIMITS)
    assert "elsewhere of b.yaml" in str(judge.refusal("redis.ci", "192.0.2.10"))


def test_only_names_are_looked_up_and_not_for_each_connection(names: list[str]) -> None:
    patterns = (
        "redis.ci",
        "*.prod",
        "10.0.0.0/8",
        "192.0.2.1",
        "localhost",
        "embedded",
        "gone.example",
        "fd00::1",
        "*",
    )
    judge = gate(Rule("all", patterns))
    for _ in range(3):
        assert judge.refusal("192.0.2.10", "192.0.2.10") is None
    assert sorted(names) == ["gone.example", "redis.ci"]


def test_a_gate_travels_as_json() -> None:
    judge = gate(Rule("production", ("db.prod.example.com",), Ceilings(max_rate=1.0)), Rule("x", ("*",), allow=False))
    again = Gate.from_document(json.loads(json.dumps(judge.to_document())))
    assert again == judge
    for host in ("10.1.2.3", "10.1.2.4"):
        assert again.refusal(host, host) == judge.refusal(host, host) is not None


def test_all_addresses_of_a_name_are_judged_before_one_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
        monkeypatch.setattr("plg.targets.dialing.look_up", lambda host, port, seconds: found)
        judge = gate(Rule("second", ("127.0.0.2/32",), allow=False))
        with pytest.raises(TargetError, match=r"no load on two\.example at 127\.0\.0\.2") as refusal:
            open_target(f"redis://two.example:{port}", (), gate=judge)
        assert (refusal.value.kind, refusal.value.passing) == ("forbidden", False)
        door.setblocking(False)
        with pytest.raises(BlockingIOError):
            door.accept()


def test_a_socket_is_this_machine() -> None:
    with pytest.raises(TargetError, match="allows no load on localhost at 127"):
        open_target("unix:///run/nothing.sock", (), gate=gate(Rule("here", ("localhost",), allow=False)))


def test_a_private_server_is_no_door_to_this_machine() -> None:
    with open_target("embedded", (), gate=gate(Rule("here", ("localhost",), allow=False))) as target:
        assert target.server.kind == "embedded"


PORTS = (
    Rule("queue", ("db.example.com",), Ceilings(max_rate=10.0), ports=(6379,)),
    Rule("cache", ("db.example.com",), allow=False, ports=(6380,), databases=(1, 2)),
    Rule("elsewhere", ("*",), Ceilings(max_rate=50.0)),
)


@pytest.mark.parametrize(
    ("target", "rate", "refused"),
    [
        ("redis://db.example.com", 10.0, False),
        ("redis://db.example.com:6379/7", 10.0, False),
        ("redis://db.example.com:6380/0", 50.0, False),
        ("redis://db.example.com:6380/1", None, True),
        ("redis://db.example.com:6380?db=2", None, True),
        ("redis://db.example.com:6381/1", 50.0, False),
    ],
)
def test_an_environment_may_be_one_of_some_ports_and_databases_alone(target, rate, refused) -> None:
    """Both by the URL and where a connection is made; where none of them is meant, the catch-all holds."""
    policy = Policy((PolicyFile("p.yaml", PORTS),))
    asked = Scenario("s", Steady(5, 5), (), LIMITS, target)
    if refused:
        with pytest.raises(PolicyRefusal, match="environment cache"):
            policy.apply(asked)
    else:
        assert policy.apply(asked)[0].guardrails.max_rate == rate
    said = policy.gate(LIMITS).refusal("db.example.com", "192.0.2.1", door_of(target))
    assert ("environment cache" if refused else f"to {rate:g}/s") in str(said)


def test_a_door_that_cannot_be_told_is_under_every_rule_that_may_mean_it() -> None:
    """A unix socket has no port: the rule for one holds, and so does the catch-all."""
    rules = (Rule("queue", ("localhost",), ports=(6379,)), Rule("elsewhere", ("*",)))
    names = names_of("unix:///run/redis.sock")
    assert [rule.name for rule in holding(rules, names, door_of("unix:///run/redis.sock"))] == ["queue", "elsewhere"]
    assert [rule.name for rule in holding(rules, names, Door(6379, 0))] == ["queue"]
    assert [rule.name for rule in holding(rules, names, Door(6380, 0))] == ["elsewhere"]


def test_ports_and_databases_travel_with_the_gate() -> None:
    judge = gate(*PORTS)
    again = Gate.from_document(json.loads(json.dumps(judge.to_document())))
    assert again.files == judge.files


def test_rules_that_a_run_was_not_held_against_keep_it_from_a_host() -> None:
    """A server that is reached by its address has the hours, the queues and the interlock of its name."""
    rules = (
        Rule("production", ("db.prod.example.com",), terms=Terms(require_allow=True)),
        Rule("plain", ("redis.ci",), Ceilings(max_rate=200.0)),
    )
    policy = Policy((PolicyFile("p.yaml", rules),))
    by_address, by_name = Asked("redis://10.1.2.3", "ann"), Asked("redis://db.prod.example.com", "ann")
    assert not policy.admit(by_address).required
    said = policy.gate(LIMITS, by_address).refusal("10.1.2.3", "10.1.2.3")
    assert "environment production of p.yaml has rules of its own (apply them from the start: --env production)" in str(
        said
    )
    assert policy.admit(by_name).required
    assert policy.gate(LIMITS, by_name).refusal("db.prod.example.com", "10.1.2.3") is None
    named = Asked("redis://10.1.2.3", "ann", named="production")
    assert policy.admit(named).required
    assert policy.gate(LIMITS, named).refusal("10.1.2.3", "10.1.2.3") is None
    assert policy.gate(LIMITS, by_address).refusal("redis.ci", "192.0.2.10") is None


def test_a_master_behind_sentinels_has_a_port_once_it_is_connected_to() -> None:
    target = "redis+sentinel://db.example.com:26379/main/1"
    assert door_of(target) == Door(None, 1)
    rules = (Rule("queue", ("db.example.com",), ports=(6379,), terms=Terms(require_allow=True)),)
    assert Policy((PolicyFile("p.yaml", rules),)).admit(Asked(target, "ann")).required
