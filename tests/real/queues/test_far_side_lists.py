"""A worker of a plain list that tells of its jobs by the published entry: its clock, several generators, a cluster."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis, RedisCluster
from support.checked import plg

from plg import session
from plg.outcome import Outcome
from plg.outcome_io import read_outcome
from plg.prepare import Request, prepare
from plg.reports.terminal import summary

SCENARIO = """
scenario "told" {{
  job work {{ queue "{queue}"  payload {{ }} }}
  traffic {{ steady {rate}/s over 1s }}
  guardrails {{ max_rate 1_000/s  max_total_jobs 10_000  max_duration 1m }}
  watch {watch}
  expect {{ errors == 0  {expect} }}
}}
"""
KEPT = "p90(queue_wait) < 2s  max(run_time) < 1s  completed == {n}  lost == 0  duplicates == 0  dead == 0"


@contextmanager
def worker(redis: Redis, queue: str = "shop", *, behind: float = 0.0, mute: int = -1) -> Iterator[list[int]]:
    """One whose clock is so many seconds ``behind``; of the job with the number ``mute`` it does not tell."""
    over, done = threading.Event(), list[int]()

    def now() -> float:
        return time.time() - behind

    def work() -> None:
        while not over.is_set():
            taken = redis.brpop([queue], timeout=0.2)
            if taken is None:
                continue
            job, began = json.loads(taken[1]), now()
            time.sleep(0.001)
            done.append(job["seq"])
            if job["seq"] != mute:
                entry = {"id": job["id"], "s": began, "f": now(), "end": "done", "n": 1, "w": "me", "t": now()}
                redis.execute_command(
                    "XADD", f"plg:far:{job['run']}", "NOMKSTREAM", "*", *(w for pair in entry.items() for w in pair)
                )

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join(5)


def check(folder: Path, url: str, expect: str, *, rate: int = 40, watch: str = "10s", queue: str = "shop") -> Outcome:
    path = folder / "told.plg"
    path.write_text(SCENARIO.format(expect=expect, rate=rate, watch=watch, queue=queue))
    return session.run(prepare(path, Request({}, target=url, seed=1)), session.Observer())


def test_jobs_are_told_of_by_any_worker(tmp_path: Path, server) -> None:
    with Redis.from_url(server.url()) as redis, worker(redis) as done:
        outcome = check(tmp_path, server.url(), KEPT.format(n=40))
    assert outcome.exit_code == 0, outcome.reason
    assert sorted(done) == list(range(40))
    assert outcome.workers_seen == 1
    assert server.ask("KEYS", "plg:*") == b"*0\r\n"


@pytest.mark.parametrize("behind", [3.0, -3.0])
def test_the_clock_of_a_worker_is_corrected_by_the_servers(tmp_path: Path, server, behind: float) -> None:
    with Redis.from_url(server.url()) as redis, worker(redis, behind=behind):
        outcome = check(tmp_path, server.url(), KEPT.format(n=40))
    assert outcome.exit_code == 0, outcome.reason
    [said] = outcome.far_side.found
    side = "behind" if behind > 0 else "ahead of"
    assert said.startswith("the clock of worker me is ")
    assert said.endswith(f"s {side} the server's, which is corrected")
    assert abs(float(said.split()[6].removesuffix("s")) - 3.0) < 0.05, said
    assert outcome.queue_wait_s["max"] < 2.0


def test_a_job_that_nobody_tells_of_is_lost_as_far_as_can_be_seen(tmp_path: Path, server) -> None:
    with Redis.from_url(server.url()) as redis, worker(redis, mute=7):
        outcome = check(tmp_path, server.url(), "lost == 0  p50(queue_wait) < 2s", watch="2s")
    verdicts = [result.verdict for result in outcome.expectations]
    assert verdicts == ["pass", "fail", "pass"]
    assert "unless a worker without plg.worker ran them" in outcome.far_side.found[0]


@pytest.mark.parametrize(("others", "verdict"), [(15, "no_data"), (0, "pass")])
def test_jobs_of_others_do_not_stand_for_those_of_the_run(tmp_path: Path, server, others: int, verdict: str) -> None:
    """A worker does ten jobs; of the rest that wait some are thrown away, and another client puts in as many."""
    done = threading.Event()

    def meddle(redis: Redis) -> None:
        while redis.llen("shop") < 30:
            time.sleep(0.01)
        for place in range(10 + others):
            job, began = json.loads(redis.rpop("shop")), time.time()
            entry = {"id": job["id"], "s": began, "f": began, "end": "done", "n": 1, "w": "me", "t": began}
            if place < 10:
                words = [word for pair in entry.items() for word in pair]
                redis.execute_command("XADD", f"plg:far:{job['run']}", "NOMKSTREAM", "*", *words)
        for number in range(others):
            redis.lpush("shop", json.dumps({"seq": number, "id": f"other-{number}", "run": "other"}))
        done.set()

    with Redis.from_url(server.url()) as redis:
        thread = threading.Thread(target=meddle, args=(redis,))
        thread.start()
        outcome = check(tmp_path, server.url(), "lost == 0", watch="2s")
        thread.join()
    assert done.is_set()
    line = outcome.expectations[1]
    assert line.verdict == verdict, line.detail
    assert (f"{others} of 30 jobs by which the queue has grown are of others" in line.detail) == bool(others)


@pytest.mark.parametrize("harm", [("XTRIM", "MAXLEN", "0"), ("DEL",)])
def test_records_that_another_client_removes_before_they_are_read_are_missed(tmp_path: Path, server, harm) -> None:
    """All jobs were told of: it is their second runs and failures that nobody can know of."""
    over = threading.Event()

    def remove() -> None:
        with Redis.from_url(server.url()) as redis:
            while not over.wait(0.3):
                for key in redis.scan_iter("plg:far:*"):
                    redis.execute_command("XADD", key, "NOMKSTREAM", "*", "id", "none")
                    redis.execute_command(harm[0], key, *harm[1:])

    thread = threading.Thread(target=remove)
    thread.start()
    with Redis.from_url(server.url()) as redis, worker(redis):
        outcome = check(tmp_path, server.url(), "duplicates == 0  dead == 0", watch="3s")
    over.set()
    thread.join()
    assert [result.verdict for result in outcome.expectations] == ["pass", "no_data", "no_data"]
    assert "removed" in outcome.expectations[1].detail


def test_where_no_worker_tells_there_is_no_data_and_the_watch_ends_soon(tmp_path: Path, server) -> None:
    over = threading.Event()

    def take() -> None:
        with Redis.from_url(server.url()) as redis:
            while not over.is_set():
                redis.brpop(["shop"], timeout=0.2)

    thread = threading.Thread(target=take)
    thread.start()
    began = time.monotonic()
    outcome = check(tmp_path, server.url(), "lost == 0  p50(queue_wait) < 2s  completed >= 0", watch="40s")
    took = time.monotonic() - began
    over.set()
    thread.join()
    assert [result.verdict for result in outcome.expectations] == ["pass", "no_data", "no_data", "no_data"]
    assert "add plg.worker" in outcome.expectations[1].detail
    assert outcome.far_side is None
    assert "workers: no worker told of its jobs" in summary(outcome)
    assert took < 15


def test_a_user_who_may_not_make_the_stream_is_told(tmp_path: Path, server) -> None:
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "+@all", "~shop", "~plg:runs", "~plg:run*")
    outcome = check(tmp_path, server.url("ann:pw"), "lost == 0", watch="0s")
    [_, line] = outcome.expectations
    assert line.verdict == "no_data"
    assert "what the workers do cannot be read: plg:far:" in line.detail


@pytest.mark.slow
def test_several_generators_of_one_run_read_one_stream(tmp_path: Path, server) -> None:
    path = tmp_path / "told.plg"
    path.write_text(SCENARIO.format(expect=KEPT.format(n=300), rate=300, watch="10s", queue="shop"))
    with Redis.from_url(server.url()) as redis, worker(redis) as done:
        ran = plg("check", path, "--launch", "local:3", "--target", server.url(), "--out", "out", cwd=tmp_path)
    assert sorted(done) == list(range(300))
    outcome = read_outcome(tmp_path / "out" / "told.outcome.json")
    assert ran.code == 0, ran.said
    assert (outcome.far_side.completed, outcome.far_side.jobs, outcome.workers_seen) == (300, 300, 1)
    assert server.ask("KEYS", "plg:*") == b"*0\r\n"


@pytest.mark.slow
def test_in_a_cluster_the_stream_lies_where_its_key_belongs(tmp_path: Path, cluster) -> None:
    url = cluster.nodes[0].url()
    redis = RedisCluster.from_url(url)
    with worker(redis, "shop") as done:
        outcome = check(tmp_path, url, KEPT.format(n=40))
    redis.close()
    assert outcome.exit_code == 0, outcome.reason
    assert len(done) == 40


def test_plgs_own_workers_tell_what_they_did(tmp_path: Path, server) -> None:
    path = tmp_path / "own.plg"
    path.write_text(
        'scenario own { job a { queue "q" payload { } } job b { stream "s" payload { } } workers 2 each 10ms '
        "traffic { steady 100/s over 1s } guardrails { max_rate 500/s max_total_jobs 1_000 max_duration 1m } "
        f"expect {{ {KEPT.format(n=100)}  min(run_time) > 5ms  drain_time < 20s }} }}"
    )
    outcome = session.run(prepare(path, Request({}, target=server.url(), seed=1)), session.Observer())
    assert outcome.exit_code == 0, outcome.reason
    assert outcome.workers.processed == outcome.far_side.completed == 100
    assert outcome.workers_seen == 2
    assert outcome.queue_wait_s["max"] < outcome.workers.wait_s["max"] + 0.05


HOOKED = """
import sys, time
sys.path.insert(0, sys.argv[2])
from redis import Redis
from plg.worker import Recorder, head_of
redis = Redis.from_url(sys.argv[1], socket_timeout=0.5)
recorder = Recorder(lambda: redis)
number = sys.argv[3]
slowest = 0.0
for round in range(3000):
    began = time.perf_counter()
    recorder.started(number)
    recorder.ended(number, "done")
    slowest = max(slowest, time.perf_counter() - began)
print(slowest)
"""


@pytest.mark.slow
def test_a_worker_is_not_held_up_where_the_server_is_silent(tmp_path: Path) -> None:
    """It listens and never answers: records are given up, and the worker's own thread waits for nothing."""
    from plg.queues.recipe import unique_id

    number = (unique_id("run", "work", "celery")[0] + b"%012x" % 7).decode()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        root = str(Path(__file__).parents[3])
        command = [sys.executable, "-c", HOOKED, url, root, number]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=os.environ, check=True)
    assert float(done.stdout) < 0.1
    assert time.monotonic() - began < 15, "nor is it kept from ending"
