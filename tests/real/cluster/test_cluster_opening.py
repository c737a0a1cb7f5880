"""A cluster as a target: which node is whose, what is refused, what is seen, who works."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot
from support.clusters import RealCluster

from plg.queues.base import Job, Queue
from plg.targets.base import Depth, TargetError
from plg.targets.cluster_probe import together
from plg.targets.open import open_target
from plg.targets.slots import Node, SlotMap, slot_of
from plg.targets.worker import ReferenceWorkers


def keys_at(cluster: RealCluster) -> list[str]:
    return [cluster.key_at(place) for place in range(len(cluster.nodes))]


def jobs_at(cluster: RealCluster) -> tuple[Job, ...]:
    return tuple(Job(key, queue=Queue("list", key)) for key in keys_at(cluster))


def fill(cluster, key, count, age=0.0):
    node = cluster.nodes[cluster.place(key)]
    for _ in range(count):
        node.ask("LPUSH", key, json.dumps({"enqueued_at": time.time() - age}))


def await_(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


@given(st.text(alphabet=st.sampled_from("abc{}é "), max_size=12))
def test_the_slot_is_that_of_the_hash_tag(key):
    start = key.find("{")
    end = key.find("}", start + 1)
    tagged = key[start + 1 : end] if start >= 0 and end > start + 1 else key
    assert slot_of(key) == crc16(tagged.encode()) % 16384


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM, bit by bit."""
    register = 0
    for byte in data:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1) ^ 0x1021 if register & 0x8000 else register << 1
            register &= 0xFFFF
    return register


def test_the_server_agrees_on_slots(cluster):
    for key in ("a", "plg:jobs", "{user}:1", "x{}y", "}{", "a{b}c{d}", "é"):
        assert cluster.nodes[0].number("CLUSTER", "KEYSLOT", key) == slot_of(key) == key_slot(key.encode())


@pytest.mark.parametrize(
    ("refusal", "node"),
    [
        ("MOVED 3999 127.0.0.1:6381", Node("127.0.0.1", 6381)),
        ("ASK 3999 redis-2.example:6381", Node("redis-2.example", 6381)),
        ("MOVED 3999 [2001:db8::1]:6381", Node("2001:db8::1", 6381)),
        ("MOVED 3999 2001:db8::1:6381", Node("2001:db8::1", 6381)),
        ("MOVED 3999 :6381", Node("asked", 6381)),
        ("MOVED 3999", None),
        ("MOVED 3999 nonsense", None),
    ],
)
def test_the_node_that_a_refusal_names(refusal, node):
    assert Node.named_in(refusal, Node("asked", 1)) == node


@pytest.mark.parametrize("host", [None, b"", b"?"])
def test_a_node_without_a_name_is_where_it_was_asked(host):
    slots = SlotMap.read([[0, 16383, [host, 7000, b"id"], [b"10.0.0.2", 7001, b"replica"]]], Node("seen", 1))
    assert slots.nodes == (Node("seen", 7000),)


@pytest.mark.parametrize("answer", [None, b"OK", 7, [[1]], [[0, 1, []]], [["a", 1, [b"h", 1]]]])
def test_an_answer_that_is_no_map(answer):
    with pytest.raises(ValueError, match="CLUSTER SLOTS"):
        SlotMap.read(answer, Node("h", 1))


def test_the_cluster_is_told_of_and_each_queue_is_at_its_node(cluster):
    with open_target(cluster.nodes[1].url(), jobs_at(cluster)) as target:
        assert (target.server.kind, target.server.nodes, target.notes) == ("cluster", 3, ())
        own = cluster.nodes[0].fact("valkey_version") or cluster.nodes[0].fact("redis_version")
        assert target.server.version == own.strip()
        holdings = target.cluster.holdings()
        assert {node.port: keys for node, keys in holdings.items()} == {
            node.port: (key,) for node, key in zip(cluster.nodes, keys_at(cluster), strict=True)
        }
        for node, keys in holdings.items():
            with target.connect(node) as raw:
                raw.sendall(f"LPUSH {keys[0]} x\r\n".encode())
                assert raw.recv(64) == b":1\r\n"


def test_every_node_is_asked_whether_it_takes_the_job(cluster):
    first, _, third = keys_at(cluster)
    cluster.nodes[2].ask("SET", third, "text")
    with pytest.raises(TargetError, match=f":{cluster.nodes[2].port} holds '{third}' as a string"):
        open_target(
            cluster.nodes[0].url(), (Job("a", queue=Queue("list", first)), Job("c", queue=Queue("list", third)))
        )
    open_target(cluster.nodes[0].url(), (Job("a", queue=Queue("list", first)),)).close()


def test_the_password_of_the_url_is_for_all_nodes(fragile):
    cluster = fragile_with_password(fragile)
    url = cluster.nodes[0].url(":s3cret")
    with open_target(url, jobs_of(cluster)) as target:
        assert "s3cret" not in repr([target.cluster.address(node) for node in target.cluster.slots.nodes])
        assert target.probe().look() == Depth(0, 0.0)


def fragile_with_password(fragile):
    cluster = fragile()
    for node in cluster.nodes:
        assert node.ask("CONFIG", "SET", "requirepass", "s3cret") == b"+OK\r\n"
    return cluster


