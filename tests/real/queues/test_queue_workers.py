"""Workers are counted by what their framework keeps of them in Redis."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime

import pytest
import redis

from plg import session
from plg.prepare import Request, prepare
from plg.queues.base import Job, Queue
from plg.queues.registry import SHIPPED, format_of
from plg.queues.use import queues_of
from plg.targets.address import parse_address
from plg.targets.probe import RedisProbe


@pytest.fixture
def client(server):
    with redis.Redis.from_url(server.url()) as opened:
        yield opened


@pytest.fixture
def crew(server):
    """Counts the workers of some jobs' queues."""
    probes = []

    def counted(*jobs):
        probe = RedisProbe(parse_address(server.url()), queues_of(jobs))
        probes.append(probe)
        probe.count_workers(0.0)
        probe.rehearse()
        return probe.look().workers

    yield counted
    for probe in probes:
        probe.close()


def rq(name):
    return Job(name, queue=Queue("rq", name), call="tasks.work")


def test_workers_of_rq_are_those_whose_key_lives(crew, client):
    assert crew(rq("a")) == frozenset()
    client.sadd("rq:workers:a", "rq:worker:one", "rq:worker:two", "rq:worker:gone")
    client.hset("rq:worker:one", "state", "idle")
    client.hset("rq:worker:two", "state", "busy")
    assert crew(rq("a")) == {"rq:worker:one", "rq:worker:two"}
    # One that works at both queues is one worker.
    client.sadd("rq:workers:b", "rq:worker:two")
    assert crew(rq("a"), rq("b")) == {"rq:worker:one", "rq:worker:two"}


def test_beside_a_queue_that_cannot_tell_nobody_is_counted(crew, client):
    client.sadd("rq:workers:a", "rq:worker:one")
    client.hset("rq:worker:one", "state", "idle")
    assert crew(rq("a"), Job("b", queue=Queue("list", "b"))) is None


def queue(kind, name="shop", **settings):
    return Job(name, queue=Queue(kind, name, settings), call="work")


def test_workers_of_saq_are_those_whose_figures_live(crew, client):
    client.zadd("saq:shop:stats", {"saq:shop:worker_info:a": 1, "saq:shop:worker_info:b": 2})
    client.set("saq:shop:worker_info:b", "{}", ex=11)
    assert crew(queue("saq")) == {"saq:shop:worker_info:b"}


def test_workers_of_sidekiq_are_processes_that_work_at_the_queue(crew, client):
    for name, queues, quiet in (("a:1", ["shop"], "false"), ("b:2", ["other"], "false"), ("c:3", ["shop"], "true")):
        client.sadd("processes", name)
        client.hset(name, mapping={"info": json.dumps({"queues": queues}), "quiet": quiet, "busy": "0"})
    client.sadd("processes", "gone:4")
    assert crew(queue("sidekiq")) == {"a:1"}


def test_workers_of_asynq_are_servers_that_work_at_the_queue(crew, client):
    """A ``ServerInfo`` of Asynq: host (1), pid (2), and in its field 5 a map of queues to priorities."""
    for number, name in enumerate((b"shop", b"shopping", b"other")):
        entry = bytes([0x0A, len(name)]) + name + b"\x10\x06"
        client.zadd("asynq:servers", {f"asynq:servers:{{h:{number}:x}}": 1})
        client.set(f"asynq:servers:{{h:{number}:x}}", b"\x0a\x01h\x10\x07\x2a" + bytes([len(entry)]) + entry, ex=10)
    client.zadd("asynq:servers", {"asynq:servers:{gone:9:x}": 1})
    assert crew(queue("asynq")) == {"asynq:servers:{h:0:x}"}


def test_workers_of_dramatiq_are_those_whose_heartbeat_moves_on(server, client):
    """By whichever clock it is written: that of one worker is an hour behind."""
    probe = RedisProbe(parse_address(server.url()), queues_of([queue("dramatiq")]))
    probe.count_workers(0.0)
    now = time.time() * 1000
    client.zadd("dramatiq:__heartbeats__", {"fresh": now, "behind": now - 3.6e6, "dead": now - 60_000})
    assert probe.look().workers == {"fresh"}
    client.zadd("dramatiq:__heartbeats__", {"fresh": now + 900, "behind": now - 3.6e6 + 900})
    assert probe.look().workers == {"fresh", "behind"}
    probe.close()


def test_workers_of_bullmq_are_connections_named_after_the_queue(crew, server):
    name = "bull:" + base64.b64encode(b"shop").decode()
    names = (name, f"{name}:w:second", f"{name}:qe", "bull:" + base64.b64encode(b"shops").decode(), "other")
    opened = [redis.Redis.from_url(server.url(), client_name=each) for each in names]
    assert all(each.ping() for each in opened)
    assert len(crew(queue("bullmq"))) == 2
    for each in opened:
        each.close()


