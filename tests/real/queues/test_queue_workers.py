"""Workers are counted by what their framework keeps of them in Redis."""

from __future__ import annotations

import pytest
import redis

from plg.queues.base import Job, Queue
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
