"""A ceiling holds wherever jobs go: at each node of a cluster, after a redirect, and where a name leads by now."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest
from support.live import drive, steady
from support.proxy import Proxy

from plg.guardrails.policy import Policy, PolicyFile, Rule
from plg.queues.base import Job, Queue
from plg.scenario import Guardrails
from plg.targets import dialing
from plg.targets.base import TargetError
from plg.targets.gate import Gate
from plg.targets.open import open_target
from plg.targets.worker import ReferenceWorkers

SCENARIO = """
scenario "s" {
  job a { queue "q" }
  traffic { steady 50/s over 1s }
  guardrails { max_rate 500/s max_total_jobs 20_000 max_duration 2m }
}
"""
FAR = "127.0.0.2"
"""This machine too, but by an address that a policy can tell from the usual one."""


def barring(*patterns: str) -> Gate:
    rules = (Rule("far", patterns, allow=False),)
    return Policy((PolicyFile("p.yaml", rules),)).gate(Guardrails(max_rate=1e4, max_total_jobs=10**6, max_duration=60))


@pytest.fixture
def two_hosts(fragile):
    """Two nodes, the second of which says that it is at another address."""
    cluster = fragile("--bind", "127.0.0.1 127.0.0.2", size=2)
    assert cluster.nodes[1].ask("CONFIG", "SET", "cluster-announce-ip", FAR) == b"+OK\r\n"
    end = time.monotonic() + 10
    while FAR.encode() not in cluster.nodes[0].ask("CLUSTER", "SLOTS", many=True):
        assert time.monotonic() < end, "the other node was not told"
        time.sleep(0.05)
    return cluster


@pytest.mark.parametrize(
    ("environments", "words"),
    [
        # A pattern with a wildcard is a matter of names alone: the address does not give the node away.
        ('[{name: far, hosts: ["HOST*"], allow: false}]', "the policy allows no load on HOST at 127."),
        (
            '[{name: here, hosts: [localhost]}, {name: far, hosts: ["*"], allow: false}]',
            "the policy allows no load on HOST at 127.",
        ),
        (
            '[{name: here, hosts: [localhost]}, {name: far, hosts: ["*"], ceilings: {max_rate: 10/s}}]',
            "jobs would go to HOST at 127.",
        ),
    ],
)
def test_a_node_under_another_name_is_held_against_the_policy(servers, any_binary, tmp_path, environments, words):
    host = socket.gethostname()
    options = ("--cluster-announce-hostname", host, "--cluster-preferred-endpoint-type", "hostname")
    node = servers(any_binary, "--cluster-enabled", "yes", *options)
    assert node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383) == b"+OK\r\n"
    while b"cluster_state:ok" not in node.ask("CLUSTER", "INFO", many=True):
        pass
    (tmp_path / "s.plg").write_text(SCENARIO)
    (tmp_path / "plg-policy.yml").write_text(f"environments: {environments.replace('HOST', host)}\n")
    command = [sys.executable, "-m", "plg", "check", "s.plg", "--quiet", "--target", f"redis://localhost:{node.port}"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=os.environ)
    assert ran.returncode == 6, ran.stdout + ran.stderr
    assert words.replace("HOST", host) in ran.stdout
    assert "environment far of" in ran.stdout
    assert node.number("LLEN", "q") == 0


def test_a_redirect_to_a_forbidden_host_ends_the_run(two_hosts):
    key = two_hosts.key_at(0)
    jobs = (Job("a", queue=Queue("list", key)),)
    with open_target(two_hosts.nodes[0].url(), jobs, gate=barring(f"{FAR}/32")) as target:
        ran = drive(
            two_hosts.nodes[0].url(),
            steady(200, 20),
            jobs=jobs,
            target=target,
            happen=[(0.5, lambda: two_hosts.hand_over(key, 1))],
        )
    assert ran.recording.stop == "target"
    assert "the policy allows no load on 127.0.0.2" in ran.recording.stop_detail
    assert ran.code == 6
    assert ran.wall_s < 5
    assert two_hosts.nodes[1].number("LLEN", key) <= ran.total("acked") <= 150, "what came over with the slot, no more"


def test_a_forbidden_node_that_holds_no_queue_is_a_remark(two_hosts):
    """Marks of frameworks may stand there: nobody connects to it to see."""
    jobs = (Job("a", queue=Queue("list", two_hosts.key_at(0))),)
    before = int(two_hosts.nodes[1].fact("total_connections_received"))
    with open_target(two_hosts.nodes[0].url(), jobs, gate=barring(f"{FAR}/32")) as target:
        [remark] = target.notes
    assert remark.startswith(f"whether {jobs[0].queue.name!r} belongs to a queue framework could not be seen: ")
    assert "the policy allows no load on 127.0.0.2" in remark
    asking = 1  # takes a connection itself
    assert int(two_hosts.nodes[1].fact("total_connections_received")) == before + asking


def test_a_node_that_is_forbidden_from_the_start(two_hosts):
    key = two_hosts.key_at(1)
    with pytest.raises(TargetError, match=r"no load on 127\.0\.0\.2") as refusal:
        open_target(two_hosts.nodes[0].url(), (Job("a", queue=Queue("list", key)),), gate=barring(f"{FAR}/32"))
    assert refusal.value.kind == "forbidden"


def test_a_name_that_leads_elsewhere_during_the_run(servers, any_binary, monkeypatch):
    """The address that is connected to is the one that was judged, at every connection anew."""
    server = servers(any_binary)
    proxy = Proxy(server.port)
    places = ["127.0.0.1"]

    def look_up(host, port, seconds):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (places[0], port))]

    def move():
        places[0] = FAR
        proxy.cut()

    monkeypatch.setattr(dialing, "look_up", look_up)
    url = f"redis://queue.example:{proxy.port}/0"
    jobs = (Job("a", queue=Queue("list", "q")),)
    with open_target(url, jobs, gate=barring(f"{FAR}/32")) as target:
        ran = drive(url, steady(200, 20), jobs=jobs, target=target, probe_url=server.url(), happen=[(0.5, move)])
    proxy.close()
    assert (ran.recording.stop, ran.code) == ("target", 6)
    assert "the policy allows no load on queue.example at 127.0.0.2" in ran.recording.stop_detail
    assert ran.wall_s < 3, "a policy will not change its mind: there is nothing to wait for"


def test_the_reference_workers_are_held_against_it_too(servers, any_binary):
    jobs = (Job("a", queue=Queue("list", "q")),)
    with open_target(servers(any_binary).url(), jobs) as target:
        workers = ReferenceWorkers(target, jobs, 1, 0.0)
        workers.start()
        assert workers.stop().warnings == ()
    with open_target(target.url, jobs, gate=barring("db.example")) as target:
        object.__setattr__(target.address, "gate", barring("localhost"))
        with pytest.raises(TargetError, match=r"could not start: .* the policy allows no load") as refusal:
            ReferenceWorkers(target, jobs, 1, 0.0).start()
    assert refusal.value.kind == "forbidden"