def test_workers_of_celery_are_those_that_hear_broadcasts(crew, client):
    """Two have mailboxes, and one connection listens by a pattern, as kombu does: one of them is gone."""
    assert crew(queue("celery")) == frozenset()
    client.sadd("_kombu.binding.celery.pidbox", "\x06\x16\x06\x16celery@a.celery.pidbox")
    client.sadd("_kombu.binding.celery.pidbox", "\x06\x16\x06\x16celery@b.celery.pidbox")
    assert crew(queue("celery")) == frozenset()
    hears, elsewhere = client.pubsub(), client.pubsub()
    hears.psubscribe("/0.celery.pidbox")
    elsewhere.subscribe("news")
    assert hears.get_message(timeout=5)
    assert elsewhere.get_message(timeout=5)
    assert len(crew(queue("celery"))) == 1
    assert len(crew(queue("celery"), queue("celery", "other"))) == 1
    assert crew(queue("celery", prefix="x")) == frozenset()
    hears.close()
    elsewhere.close()


def test_workers_of_a_taskiq_stream_are_its_consumers(crew, client):
    assert crew(queue("taskiq_stream")) == frozenset()
    client.xgroup_create("shop", "taskiq", mkstream=True)
    client.xadd("shop", {"data": "{}"})
    assert client.xreadgroup("taskiq", "one", {"shop": ">"})
    client.xgroup_createconsumer("shop", "taskiq", "two")
    assert crew(queue("taskiq_stream")) == {"one", "two"}


@pytest.mark.parametrize("kind", [name for name in SHIPPED if "workers" in format_of(name).gauges])
def test_a_user_who_may_not_ask_is_told_nothing(kind, server, client):
    """The queue itself is seen all the same."""
    denied = ["-srandmember", "-client", "-pubsub", "-scard", "-xinfo|consumers", "-exists"]
    denied += ["-zrange"] if kind != "bullmq" else []
    client.execute_command("ACL", "SETUSER", "looker", "on", ">pw", "~*", "+@all", *denied)
    client.xgroup_create("shop", "taskiq", mkstream=True) if kind == "taskiq_stream" else None
    url = server.url().replace("redis://", "redis://looker:pw@")
    probe = RedisProbe(parse_address(url), queues_of([queue(kind)]))
    probe.count_workers(0.0)
    probe.rehearse()
    look = probe.look()
    assert (look.waiting, look.workers) == (0, None)
    probe.close()


DELAYED = ("bullmq", "dramatiq", "saq", "celery", "huey")


@pytest.mark.parametrize("kind", DELAYED)
def test_a_delayed_job_is_as_old_as_the_time_since_it_was_due(kind, server, client, tmp_path):
    """Sent with a delay of a second, and moved to the queue as the framework does when it is due; three seconds later
    it is two seconds old."""
    call = "tasks.work" if kind == "huey" else "work"
    (tmp_path / "s.plg").write_text(
        f'scenario s {{ job a {{ queue {kind} "shop" call "{call}" delay 1s }} traffic {{ steady 10/s over 500ms }}'
        " guardrails { max_rate 50/s max_total_jobs 9 max_duration 1m } watch 0s expect { errors == 0 } }"
    )
    prepared = prepare(tmp_path / "s.plg", Request({}, target=server.url()))
    outcome = session.run(prepared, session.Observer())
    assert outcome.ledger.acked == 5
    if kind == "bullmq":
        ids = client.zrange("bull:shop:delayed", 0, -1)
        client.lpush("bull:shop:wait", *ids)
    elif kind == "dramatiq":
        for number, message in client.hgetall("dramatiq:shop.DQ.msgs").items():
            told = json.loads(message)
            assert told["options"].pop("eta") > told["message_timestamp"]
            client.hset("dramatiq:shop.msgs", number, json.dumps({**told, "queue_name": "shop"}))
        client.rpush("dramatiq:shop", *client.lrange("dramatiq:shop.DQ", 0, -1))
    elif kind == "saq":
        client.rpush("saq:shop:queued", *client.zrange("saq:shop:incomplete", 0, -1))
    now = outcome_start(outcome) + 4.0
    probe = RedisProbe(parse_address(server.url()), queues_of(prepared.scenario.jobs), clock=lambda: now)
    look = probe.look()
    probe.close()
    assert look.waiting == 5
    # Sent at 50 ms, due at 1.05 s, looked at as if it were at 4 s.
    assert look.oldest_age == pytest.approx(2.95, abs=0.25)


def outcome_start(outcome):
    return datetime.fromisoformat(outcome.started_at).timestamp()
