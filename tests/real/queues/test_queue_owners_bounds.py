"""Where the look for whose a queue is comes to an end before the marks do, a remark says so."""

from __future__ import annotations

import pytest
from support.queue_layouts import (
    SIDEKIQ_JOB,
    binding,
    bound,
    job,
    lay,
    refusal,
    remarks,
    sidekiq_job,
    sidekiq_process,
)

from plg.queues.use import queues_of
from plg.targets.asked import Alone
from plg.targets.client import Client
from plg.targets.ownership import heed_owners
from plg.targets.url import UrlTarget

UNSEEN = "whether {} belongs to {} could not be seen: "


@pytest.fixture
def server(one_server):
    return one_server


def keys(number: int) -> list[tuple[str, ...]]:
    """Commands that fill a database with so many keys."""
    steps = range(0, number, 10_000)
    return [("MSET", *(word for n in range(at, at + 10_000) for word in (f"key:{n}", "x"))) for at in steps]


def members(key: str, queues: range) -> tuple[str, ...]:
    return "SADD", key, *(bound(f"q{n}") for n in queues)


def test_a_binding_beyond_the_bound(server):
    lay(server, [members("_kombu.binding.pay", range(at, at + 10_000)) for at in range(0, 120_000, 10_000)])
    [remark] = remarks(server.url(), job("pay"))
    assert remark == UNSEEN.format("'pay'", "Celery") + (
        "only some 100,000 members of the set _kombu.binding.pay were looked at"
    )


def test_a_database_of_more_keys_than_are_looked_at(server):
    lay(server, keys(130_000))
    [remark] = remarks(server.url(), job("pay"), job("mail"), job("log", "stream"))
    assert remark == UNSEEN.format("'pay', 'mail', 'log'", "Celery") + "only some 100,000 keys were looked at"
    # What is found before the bound counts, and is no remark.
    lay(server, (binding("pay", "pay"),))
    assert "the set _kombu.binding.pay names it" in refusal(server.url(), job("pay"))
    first, second = remarks(server.url(), job("pay"), job("mail"), force=True)
    assert first.startswith("'pay' belongs to Celery")
    assert second.startswith(UNSEEN.format("'mail'", "Celery"))


def test_more_exchanges_than_are_looked_at(server):
    lay(server, [binding(f"exchange{n}", "other") for n in range(1200)])
    assert remarks(server.url(), job("pay")) == (
        UNSEEN.format("'pay'", "Celery") + "only some 1,000 keys were looked at",
    )


def test_more_processes_of_sidekiq_than_are_looked_at(server):
    lay(server, [words for n in range(5200) for words in sidekiq_process(f"vm:{n}:a", "fast")])
    assert remarks(server.url(), job("queue:slow")) == (
        UNSEEN.format("'queue:slow'", "Sidekiq") + "only some 5,000 members of the set processes were looked at",
    )


def test_more_failed_jobs_of_sidekiq_than_are_looked_at(server):
    for at in range(0, 12_000, 2000):
        lay(
            server, (("ZADD", "retry", *(word for n in range(at, at + 2000) for word in ("1", sidekiq_job("low", n)))),)
        )
    assert remarks(server.url(), job("queue:slow")) == (
        UNSEEN.format("'queue:slow'", "Sidekiq") + "only some 10,000 members of the sorted set retry were looked at",
    )


def test_an_empty_stream_of_which_nobody_tells_who_reads_it(server):
    lay(
        server,
        (("XGROUP", "CREATE", "log", "mine", "$", "MKSTREAM"), ("XGROUP", "CREATE", "own", "plg", "$", "MKSTREAM")),
    )
    assert remarks(server.url(), job("log", "stream"), job("own", "stream")) == (
        UNSEEN.format("'log'", "taskiq")
        + "the stream is empty, and nothing tells who reads it in its consumer group mine",
    )
    lay(server, (("XGROUP", "CREATECONSUMER", "log", "mine", "worker-1"),))
    assert remarks(server.url(), job("log", "stream")) == ()


def test_a_look_that_takes_too_long_ends(server):
    client = Client(UrlTarget(server.url(), ()).address, connect_timeout=5.0, answer_timeout=5.0)
    try:
        found = heed_owners(queues_of((job("pay"),)), Alone(client), "here", force=False, patience=0.0)
    finally:
        client.close()
    assert UNSEEN.format("'pay'", "Celery") + "the look has not come to its end within 0s" in found


@pytest.mark.parametrize("command", ["scan", "sscan", "zscan", "exists", "hget", "xinfo", "sismember"])
def test_what_the_user_may_not_ask_is_a_remark(server, command):
    lay(server, (*sidekiq_process("vm:1:a", "fast"), ("ZADD", "retry", "1", sidekiq_job("low", 1))))
    lay(server, (binding("shop", "other"), ("XGROUP", "CREATE", "log", "mine", "$", "MKSTREAM")))
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", f"-{command}")
    told = remarks(server.url("ann:pw"), job("queue:slow"), job("log", "stream"))
    assert any("belongs to a queue framework could not be seen: NOPERM" in remark for remark in told)
    # What can be seen counts all the same.
    lay(server, (("LPUSH", "jobs", SIDEKIQ_JOB),))
    assert "a Sidekiq job waits in it" in refusal(server.url("ann:pw"), job("jobs"))


def test_many_queues_are_looked_for_in_one_walk(server):
    lay(server, (*keys(40_000), ("CONFIG", "RESETSTAT")))
    remarks(server.url(), *(job(f"q{n}") for n in range(50)))
    [told] = [line for line in server.ask("INFO", "commandstats", many=True).split() if b"cmdstat_scan:" in line]
    assert int(told.partition(b"calls=")[2].partition(b",")[0]) < 20


def test_names_with_many_separators_are_looked_at_whole(server):
    lay(server, (("LPUSH", "-:" * 200 + "pay", "x"),))
    assert remarks(server.url(), job("-:" * 200 + "pay")) == ()


@pytest.mark.parametrize(
    "key", ["shop:orders:new", "shop:orders:list", "shop:orders", "orders", "pay_3", "queue:low", "retry"]
)
def test_keys_that_only_look_alike_are_nobodys(server, key):
    """A counter beside them, a queue of a like name, a set of ids: programs have such of their own."""
    lay(
        server,
        (("SET", "shop:orders:id", "7"), ("SET", "id", "7"), binding("pay", "pay"), ("SADD", "shop:queues", "x")),
    )
    assert remarks(server.url(), job(key)) == ()


def test_in_a_cluster_every_node_is_asked_for_exchanges(cluster):
    url = cluster.nodes[0].url()
    for place in range(3):
        exchange = cluster.key_at(place, "_kombu.binding.shop").removeprefix("_kombu.binding.")
        for other in range(3):
            queue = cluster.key_at(other, f"pay{place}-")
            assert remarks(url, job(queue)) == ()
            words = binding(exchange, queue)
            assert cluster.nodes[place].ask(*words) == b":1\r\n"
            assert f"the set _kombu.binding.{exchange} names it" in refusal(url, job(queue))
    for node in cluster.nodes[:2]:
        node.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all")
    cluster.nodes[2].ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-scan")
    [remark] = remarks(cluster.nodes[0].url("ann:pw"), job(cluster.key_at(0)))
    assert "could not be seen: NOPERM" in remark
