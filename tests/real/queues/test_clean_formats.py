"""What a run leaves in the keys of each framework goes, and nothing else: before any worker has come."""

from __future__ import annotations

import json

import pytest
import redis
from support.frameworks import FRAMEWORKS, TAKES
from support.keyspace import keyspace

from plg import session
from plg.prepare import Request, prepare
from plg.queues.registry import format_of
from plg.targets.leftovers import Leftovers
from plg.targets.open import open_target

KINDS = tuple(FRAMEWORKS)
JOBS = 120
VARIANTS = {"delay": "delay 60s", "priority": "priority 5", "timeout": "timeout 30s", "retry": "retry 2"}


@pytest.fixture
def client(server):
    with redis.Redis(unix_socket_path=str(server.path)) as connection:
        yield connection


@pytest.fixture
def run(server, tmp_path):
    """Runs plain, delayed and other jobs of a kind in one queue; the name of the run."""

    def start(kind: str, run_id: str) -> str:
        framework = FRAMEWORKS.get(kind)
        call, takes = (framework.call, TAKES[framework.takes]) if framework else ("shop.work", TAKES["args"])
        called = f'call "{call}" {takes}' if kind != "list" else TAKES["payload"]
        given = [text for name, text in VARIANTS.items() if name in format_of(kind).expresses]
        jobs = " ".join(
            f'job j{number} {{ queue {kind if kind != "list" else ""} "shop" {called} {more} }}'
            for number, more in enumerate(("", *given))
        )
        limits = "guardrails { max_rate 9000/s max_total_jobs 9_000 max_duration 1m }"
        file = tmp_path / f"{run_id}.plg"
        file.write_text(f'scenario "s" {{ {jobs} traffic {{ steady 1000/s over 120ms }} {limits} }}')
        outcome = session.run(prepare(file, Request({}, target=server.url(), run_id=run_id)), session.Observer())
        assert outcome.ledger.acked == JOBS
        return run_id

    return start


def cleaned(server, name: str, **more):
    with open_target(server.url(), ()) as target, Leftovers(target) as leftovers:
        known = leftovers.known()[name]
        seen = leftovers.look(known.entry).left
        remains = leftovers.clean(known, patience=0.5, **more)
    assert remains.left.jobs == remains.left.held == 0, remains.left
    assert seen.counts == remains.removed.counts
    return remains


@pytest.mark.parametrize("kind", KINDS)
def test_one_run_goes_and_the_other_stays_and_then_nothing_is_left(kind: str, run, server, client) -> None:
    """The other run is the application here: its jobs are in every place that this format has."""
    client.set("theirs", "x")
    empty = keyspace(client)
    run(kind, "app")
    before = contents(client)
    run(kind, "ours")
    assert cleaned(server, "ours").removed.jobs == JOBS
    assert contents(client) == before
    assert cleaned(server, "app").removed.jobs == JOBS
    assert keyspace(client) == empty


@pytest.mark.parametrize("kind", ["list", "celery", "taskiq", "sidekiq", "huey"])
def test_jobs_of_others_that_speak_of_the_jobs_of_the_run_stay(kind: str, run, server, client) -> None:
    """A task that one of the run's jobs has begun has the id of that job in it, as its parent, say."""
    run(kind, "ours")
    key = {"celery": "shop", "taskiq": "shop", "list": "shop", "sidekiq": "queue:shop", "huey": "huey.redis.shop"}[kind]
    job = client.lindex(key, 0)
    if kind == "celery":
        message = json.loads(job)
        child = message["headers"] | {"id": "another", "parent_id": message["headers"]["id"]}
        theirs = json.dumps(message | {"headers": child}).encode()
    elif kind == "huey":
        theirs = b"\x80\x04chuey.registry\nMessage\n(V0aa5-11\n" + b"Vof another program\n" * 8 + job
    else:
        theirs = json.dumps({"id": "x", "task_id": "x", "jid": "x", "payload": job.decode(), "labels": {}}).encode()
    client.lpush(key, theirs)
    client.rpush(key, theirs)
    assert cleaned(server, "ours").removed.jobs == JOBS
    assert client.lrange(key, 0, -1) == [theirs, theirs]


def contents(client) -> dict[bytes, object]:
    """What each key holds, in its order: a hash or a set that has been larger is written in another order by DUMP."""
    read = {
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"stream": client.xrange,
        b"string": client.get,
    }
    return {key: read[client.type(key)](key) for key in client.scan_iter(count=1000)}
