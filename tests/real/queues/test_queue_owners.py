"""Queues of the frameworks, as these leave them in Redis: recognised before a run, and never written to unasked.

The layouts were captured from real workers and senders: RQ 3.0.0, Celery 5.7.0, arq 0.28.0, dramatiq 2.2.1, taskiq
0.13.0 with taskiq-redis 1.2.4, SAQ 0.26.4, huey 3.5.4, BullMQ 6.7.0, Asynq 0.26.0; Sidekiq as its source writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from support.clusters import RealCluster
from support.real_servers import launcher, server_programs

from plg.queues.base import Job, Queue
from plg.queues.owners.registry import OWNERS
from plg.targets.base import TargetError
from plg.targets.open import open_target

Words = tuple[str | bytes, ...]
CELERY_MESSAGE = (
    '{"body": "W1sxLCAyXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbH1d", "content-encoding": "utf-8", "content-type": '
    '"application/json", "headers": {"lang": "py", "task": "capp.add", "id": "f2a34612"}, "properties": '
    '{"correlation_id": "f2a34612", "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"}, '
    '"priority": 0, "body_encoding": "base64", "delivery_tag": "ba7f"}}'
)
TASKIQ_MESSAGE = (
    '{"task_id": "7e52", "task_name": "tq:add", "labels": {}, "labels_types": {}, "args": [1], "kwargs": {}}'
)
SIDEKIQ_JOB = (
    '{"retry":true,"queue":"default","class":"HardJob","args":[1],"jid":"b4a577edbccf1d805744efa9","created_at":1}'
)
HUEY_MESSAGE = (
    b"\x80\x05\x95f\x00\x00\x00\x00\x00\x00\x00\x8c\rhuey.registry\x94\x8c\x07Message\x94\x93\x94(\x8c$00614c2a-c40d-4f90-"
    b"9b3e-eff74cc50af0\x94\x8c\x06hu.add\x94NK\x00K\x00NK\x01\x85\x94}\x94NNNNNNK\x00t\x94\x81\x94."
)
ASYNQ_ABOUT = b"\n\x02vm\x10\xcb\x8a\x01 \x01*\x0c\n\x08critical\x10\x06*\x07\n\x03low\x10\x01:\x06active"
ASYNQ_SERVER = "asynq:servers:{host:4711:6f1a}"


@dataclass(frozen=True)
class Layout:
    """``commands`` that leave in Redis what a framework does; ``key`` is where its workers take jobs from."""

    title: str
    name: str
    key: str
    commands: tuple[Words, ...]
    how: str
    kind: str = "list"


def binding(exchange: str, queue: str, prefix: str = "") -> Words:
    return "SADD", f"{prefix}_kombu.binding.{exchange}", f"{queue}\x06\x16\x06\x16{queue}"


PIDBOX: Words = ("SADD", "_kombu.binding.celery.pidbox", "\x06\x16\x06\x16celery@vm.celery.pidbox")
LAYOUTS = [
    Layout("celery-idle", "Celery", "pay", (PIDBOX, binding("pay", "pay")), "the set _kombu.binding.pay names it"),
    Layout("celery-priority", "Celery", "pay\x06\x163", (binding("pay", "pay"),), "_kombu.binding.pay names it"),
    Layout(
        "celery-prefix", "Celery", "my-app:pay", (binding("pay", "pay", "my-app:"),), "my-app:_kombu.binding.pay names"
    ),
    Layout(
        "celery-exchange", "Celery", "pay", (PIDBOX, binding("shop", "pay"), binding("celery", "celery")),
        "the set _kombu.binding.shop names it",
    ),
    Layout(  # a worker without remote control, or one that has ended, leaves only this
        "celery-exchange-alone", "Celery", "pay", (binding("tasks", "pay"),), "the set _kombu.binding.tasks names it",
    ),
    Layout(
        "celery-long-prefix", "Celery", "my-app-prod-eu-1:pay", (binding("tasks", "pay", "my-app-prod-eu-1:"),),
        "the set my-app-prod-eu-1:_kombu.binding.tasks names it",
    ),
    Layout(
        "celery-many", "Celery", "pay", (*(binding("tasks", f"q{n}") for n in range(500)), binding("tasks", "pay")),
        "the set _kombu.binding.tasks names it",
    ),
    Layout("celery-name", "Celery", "celery", (), "celery is the name of its queue unless told otherwise"),
    Layout("celery-name-priority", "Celery", "celery\x06\x166", (), "celery is the name of its queue"),
    Layout("celery-events", "Celery", "celeryev.7d0c", (), "kombu keeps its own records"),
    Layout("celery-filled", "Celery", "jobs", (("LPUSH", "jobs", CELERY_MESSAGE),), "a Celery message waits in it"),
    Layout(
        "rq-idle", "RQ", "rq:queue:pay",
        (("SADD", "rq:workers", "rq:worker:bad4"), ("SADD", "rq:workers:pay", "rq:worker:bad4")),
        "the set rq:workers:pay names 1 worker of it",
    ),
    Layout(
        "rq-filled", "RQ", "rq:queue:pay", (("SADD", "rq:queues", "rq:queue:pay"), ("RPUSH", "rq:queue:pay", "id-1")),
        "the set rq:queues names it",
    ),
    Layout("rq-name", "RQ", "rq:queue:pay", (), "rq:queue:NAME is the name"),
    Layout(
        "bullmq-idle", "BullMQ", "bull:mail:wait", (("HSET", "bull:mail:meta", "opts.maxLenEvents", "10000"),),
        "the hash bull:mail:meta is that of a BullMQ queue",
    ),
    Layout(
        "bullmq-prefix", "BullMQ", "{x:y}:mail:wait",
        (
            ("HSET", "{x:y}:mail:meta", "opts.maxLenEvents", "10000", "version", "bullmq:6.7.0"),
            ("LPUSH", "{x:y}:mail:wait", "1"),
        ),
        "the hash {x:y}:mail:meta",
    ),
    Layout(
        "bullmq-events", "BullMQ", "shop:mail:events", (("HSET", "shop:mail:meta", "version", "bullmq:6.7.0"),),
        "the hash shop:mail:meta", "stream",
    ),
    Layout("bullmq-name", "BullMQ", "bull:mail:wait", (), "bull:NAME:… are the names"),
    Layout(
        "sidekiq-idle", "Sidekiq", "queue:default",
        (
            ("SADD", "processes", "vm:1:a"),
            ("HSET", "vm:1:a", "info", '{"hostname":"vm","queues":["default","low"]}', "busy", "0"),
        ),
        "a worker among the set processes serves it",
    ),
    Layout(
        "sidekiq-capsules", "Sidekiq", "queue:slow",
        (
            ("SADD", "processes", "vm:1:a"),
            ("HSET", "vm:1:a", "info", '{"capsules":{"default":{"weights":{"fast":0}},"one":{"weights":{"slow":1}}}}'),
        ),
        "a worker among the set processes serves it",
    ),
    Layout(
        "sidekiq-namespace", "Sidekiq", "app:queue:low", (("SADD", "app:queues", "low"),), "the set app:queues names it"
    ),
    Layout("sidekiq-name", "Sidekiq", "queue:default", (), "queue:default is the name of its queue unless told"),
    Layout("sidekiq-filled", "Sidekiq", "jobs", (("LPUSH", "jobs", SIDEKIQ_JOB),), "a Sidekiq job waits in it"),
    Layout(
        "asynq-idle", "Asynq", "asynq:{low}:pending",
        (
            ("ZADD", "asynq:servers", "1795857976", ASYNQ_SERVER),
            ("SET", ASYNQ_SERVER, ASYNQ_ABOUT),
        ),
        "a server among the set asynq:servers serves it",
    ),
    Layout(
        "asynq-filled", "Asynq", "asynq:{low}:pending", (("SADD", "asynq:queues", "low"),),
        "the set asynq:queues names it"
    ),
    Layout("asynq-name", "Asynq", "asynq:{low}:pending", (), "asynq:{NAME}:… are the names"),
    Layout(
        "dramatiq-idle", "dramatiq", "dramatiq:default",
        (("ZADD", "dramatiq:__heartbeats__", "1795854619256", "41b6"),),
        "the sorted set dramatiq:__heartbeats__",
    ),
    Layout(
        "dramatiq-namespace", "dramatiq", "shop:work:mail", (("ZADD", "shop:work:__heartbeats__", "1", "41b6"),),
        "the sorted set shop:work:__heartbeats__",
    ),
    Layout("dramatiq-name", "dramatiq", "dramatiq:default", (), "dramatiq:NAME is the name"),
    Layout(
        "arq-idle", "arq", "my:q", (("SET", "my:q:health-check", "Nov-28 08:30:21 j_complete=0"),),
        "a worker keeps the key my:q:health-check",
    ),
    Layout("arq-name", "arq", "arq:queue", (), "arq keeps its queue"),
    Layout("taskiq-filled", "taskiq", "work", (("LPUSH", "work", TASKIQ_MESSAGE),), "a taskiq message waits in it"),
    Layout("taskiq-name", "taskiq", "taskiq", (), "taskiq is the name of its queue"),
    Layout("taskiq-stream-name", "taskiq", "taskiq", (), "taskiq is the name of its queue", "stream"),
    Layout(
        "taskiq-stream-idle", "taskiq", "tqs", (("XGROUP", "CREATE", "tqs", "taskiq", "$", "MKSTREAM"),),
        "its consumer group taskiq reads the stream", "stream",
    ),
    Layout(
        "taskiq-stream-filled", "taskiq", "tqs", (("XADD", "tqs", "*", "data", TASKIQ_MESSAGE),),
        "a taskiq message waits in it", "stream",
    ),
    Layout(
        "saq-idle", "SAQ", "saq:default:queued",
        (("ZADD", "saq:default:stats", "1795857976706", "saq:default:worker_info:b"),),
        "its workers keep the sorted set saq:default:stats",
    ),
    Layout(
        "saq-filled", "SAQ", "saq:default:queued",
        (("ZADD", "saq:default:incomplete", "0", "saq:job:default:1"),
         ("RPUSH", "saq:default:queued", "saq:job:default:1")),
        "the sorted set saq:default:incomplete holds its jobs",
    ),
    Layout("saq-name", "SAQ", "saq:default:queued", (), "saq:NAME:… are the names"),
    Layout("huey-name", "huey", "huey.redis.myapp", (), "huey.redis.NAME is the name"),
    Layout("huey-filled", "huey", "work", (("LPUSH", "work", HUEY_MESSAGE),), "a pickled huey message waits in it"),
]  # fmt: skip


@pytest.fixture(scope="module")
def one_server():
    program = next((path for path in reversed(server_programs().values()) if path), None)
    if program is None:
        pytest.skip("no server program on this machine")
    starting = launcher()
    yield next(starting)(program)
    next(starting, None)


@pytest.fixture
def server(one_server):
    one_server.ask("FLUSHALL")
    one_server.ask("ACL", "DELUSER", "ann")
    return one_server


def lay(server, commands: Iterable[Words]) -> None:
    for words in commands:
        assert not server.ask(*words).startswith(b"-"), words


def job(key: str, kind: str = "list") -> Job:
    return Job("job", queue=Queue(kind, key))


def refusal(url: str, *jobs: Job) -> str:
    with pytest.raises(TargetError) as caught:
        open_target(url, jobs).close()
    assert caught.value.kind == "refused"
    return str(caught.value)


def remarks(url: str, *jobs: Job, force: bool = False) -> tuple[str, ...]:
    with open_target(url, jobs, force=force) as target:
        return target.notes


def state(server) -> tuple[int, bytes]:
    return server.number("DBSIZE"), server.ask("DEBUG", "DIGEST")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_a_queue_of_a_framework_is_refused_and_left_as_it_was(server, layout):
    lay(server, layout.commands)
    before = state(server)
    said = refusal(server.url(), job(layout.key, layout.kind))
    assert f"is a queue of {layout.name} (" in said
    assert layout.how in said
    assert "--force" in said
    assert state(server) == before


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_other_queues_beside_it_are_nobodys(server, layout):
    lay(server, layout.commands)
    assert remarks(server.url(), job("plg:jobs", layout.kind), job("load", "stream")) == ()


def test_every_framework_is_covered():
    assert {layout.name for layout in LAYOUTS} == {owner.name for owner in OWNERS}


def test_who_insists_may_write_and_reads_what_it_comes_to(server):
    lay(server, (binding("pay", "pay"),))
    [remark] = remarks(server.url(), job("pay"), force=True)
    assert remark.startswith("'pay' belongs to Celery (the set _kombu.binding.pay names it)")
    assert "loses its connection" in remark
    assert (
        "its workers prefetch jobs, long before they do them, so queue_depth, queue_age and drain_time tell" in remark
    )
    [remark] = remarks(server.url(), job("rq:queue:pay"), force=True)
    assert "prefetch" not in remark, "RQ's workers take one job at a time"


def test_the_frameworks_own_form_is_welcome_and_named(server):
    lay(server, (("SADD", "rq:queues", "rq:queue:pay"), ("SADD", "rq:workers:pay", "w")))
    assert remarks(server.url(), Job("job", queue=Queue("rq", "pay"), call="shop.charge")) == ()
    assert 'write queue rq "pay"' in refusal(server.url(), job("rq:queue:pay"))


def test_plain_jobs_of_ones_own_are_no_framework(server):
    own = json.dumps({"id": 1, "body": "x", "task_id": 3, "class": "A", "args": []})
    lay(server, (("LPUSH", "work", own, "not json", b"\x80\x05.", "{" * 5000),))
    lay(server, (("XADD", "log", "*", "data", own), ("XGROUP", "CREATE", "log", "mine", "0")))
    assert remarks(server.url(), job("work"), job("log", "stream")) == ()


def test_two_queues_are_both_named(server):
    lay(server, (binding("pay", "pay"), ("LPUSH", "work", HUEY_MESSAGE)))
    said = refusal(server.url(), job("pay"), job("fine"), job("work"))
    assert "'pay' at" in said
    assert "'work' at" in said
    assert "'fine'" not in said


def test_what_may_not_be_looked_at_is_a_remark(server):
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~plg:*", "+@all")
    [remark] = remarks(server.url("ann:pw"), job("plg:a"), job("plg:b"))
    assert remark.startswith("whether 'plg:a', 'plg:b' belongs to a queue framework could not be seen: NOPERM")
    server.ask("ACL", "SETUSER", "ann", "resetkeys", "~*", "-@all", "+lpush", "+llen", "+lrange", "+multi", "+ping")
    [remark] = remarks(server.url("ann:pw"), job("plg:a"))
    assert "could not be seen: NOPERM" in remark
    # What can be seen counts all the same.
    lay(server, (("LPUSH", "jobs", CELERY_MESSAGE),))
    assert "a Celery message waits in it" in refusal(server.url("ann:pw"), job("jobs"))


def test_a_job_of_many_megabytes_is_not_fetched_for_a_look(server):
    lay(server, (("LPUSH", "big", b"x" * (3 << 20)),))
    sent = int(server.fact("total_net_output_bytes"))
    [remark] = remarks(server.url(), job("big"))
    assert remark == "what waits in 'big' is too large to see whether it belongs to a queue framework"
    assert int(server.fact("total_net_output_bytes")) - sent < 1 << 20


def test_the_look_costs_a_bounded_number_of_commands(server):
    lay(server, (PIDBOX, ("LPUSH", "a:b:c:d:e:f", "x")))
    for at in range(0, 30_000, 1000):
        lay(server, (("MSET", *(word for n in range(1000) for word in (f"key:{at + n}", "x"))),))
    before = int(server.fact("total_commands_processed"))
    assert remarks(server.url(), job("a:b:c:d:e:f")) == ()
    assert int(server.fact("total_commands_processed")) - before < 80
    assert b"cmdstat_keys" not in server.ask("INFO", "commandstats", many=True)


def test_only_names_are_looked_at_where_nobody_can_have_a_queue():
    with pytest.raises(TargetError, match="is a queue of RQ"):
        open_target("embedded", (job("rq:queue:pay"),))
    with pytest.raises(TargetError, match="is a queue of Celery"):
        open_target("embedded", (job("celery"),))
    with open_target("embedded", (job("queue:low"),)) as target:
        assert target.notes == ()


@pytest.mark.parametrize("key", ["celery-load", "load:celery", "celery2", "queue:low", "queues", "taskiq:load"])
def test_names_beside_the_default_ones_are_nobodys(server, key):
    assert remarks(server.url(), job(key)) == ()


def test_the_default_name_alone_is_refused_with_the_reason_and_the_ways_out(server):
    said = refusal(server.url(), job("celery"))
    assert "'celery' at redis://" in said
    assert "a worker that takes a job of another form loses its connection and the messages it holds" in said
    assert said.endswith("(name another queue, or send there all the same with --force)")
    [remark] = remarks(server.url(), job("celery"), force=True)
    assert remark.startswith("'celery' belongs to Celery (celery is the name of its queue unless told otherwise")


def test_in_a_cluster_the_marks_may_stand_at_any_node():
    program = next((path for path in reversed(server_programs().values()) if path), None)
    if program is None:
        pytest.skip("no server program on this machine")
    starting = launcher()
    cluster = RealCluster(next(starting), program)
    try:
        url = cluster.nodes[0].url()
        for number in range(6):
            queue = f"pay{number}"
            words = binding(queue, queue)
            assert remarks(url, job(queue)) == ()
            assert cluster.nodes[cluster.place(str(words[1]))].ask(*words) == b":1\r\n"
            assert f"the set _kombu.binding.{queue} names it" in refusal(url, job(queue))
    finally:
        next(starting, None)
