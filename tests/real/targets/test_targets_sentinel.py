"""A master by its Sentinels: opened, examined, cleaned, and followed when it changes in the middle of a run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from support.real_servers import launcher
from support.sentinels import RealSentinels, await_that

from plg.redaction import redact
from plg.target_url import url_fault
from plg.targets.address import parse_address, secrets_of
from plg.targets.base import TargetError
from plg.targets.gate import Gate, Zone
from plg.targets.hosts import LOOPBACK, names_of
from plg.targets.open import open_target

SCENARIO = """
scenario "shop" {{
  job a {{ {0} }}
  traffic {{ steady {1} }}
  guardrails {{ max_rate 1000/s max_total_jobs 5000 max_duration 2m }}
  {2}
  expect {{ {3} }}
}}
"""
SECRET, OWN = "hunter2-of-the-master", "swordfish-of-the-sentinels"


@pytest.fixture(scope="module")
def watched(any_binary):
    """A master and its replica under three Sentinels, all behind passwords; nothing here outlives its master."""
    start = launcher()
    made = RealSentinels(next(start), any_binary, auth=SECRET, own=OWN)
    made.query = f"sentinel_password={OWN}"
    yield made
    made.stop()
    next(start, None)


def plg(folder, *words, **more):
    command = [sys.executable, "-m", "plg", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, **more)


def outcome_in(folder):
    return json.loads((folder / "plg-report" / "shop.outcome.json").read_text())


def test_a_run_by_the_sentinels_is_on_the_master_and_tells_no_password(watched, tmp_path):
    (tmp_path / "s.plg").write_text(
        SCENARIO.format('queue "s:run"', "100/s over 1s", "workers 2 each 1ms", "lost == 0")
    )
    ran = plg(tmp_path, "check", "s.plg", "--target", watched.url(query=watched.query))
    assert ran.returncode in (0, 5), ran.stdout + ran.stderr  # whether plg was late matters little here
    outcome = outcome_in(tmp_path)
    assert outcome["target"]["kind"] == "sentinel"
    assert outcome["workers"]["processed"] == outcome["ledger"]["acked"] == 100
    written = "".join(each.read_text() for each in (tmp_path / "plg-report").iterdir()) + ran.stdout + ran.stderr
    assert SECRET not in written
    assert OWN not in written
    assert f"{watched.sentinels[0].port},127.0.0.1:{watched.sentinels[1].port}" in written, "the hosts are no secret"


def test_what_a_run_left_is_cleaned_from_the_master(watched, tmp_path):
    url = watched.url(query=watched.query)
    (tmp_path / "s.plg").write_text(SCENARIO.format('queue "s:left"', "100/s over 500ms", "", "errors == 0"))
    assert plg(tmp_path, "check", "s.plg", "--target", url).returncode in (0, 5)
    run = outcome_in(tmp_path)["run_id"]
    with watched.client(watched.master.port) as client:
        assert client.llen("s:left") == 50
        cleaned = plg(tmp_path, "clean", run, "--target", url)
        assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
        assert client.llen("s:left") == 0


@pytest.mark.slow
def test_a_run_follows_its_master(watched, tmp_path):
    """The old master lives on for some seconds and confirms what it then throws away: plg does not stay with it."""
    watched.await_agreement()
    before, key = watched.master, f"s:moved-{time.monotonic_ns()}"
    (tmp_path / "s.plg").write_text(
        SCENARIO.format(f'queue "{key}"', "100/s over 8s", "workers 2 each 30ms", "errors >= 0")
    )
    words = [sys.executable, "-m", "plg", "check", "s.plg", "--target", watched.url(query=watched.query)]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True) as running:
        with watched.client(before.port) as client:
            await_that(lambda: client.llen(key) > 20, 60)
        watched.fail_over()
        after = watched.await_other_master(before)
        said = running.communicate(timeout=120)[0]
    outcome = outcome_in(tmp_path)
    assert running.returncode in (0, 5), said
    assert f"the master changed during the run, from 127.0.0.1:{before.port} to 127.0.0.1:{after.port}" in said, said
    acked, done = outcome["ledger"]["acked"], outcome["workers"]["processed"]
    with watched.client(after.port) as client:
        left = client.llen(key)
        client.delete(key)
    assert acked > 400, "it went on after the change"
    assert done > 200
    # The Sentinels tell of the change within a second or two, and are asked twice a second.
    assert done + left >= acked - 350, (done, left, acked)
    watched.await_agreement()


def test_doctor_sees_the_queues_of_the_master_and_its_sentinels(watched, tmp_path):
    with watched.client(watched.master.port) as client:
        client.lpush("s:seen", "one", "two")
        found = plg(tmp_path, "doctor", watched.url(query=watched.query), "--json")
        client.delete("s:seen")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert (told["mode"], told["role"]) == ("sentinel", "master")
    assert ("s:seen", 2) in [(queue["name"], queue["waiting"]) for queue in told["queues"]]
    assert not [each for each in told["warnings"] if "sentinel" in each["code"] or "quorum" in each["code"]]


def test_doctor_names_a_sentinel_that_is_silent_and_one_that_stands_alone(watched, tmp_path):
    stopped = watched.sentinels[1].process
    stopped.send_signal(signal.SIGSTOP)
    try:
        url = watched.url(query=f"{watched.query}&timeout=1")
        codes = {each["code"] for each in json.loads(plg(tmp_path, "doctor", url, "--json").stdout)["warnings"]}
        assert "sentinel-silent" in codes
    finally:
        stopped.send_signal(signal.SIGCONT)
    alone = f"redis+sentinel://:{SECRET}@127.0.0.1:{watched.sentinels[0].port}/shop?{watched.query}"
    told = json.loads(plg(tmp_path, "doctor", alone, "--json").stdout)["warnings"]
    assert "one-sentinel" in {each["code"] for each in told}


@pytest.mark.parametrize(
    ("userinfo", "query", "name", "words"),
    [
        ("", f"sentinel_password={OWN}x", "shop", "a Sentinel has a password of its own: ?sentinel_password="),
        ("", "", "shop", "a Sentinel has a password of its own: ?sentinel_password="),
        (":wrong", f"sentinel_password={OWN}", "shop", "check user and password"),
        ("", f"sentinel_password={OWN}", "shops", "knows of no master 'shops'"),
    ],
)
def test_what_the_sentinels_or_the_master_refuse(watched, userinfo, query, name, words):
    url = watched.url(userinfo, query=query).replace("/shop/", f"/{name}/")
    with pytest.raises(TargetError) as caught:
        open_target(url, ())
    assert caught.value.kind == "refused"
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


# A Sentinel that stood still makes no other server the master for half a minute: the test above comes first.
@pytest.mark.slow
def test_sentinels_are_waited_for(watched, tmp_path):
    (tmp_path / "s.plg").write_text(
        SCENARIO.format('queue "s:wait"', "50/s over 200ms", "workers 1 each 1ms", "errors == 0")
    )
    for sentinel in watched.sentinels:
        sentinel.process.send_signal(signal.SIGSTOP)
    url = watched.url(query=f"{watched.query}&timeout=1")
    words = [sys.executable, "-m", "plg", "check", "s.plg", "--target", url, "--wait", "60s"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True) as running:
        try:
            said = [running.stdout.readline()]
            while said[-1] and "waiting up to" not in said[-1]:
                said.append(running.stdout.readline())
        finally:
            for sentinel in watched.sentinels:
                sentinel.process.send_signal(signal.SIGCONT)
        rest = running.communicate(timeout=60)[0]
    assert "no Sentinel tells where the master is" in said[-1], said
    assert running.returncode in (0, 5), rest


def test_nobody_is_connected_to_whom_a_policy_forbids(watched):
    gate = Gate.of([[Zone("prod", "policy.yaml", ("localhost",), allow=False)]])
    with pytest.raises(TargetError) as caught:
        open_target(watched.url(query=watched.query), (), gate=gate)
    assert caught.value.kind == "forbidden"


@pytest.mark.slow
def test_what_a_dead_master_had_confirmed_alone_is_counted_as_lost(servers, any_binary, tmp_path):
    made = RealSentinels(servers, any_binary, auth=SECRET)
    try:
        text = SCENARIO.format('queue rq "shop" call "shop.f"', "100/s over 12s", "watch 1s", "lost == 0")
        (tmp_path / "s.plg").write_text(text)
        words = [sys.executable, "-m", "plg", "check", "s.plg", "--target", made.url()]
        with subprocess.Popen(
            words, cwd=tmp_path, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
        ) as running:
            key, behind = "rq:queue:shop", made.servers[1]
            with made.client(made.servers[0].port) as master, made.client(behind.port) as replica:
                await_that(lambda: replica.llen(key) > 20, 60)
                # The replica may no longer follow: what is confirmed from now on is in one place alone.
                replica.config_set("masterauth", "no longer")
                replica.execute_command("CLIENT", "KILL", "TYPE", "master")
                await_that(lambda: master.llen(key) > replica.llen(key) + 30, 60)
            dead = made.kill_master()
            after = made.await_other_master(dead)
            said = running.communicate(timeout=120)[0]
        outcome = outcome_in(tmp_path)
        assert running.returncode == 3, said
        ledger, far = outcome["ledger"], outcome["far_side"]
        with made.client(after.port) as client:
            there = client.llen(key)
        assert far["lost"] >= 30
        # What was under way when the master died may have arrived, and is not among what was confirmed.
        assert ledger["acked"] - there <= far["lost"] <= ledger["acked"] - there + ledger["unknown"]
        assert ledger["planned"] == 1200
        assert there > 51, "it went on at the new master"
        assert "the master changed during the run" in said
    finally:
        made.stop()


def test_a_master_that_is_a_replica_by_now_is_no_master_yet(watched):
    """Its Sentinels may be late: jobs written to it would be refused one by one."""
    place = next(server for server in watched.servers if server is not watched.master)
    address = parse_address(watched.url(query=watched.query))
    from plg.targets import sentinel
    from plg.targets.client import Client

    asked = sentinel.find_master
    sentinel.find_master = lambda *_: ("127.0.0.1", place.port)
    try:
        with pytest.raises(TargetError) as caught:
            Client(address, connect_timeout=5, answer_timeout=5).ask([("PING",)])
    finally:
        sentinel.find_master = asked
    assert caught.value.passing
    assert "is a replica: they have not agreed on another master yet" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+sentinel://a:1,b:2", "the name of the master is missing"),
        ("redis+sentinel://a:1,b:2/", "the name of the master is missing"),
        ("redis+sentinel://a:1,,b:2/m", "each Sentinel is HOST or HOST:PORT"),
        ("redis+sentinel://a:1,b:x/m", "the port of each Sentinel"),
        ("redis+sentinel://a:1,b:0/m", "the port of each Sentinel"),
        ("redis+sentinel://a:1/m/x", "the number of a database"),
        ("redis+sentinel://a:1/m/0?nonsense=1", "is not known"),
        ("redis+sentinel://u:p/w@a:1/m", "in a password write / as %2F"),
        ("redis+sentinel://a:1/m#0", "it holds a #"),
        ("redis+sentinel://a:1/m?ssl_cert_reqs=none", "only for rediss://"),
    ],
)
def test_urls_that_cannot_be_meant(url, words):
    assert words in (url_fault(url) or "")


def test_the_parts_of_a_url():
    address = parse_address(
        "rediss+sentinel://ann:s%40cret@a,[::1]:7000,c:9/m.1/3?wait=2s&sentinel_password=own%26word"
    )
    assert [(each.options["host"], each.options["port"]) for each in address.sentinels] == [
        ("a", 26379), ("::1", 7000), ("c", 9),
    ]  # fmt: skip
    assert (address.master, address.options["db"], address.wait) == ("m.1", 3, 2.0)
    assert (address.options["username"], address.options["password"]) == ("ann", "s@cret")
    assert address.sentinels[0].options["password"] == "own&word"
    assert {"s@cret", "own&word"} <= set(secrets_of(address.url))
    assert address.shown == "rediss+sentinel://ann:***@a,[::1]:7000,c:9/m.1/3?wait=2s&sentinel_password=***"


def test_what_of_a_url_is_shown():
    assert redact("redis+sentinel://a:1,b:2/m/0") == "redis+sentinel://a:1,b:2/m/0"
    assert redact("redis+sentinel://user:pa,ss/m/0") == "redis+sentinel://user:***/m/0"
    assert redact("redis+sentinel://token@a:1,b:2/m?sentinel_password=x") == (
        "redis+sentinel://***@a:1,b:2/m?sentinel_password=***"
    )


def test_the_names_that_a_policy_knows_it_by():
    assert names_of("redis+sentinel://queue-1:1,queue-2/m") == ("queue-1", "queue-2")
    assert names_of("redis+sentinel://queue-1:1,127.0.0.1/m")[:3] == LOOPBACK
