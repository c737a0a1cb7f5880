"""A server that says itself whether it may be loaded: runs share its rate, all of them stop at one word, and a lease
ends with its holder."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.checked import Started, until
from support.machine import late_runs

from plg import session
from plg.cli.main import main
from plg.guardrails.policy import Policy
from plg.guardrails.policy_file import read_policy_text, with_neighbours
from plg.outcome import Outcome
from plg.outcome_io import read_outcome
from plg.prepare import Request, prepare
from plg.runner import interlock as holders
from plg.runner.interlock import InterlockHolder
from plg.targets.base import TargetError
from plg.targets.interlock import ALLOW, LEASE, LEASES, NOTHING, STOP, Allowance, Demand, Interlock, Lease
from plg.targets.open import open_target
from plg.targets.slots import slot_of

ASKING = "environments:\n  - {name: guarded, hosts: [localhost], require_allow: true}\n"


def scenario(folder: Path, name: str, rate: int, seconds: float = 30) -> Path:
    file = folder / f"{name}.plg"
    file.write_text(
        f'scenario "{name}" {{ job a {{ queue "{name}" }} traffic {{ steady {rate}/s over {seconds:g}s }}\n'
        "guardrails { max_rate 500/s max_total_jobs 100_000 max_duration 1m } }",
        encoding="utf-8",
    )
    return file


@contextmanager
def interlock(server):
    with open_target(server.url(), ()) as target:
        found = Interlock(target)
        yield found
        found.close()


def allow(server, rate: float, **more) -> None:
    with interlock(server) as found:
        found.allow(Allowance(rate, 0.0, **more), 600)


def leases(server) -> list[dict]:
    with interlock(server) as found:
        return found.leases()


def run(server, file: Path, userinfo: str = "") -> Outcome:
    """A run in this process, under the policy beside its file."""
    policy = with_neighbours(None, file.parent)
    outcome = session.run(prepare(file, Request({}, server.url(userinfo), policy=policy)), session.Observer())
    if outcome.exit_code == 5:
        late_runs.append(outcome.reason)
    return outcome


def check(server, file: Path, folder: Path, *more: str) -> Started:
    folder.mkdir(exist_ok=True)
    return Started("check", file, "--target", server.url(), "--out", folder, "--quiet", *more, cwd=file.parent)


def test_the_three_keys_lie_in_one_slot_of_a_cluster():
    assert slot_of(ALLOW) == slot_of(LEASES) == slot_of(STOP)


def test_a_run_starts_only_where_the_server_allows_it_and_within_that(server, tmp_path):
    (tmp_path / "plg-policy.yaml").write_text(ASKING)
    file = scenario(tmp_path, "sale", 50, 1)

    def last() -> str:
        outcome = run(server, file)
        assert outcome.exit_code == 6
        return outcome.reason

    refused = last()
    assert "carries no plg:allow, which environment guarded of " in refused
    assert "plg target allow URL" in refused
    assert server.number("EXISTS", "sale") == server.number("EXISTS", "plg:runs") == 0
    allow(server, 20)
    assert "up to 50/s, 20/s are allowed" in last()
    allow(server, 60, max_total_jobs=49)
    assert "50 jobs, 49 are allowed" in last()
    allow(server, 60, max_duration=0.5)
    assert "may last 1s, 500ms are allowed" in last()
    with interlock(server) as found:
        given = found.allow(Allowance(60, 0.0), 0.9)
        assert "and the allowance ends in 900ms" in str(given.refusal(50, 50, 1.0, given.until - 0.9))
        assert given.refusal(50, 50, 0.9, given.until - 0.9) is None
    until(lambda: server.number("EXISTS", ALLOW) == 0)
    assert "carries no plg:allow" in last()
    assert server.number("EXISTS", "sale") == 0
    server.ask("SET", ALLOW, "yes, please")
    assert "cannot be read" in last()
    allow(server, 60)
    assert run(server, file).ledger.acked == server.number("LLEN", "sale") == 50
    assert server.number("EXISTS", LEASES) == 0


def test_two_runs_cannot_add_up_past_the_budget_and_a_lease_ends_with_its_holder(server, tmp_path):
    allow(server, 100)
    first, second = scenario(tmp_path, "first", 60), scenario(tmp_path, "second", 60, 0.5)
    with check(server, first, tmp_path / "a") as running:
        until(lambda: server.number("LLEN", "first") > 0)
        [lease] = leases(server)
        assert (lease["rate"], lease["scenario"], lease["pid"]) == (60, "first", running.process.pid)
        refused = run(server, second)
        assert refused.exit_code == 6
        assert "other runs there leave 40/s of the budget, this one would send 60/s" in refused.reason
        assert server.number("EXISTS", "second") == 0
        time.sleep(1.5)  # it was renewed at least once
        killed = time.monotonic()
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
    assert len(leases(server)) == 1
    until(lambda: not leases(server), LEASE + 15)
    assert time.monotonic() - killed > LEASE / 2, "it held as long as its holder might have been alive"
    assert run(server, second).ledger.acked == server.number("LLEN", "second") == 30


def test_of_many_that_ask_at_once_only_as_many_are_granted_as_there_is_room_for(server):
    allow(server, 100)
    answers, begin = [], threading.Barrier(12)

    def ask(number: int) -> None:
        with interlock(server) as found:
            found.look()
            begin.wait()
            answers.append(found.grant(Lease(f"lease-{number}", 30, f"run-{number}"), NOTHING)[0])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["granted"] * 3 + ["taken"] * 9
    assert sum(lease["rate"] for lease in leases(server)) == 90
    with interlock(server) as found:
        held = found.leases()[0]["run"].rpartition("-")[2]
        assert found.grant(Lease(f"lease-{held}", 30, f"run-{held}"), NOTHING)[0] == "granted", "renewed"
        assert found.grant(Lease("budget", 1, "run-x"), Demand(budget=90))[0] == "taken"
        assert found.grant(Lease("tests", 1, "run-x"), Demand(tests=3))[0] == "crowded"
        assert found.grant(Lease("tests", 1, "run-x"), Demand(tests=4))[0] == "granted"
        server.ask("HSET", LEASES, "x", "{}")
        assert found.grant(Lease("tests", 1, "run-x"), NOTHING)[0] == "unreadable"


def test_one_word_stops_all_runs_within_a_second_and_lets_none_begin(server, tmp_path):
    """Also those that need no allowance. What the queues hold is looked at by another client."""
    first, second = scenario(tmp_path, "first", 200), scenario(tmp_path, "second", 100)
    ended: list[Outcome] = []
    beside = threading.Thread(target=lambda: ended.append(run(server, second)))
    with check(server, first, tmp_path / "a") as process:
        beside.start()
        until(lambda: server.number("LLEN", "first") > 100 and server.number("LLEN", "second") > 50)
        with interlock(server) as found:
            found.stop("ops@desk", "the pager went", None)
        time.sleep(1)
        held = server.number("LLEN", "first"), server.number("LLEN", "second")
        done = process.done()
        beside.join()
    assert held == (server.number("LLEN", "first"), server.number("LLEN", "second")), "nothing came after a second"
    ended.append(read_outcome(tmp_path / "a" / "first.outcome.json"))
    for outcome in ended:
        assert (outcome.verdict, outcome.exit_code) == ("interrupted", 130)
        assert "stopped by ops@desk by plg target stop" in outcome.reason
        assert "the pager went" in outcome.reason
        assert outcome.ledger.acked == server.number("LLEN", outcome.name)
    assert done.code == 130
    again = run(server, first)
    assert again.exit_code == 6
    assert "all runs there are stopped by ops@desk: the pager went" in again.reason
    assert server.number("LLEN", "first") == held[0]


def test_the_commands_say_what_they_did(server, capsys):
    def said(*arguments: str) -> str:
        assert main(["target", arguments[0], server.url(), *arguments[1:]]) == 0
        return capsys.readouterr().out

    assert "there is no allowance" in said("show")
    assert "may be loaded with 500/s by all runs together, 10 jobs a run for 2h" in said(
        "allow", "--max-rate", "500/s", "--max-jobs", "10", "--for", "2h"
    )
    until_then = json.loads(server.said("GET", ALLOW))["until"]
    assert abs(until_then - time.time() - 7200) < 60
    assert 7100 < server.number("PTTL", ALLOW) / 1000 <= 7200
    with interlock(server) as found:
        found.grant(Lease("a", 30, "run-1", {"scenario": "sale"}), NOTHING)
    assert "none begins until 10m are over; 1 with a lease" in said("stop", "--reason", "pager", "--for", "10m")
    shown = json.loads(said("show", "--json"))
    assert (shown["allow"]["max_rate"], shown["stopped"]["reason"]) == (500, "pager")
    assert 500 < shown["stopped"]["ends_in_s"] <= 600
    assert [(run["run"], run["rate"]) for run in shown["runs"]] == [("run-1", 30)]
    assert "30/s  run-1  sale" in said("show")
    assert "may begin again" in said("resume")
    assert "were not stopped" in said("resume")
    assert "carries no allowance any more" in said("allow", "--revoke")
    assert server.number("EXISTS", ALLOW) == server.number("EXISTS", STOP) == 0


def test_an_allowance_that_comes_or_goes_in_mid_run_counts_from_then_on(server, tmp_path):
    file = scenario(tmp_path, "sale", 60)
    ended: list[Outcome] = []

    def begun() -> threading.Thread:
        server.ask("DEL", "sale")
        thread = threading.Thread(target=lambda: ended.append(run(server, file)))
        thread.start()
        until(lambda: server.number("LLEN", "sale") > 0)
        return thread

    thread = begun()
    assert leases(server) == []
    allow(server, 50)
    thread.join()
    assert ended[0].exit_code == 6
    assert "the run would send up to 60/s, more than the budget of all runs there" in ended[0].reason
    (tmp_path / "plg-policy.yaml").write_text(ASKING)
    allow(server, 70)
    thread = begun()
    with interlock(server) as found:
        assert found.withdraw()
    thread.join()
    assert ended[1].exit_code == 6
    assert "carries no plg:allow" in ended[1].reason


@pytest.mark.parametrize("asking", [True, False])
def test_who_may_not_look_is_refused_where_the_policy_asks_and_told_elsewhere(server, tmp_path, asking):
    server.ask("ACL", "SETUSER", "ci", "on", ">pw", "~sale", "~plg:runs", "+@all")
    if asking:
        (tmp_path / "plg-policy.yaml").write_text(ASKING)
    file = scenario(tmp_path, "sale", 50, 0.5)
    outcome = run(server, file, "ci:pw")
    if asking:
        assert outcome.exit_code == 6
        assert "cannot be asked whether it may be loaded" in outcome.reason
        assert server.number("EXISTS", "sale") == 0
    else:
        assert any("plg target stop cannot end this run" in warning for warning in outcome.warnings)
        assert outcome.ledger.acked == server.number("LLEN", "sale") == 25


def test_a_user_that_may_only_read_the_allowance_runs_within_it_and_cannot_make_one(server, tmp_path):
    keys = "~sale ~plg:runs %R~plg:allow %R~{plg:allow}:stop ~{plg:allow}:leases"
    server.ask("ACL", "SETUSER", "ci", "on", ">pw", *keys.split(), "+@all", "-@dangerous", "+client|list", "+info")
    (tmp_path / "plg-policy.yaml").write_text(ASKING)
    file = scenario(tmp_path, "sale", 50, 0.5)
    with open_target(server.url("ci:pw"), ()) as target, pytest.raises(TargetError, match="permission"):
        Interlock(target).allow(Allowance(1000, 0.0), 60)
    assert run(server, file, "ci:pw").exit_code == 6
    allow(server, 60)
    assert run(server, file, "ci:pw").ledger.acked == 25
    allow(server, 40)
    assert run(server, file, "ci:pw").exit_code == 6


def test_a_run_that_cannot_renew_its_lease_ends_before_another_may_have_its_share(server, monkeypatch):
    monkeypatch.setattr(holders, "LEASE", 1.5)
    allow(server, 100)
    with open_target(server.url(), ()) as target:
        holder = InterlockHolder(Interlock(target), Lease("a", 60, "run-a"), NOTHING, "the server", 10, 5.0)
        assert holder.open() == ()
        assert holder.asked() is None
        server.process.send_signal(signal.SIGSTOP)
        until(lambda: holder.asked() is not None)
        stop = holder.asked()
        server.process.send_signal(signal.SIGCONT)
        assert (stop.name, "was not renewed" in stop.detail) == ("target", True)
        holder.close()
    until(lambda: server.number("EXISTS", LEASES) == 0)


def test_a_shard_takes_its_part_of_the_rate(server, tmp_path):
    """Two shards of a run at 100/s are within a budget of 100/s, and count as one run."""
    allow(server, 100)
    file = scenario(tmp_path, "sale", 100, 1)
    policy = Policy((read_policy_text("max_tests: 1", "p.yaml"),))
    outcomes: list[Outcome] = []

    def shard(index: int) -> None:
        request = Request({}, server.url(), policy=policy, shard=(index, 2), run_id="both")
        outcomes.append(session.run(prepare(file, request), session.Observer()))

    threads = [threading.Thread(target=shard, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.exit_code for outcome in outcomes if outcome.exit_code == 6] == []
    assert server.number("LLEN", "sale") == sum(outcome.ledger.acked for outcome in outcomes) > 0
    refused = session.run(prepare(scenario(tmp_path, "more", 101, 1), Request({}, server.url())), session.Observer())
    assert "up to 101/s, 100/s are allowed" in refused.reason