def jobs_of(cluster) -> tuple[Job, ...]:
    """Some queues at more than one node, chosen without asking: with a password set, ``ask`` is refused."""
    return tuple(Job(f"q{n}", queue=Queue("list", f"q{n}")) for n in range(8))


def test_depth_and_age_are_over_all_nodes(cluster):
    jobs = (*jobs_at(cluster), Job("s", queue=Queue("stream", "{s}tream")))
    with open_target(cluster.nodes[0].url(), jobs) as target:
        probe = target.probe()
        assert probe.look() == Depth(0, 0.0)
        for key, count, age in zip(keys_at(cluster), (3, 4, 5), (10.0, 100.0, 20.0), strict=True):
            fill(cluster, key, count, age)
        cluster.nodes[cluster.place("{s}tream")].ask("XADD", "{s}tream", "*", "job", "{}")
        look = probe.look()
        assert look.waiting == 13
        assert 100.0 <= look.oldest_age < 110.0
        probe.close()


def test_the_sum_of_looks():
    assert together([]) == Depth(0, 0.0)
    assert together([Depth(0, 0.0), Depth(0, 0.0)]) == Depth(0, 0.0)
    assert together([Depth(2, None), Depth(0, 0.0)]) == Depth(2, None)
    assert together([Depth(2, None), Depth(3, 1.5), Depth(1, 0.5)]) == Depth(6, None, at_least=1.5)
    assert together([Depth(2, None, at_least=4.0), Depth(3, 1.5)]) == Depth(5, None, at_least=4.0)
    assert together([Depth(3, 1.5), Depth(1, 0.5), Depth(0, None)]) == Depth(4, 1.5)


def test_the_probe_follows_a_queue_to_another_node(cluster):
    key = cluster.key_at(0)
    fill(cluster, key, 6)
    with open_target(cluster.nodes[0].url(), (Job("a", queue=Queue("list", key)),)) as target:
        probe = target.probe()
        assert probe.look().waiting == 6
        cluster.hand_over(key, 1)
        with pytest.raises(TargetError):
            probe.look()
        assert probe.look().waiting == 6
        probe.close()


def test_workers_empty_the_queues_of_all_nodes(cluster):
    keys = keys_at(cluster)
    tagged = "{" + keys[0] + "}:more"
    jobs = (*jobs_at(cluster), Job("tagged", queue=Queue("list", tagged)), Job("s", queue=Queue("stream", "events")))
    for key in (*keys, tagged):
        fill(cluster, key, 40, age=5.0)
    stream = cluster.nodes[cluster.place("events")]
    for _ in range(40):
        stream.ask("XADD", "events", "*", "job", json.dumps({"enqueued_at": time.time() - 5}))
    with open_target(cluster.nodes[0].url(), jobs) as target:
        workers = ReferenceWorkers(target, jobs, 3, 0.0005)
        workers.start()
        probe = target.probe()
        await_(lambda: probe.look().waiting == 0)
        probe.close()
        report = workers.stop()
    assert (report.processed, report.waits.total, report.warnings) == (200, 200, ())
    assert report.waits.min >= 5.0


def test_workers_are_not_slowed_by_queues_that_are_empty(cluster):
    """What waits is taken before any worker waits elsewhere: 2 workers of 5 ms do 400 jobs a second, or half as many
    on a machine that does other things too."""
    first = keys_at(cluster)[0]
    fill(cluster, first, 300)
    jobs = jobs_at(cluster)
    with open_target(cluster.nodes[0].url(), jobs) as target:
        workers = ReferenceWorkers(target, jobs, 2, 0.005)
        workers.start()
        begin = time.monotonic()
        await_(lambda: cluster.length(first) == 0)
        took = time.monotonic() - begin
        workers.stop()
    assert took < 300 / 400 * 4


def test_workers_follow_a_queue_to_another_node(cluster):
    key = cluster.key_at(0)
    jobs = (Job("a", queue=Queue("list", key)),)
    with open_target(cluster.nodes[0].url(), jobs) as target:
        workers = ReferenceWorkers(target, jobs, 2, 0.001)
        workers.start()
        fill(cluster, key, 20)
        await_(lambda: cluster.length(key) == 0)
        cluster.hand_over(key, 2)
        fill(cluster, key, 30)
        assert cluster.place(key) == 2
        await_(lambda: cluster.length(key) == 0)
        report = workers.stop()
    assert report.processed == 50
    assert [w for w in report.warnings if not re.search("MOVED|ASK|TRYAGAIN", w)] == []


def test_the_map_of_a_cluster_whose_node_is_gone_comes_from_another(fragile):
    cluster = fragile()
    with open_target(cluster.nodes[0].url(), (Job("a", queue=Queue("list", cluster.key_at(1))),)) as target:
        old = target.cluster.slots
        cluster.nodes[0].stop()
        found = target.cluster.survey(old)
        assert found is target.cluster.slots
        assert {node.port for node in found.nodes} == {node.port for node in cluster.nodes}
        assert target.cluster.survey(old) is found, "what another thread has just learnt is not asked again"
