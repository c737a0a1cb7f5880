"""Real runs against a real cluster, and over several connections: the ledger against what the servers hold."""

from __future__ import annotations

import json
import threading
import time

import pytest
from support.live import STREAM, adds_up, agrees, drive, executed_at, kill, most_in_a_window, revive, seqs_in, steady

from plg.queues.base import Job, Queue
from plg.scenario import Guardrails


def queues(cluster):
    """A queue at each node, and one more that shares its slot with the first by a hash tag."""
    keys = [cluster.key_at(place) for place in range(len(cluster.nodes))]
    return [*keys, "{" + keys[0] + "}:more"]


def held(cluster, keys):
    return [json.loads(job)["seq"] for key in keys for job in cluster.stored(key)]


def jobs_for(keys):
    return tuple(Job(f"j{i}", queue=Queue("list", key)) for i, key in enumerate(keys))


@pytest.mark.parametrize("connections", [1, 3])
def test_every_job_is_at_the_node_of_its_queue_once(cluster, connections):
    keys = queues(cluster)
    ran = drive(cluster.nodes[2].url(), steady(2000, 1.5), jobs=jobs_for(keys), connections=connections)
    agrees(ran, held(cluster, keys))
    assert ran.total("acked") == 3000 == sum(cluster.length(key) for key in keys)
    assert [cluster.length(key) for key in keys] == [750] * 4
    assert (ran.code, ran.total("failed"), ran.total("late")) == (0, 0, 0)
    waiting = ran.recording.samples["queue_depth"]
    assert waiting.max() > 1000, "the depth is seen over all nodes"


def test_a_queue_that_moves_during_the_run(cluster):
    keys = queues(cluster)[:3]
    ran = drive(
        cluster.nodes[1].url(),
        steady(1500, 3),
        jobs=jobs_for(keys),
        happen=[(1.0, lambda: cluster.hand_over(keys[0], 1)), (2.0, lambda: cluster.hand_over(keys[0], 2))],
    )
    adds_up(ran.recording)
    found = held(cluster, keys)
    assert len(found) == len(set(found)) == ran.total("acked")
    assert cluster.place(keys[0]) == 2
    # Refused while on the way (ASK) or gone (MOVED): counted, not sent again, and soon over.
    assert 1 <= ran.total("failed") <= 400
    assert any(words.startswith(("MOVED", "ASK")) for words, _ in ran.recording.errors)
    assert ran.total("unknown") == 0
    assert ran.recording.stop is None
    last = [seq for seq in found if seq >= ran.plan.planned - 900]
    assert len(last) == 900, "the last 600 ms went where they belong"


@pytest.mark.slow
def test_a_node_that_dies_for_good_is_a_lost_target(fragile):
    cluster = fragile(size=3)
    keys = queues(cluster)[:3]
    ran = drive(
        cluster.nodes[1].url(), steady(600, 30), jobs=jobs_for(keys), happen=[(1.0, lambda: kill(cluster.nodes[0]))]
    )
    adds_up(ran.recording)
    assert ran.code == 6
    assert ran.recording.stop == "target"
    assert str(cluster.nodes[0].port) in ran.recording.stop_detail
    assert ran.total("late") > 0
    assert ran.wall_s < 10


@pytest.mark.slow
def test_a_node_that_comes_back(fragile):
    cluster = fragile()
    keys = queues(cluster)[:3]

    def restart():
        kill(cluster.nodes[0])
        time.sleep(0.3)
        revive(cluster.nodes[0])

    ran = drive(
        cluster.nodes[1].url(),
        steady(600, 8),
        jobs=jobs_for(keys),
        give_up_after=10.0,
        happen=[(1.5, restart)],
    )
    adds_up(ran.recording)
    assert ran.recording.stop is None
    cluster.await_agreement()
    kept = held(cluster, keys[1:])
    assert len(kept) == len(set(kept))
    # What the killed node held is gone with it; the others hold all they confirmed.
    assert len(seqs_in(cluster.nodes[0], keys[0])) > 300


@pytest.mark.slow
def test_a_replica_takes_over(fragile, servers, any_binary):
    cluster = fragile()
    keys = queues(cluster)[:3]
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
    replica = servers(any_binary, *options)
    assert replica.ask("CLUSTER", "MEET", "127.0.0.1", cluster.nodes[1].port) == b"+OK\r\n"
    deadline = time.monotonic() + 15
    while replica.ask("CLUSTER", "REPLICATE", cluster.ids[0]) != b"+OK\r\n" and time.monotonic() < deadline:
        time.sleep(0.1)
    while replica.fact("master_link_status") != "up" and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.5)  # the others must have heard of the replica
    ran = drive(
        replica.url(),  # any node tells of all
        steady(300, 10),
        jobs=jobs_for(keys),
        give_up_after=9.0,
        happen=[(1.0, lambda: kill(cluster.nodes[0]))],
    )
    adds_up(ran.recording)
    assert ran.recording.stop is None
    assert ran.total("unknown") + ran.total("late") + ran.total("failed") > 0
    found = seqs_in(replica, keys[0])
    assert len(found) == len(set(found))
    assert max(found) >= ran.plan.planned - 10, "the new owner has the last jobs"


# -- several connections to one server --------------------------------------------------------------------------------


@pytest.fixture
def server(servers, any_binary):
    return servers(any_binary)


def test_several_connections_to_one_server(server):
    ran = drive(server.url(), steady(4000, 1.5), connections=4)
    agrees(ran, seqs_in(server))
    assert ran.total("acked") == 6000 == server.number("LLEN", "plg:test")
    names = [line for line in server.ask("INFO", "commandstats", many=True).decode().splitlines() if "lpush" in line]
    assert names, "LPUSH was used"


def test_the_rate_limit_is_strict_by_the_clock_of_the_server(server):
    limits = Guardrails(max_rate=500, max_total_jobs=10**6, max_duration=60, rate_limit_window=0.5)
    ran = drive(server.url(), steady(900, 2.5), job=STREAM, limits=limits, connections=4)
    agrees(ran, seqs_in(server))
    assert most_in_a_window(executed_at(server), 0.5) <= 250
    assert ran.total("shed") > 500
    assert ran.total("acked") > 1000


def test_one_connection_killed_leaves_its_flights_alone_unknown(server):
    def kill_one():
        lines = server.ask("CLIENT", "LIST", many=True).decode().splitlines()
        senders = [line for line in lines if "cmd=lpush" in line]
        assert len(senders) == 4
        [ident] = [word[3:] for word in senders[0].split() if word.startswith("id=")]
        assert server.number("CLIENT", "KILL", "ID", ident) == 1

    seen = threading.active_count()
    ran = drive(server.url(), steady(3000, 3), connections=4, happen=[(1.0, kill_one), (2.0, kill_one)])
    agrees(ran, seqs_in(server))
    assert ran.total("failed") == ran.total("late") == 0
    assert ran.total("unknown") < 100
    assert ran.total("acked") >= ran.plan.planned - 100
    assert ran.recording.stop is None
    assert threading.active_count() == seen
