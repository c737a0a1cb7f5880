"""What a run left is removed after the frameworks' own workers have had some of it: results, jobs that failed, jobs to
be tried again, and jobs that a killed worker held."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import redis
from support.frameworks import TAKES, working
from support.keyspace import keyspace
from support.untidy import REGISTERED, untidy

from plg import session
from plg.prepare import Request, prepare
from plg.queues.registry import format_of
from plg.targets.leftovers import Leftovers, Remains
from plg.targets.open import open_target

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(300)]
JOBS, DONE = 140, 40


@pytest.fixture
def client(server):
    with redis.Redis(unix_socket_path=str(server.path)) as connection:
        yield connection


def run(name: str, framework, folder: Path, url: str) -> None:
    told = format_of(name).expresses
    retry = "retry { max 2 backoff 30s }" if "backoff" in told else "retry 2"
    variants = ["", *(["retry 0", retry] if "retry" in told else []), *(["delay 60s"] if "delay" in told else [])]
    given = f'queue {name} "{framework.queue}" call "{framework.call}" {TAKES[framework.takes]}'
    jobs = " ".join(f"job j{number} {{ {given} {more} }}" for number, more in enumerate(variants))
    limits = "guardrails { max_rate 900/s max_total_jobs 1_000 max_duration 1m }"
    (folder / "left.plg").write_text(
        f'scenario "left" {{ {jobs} traffic {{ steady 140/s over 1s }} {limits} watch 0s }}'
    )
    prepared = prepare(folder / "left.plg", Request({}, target=url, run_id="left"))
    assert session.run(prepared, session.Observer()).ledger.acked == JOBS


def clean(url: str, *, force: bool = False) -> Remains:
    with open_target(url, ()) as target, Leftovers(target) as leftovers:
        return leftovers.clean(leftovers.known()["left"], force=force, patience=2.0)


def others(name: str, client) -> dict:
    """All keys but those in which workers write down themselves."""
    return keyspace(client, *REGISTERED[name], *[host for host in [os.uname().nodename.encode()] if name == "sidekiq"])


@pytest.fixture
def prepared(made):
    """The framework with a worker that leaves much, and where it is installed: ``prepared(name)``."""

    def start(name: str):
        bin = made(name.removesuffix("_stream"))
        return untidy(name, bin), bin

    return start


@pytest.mark.parametrize("name", REGISTERED)
def test_nothing_is_left_of_what_a_worker_has_done_and_not_done(name: str, prepared, server, client, tmp_path) -> None:
    client.set("theirs", "x")
    before = others(name, client)
    framework, bin = prepared(name)
    with working(framework, bin, tmp_path, server.url()) as worker:
        run(name, framework, tmp_path, server.url())
        worker.waits_for(DONE)
        worker.stop()
    assert len(others(name, client)) > 1
    remains = clean(server.url())
    if remains.left.held:  # it was stopped in the middle of a job
        remains = clean(server.url(), force=True)
    assert remains.left.jobs == 0, remains.left
    assert others(name, client) == before
    if name == "taskiq_stream":
        assert (client.xlen("shop"), client.xpending("shop", "taskiq")["pending"]) == (0, 0)


@pytest.mark.parametrize("name", REGISTERED)
def test_what_a_killed_worker_held_is_left_unless_asked_for(name: str, prepared, server, client, tmp_path) -> None:
    client.set("theirs", "x")
    before = others(name, client)
    framework, bin = prepared(name)
    with working(framework, bin, tmp_path, server.url()) as worker:
        run(name, framework, tmp_path, server.url())
        worker.waits_for(DONE)
        worker.stop(signal.SIGKILL)
    with open_target(server.url(), ()) as target, Leftovers(target) as leftovers:
        held = leftovers.look(leftovers.known()["left"].entry).left.held
    first = clean(server.url())
    assert first.left.held == first.left.jobs == held
    if held:
        assert clean(server.url(), force=True).left.jobs == 0
    assert others(name, client) == before


UNSEEN = {"huey", "taskiq", "sidekiq"}
"""Frameworks that take a job out of Redis when a worker takes it."""


@pytest.mark.parametrize("name", REGISTERED)
def test_a_worker_that_goes_on_does_each_job_at_most_once(name: str, prepared, server, client, tmp_path) -> None:
    """plg cleans while the worker takes jobs: the worker lives on, and runs no job that plg has taken."""
    framework, bin = prepared(name)
    with working(framework, bin, tmp_path, server.url()) as worker:
        run(name, framework, tmp_path, server.url())
        worker.waits_for(10)
        clean(server.url())
        ran = len(worker.seen())
        time.sleep(1.0)
        assert worker.process.poll() is None
        # What it had at hand when plg gave up waiting it may still do.
        assert len(worker.seen()) <= ran + 10
        worker.stop(signal.SIGKILL)
    if b"left" in b"".join(client.zrange("plg:runs", 0, -1)):
        assert clean(server.url(), force=True).left.jobs == 0
    # What a worker writes of jobs that it took before plg cleaned, and that nobody sees in its hands, is left.
    assert len(set(others(name, client))) <= (10 if name in UNSEEN else 0)
