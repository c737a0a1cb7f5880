"""Jobs for RQ, run by RQ's own worker: each once, with its arguments, and counted as RQ counts them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from plg.queues.base import Job, Queue
from plg.queues.use import queues_of
from plg.targets.address import parse_address
from plg.targets.probe import RedisProbe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

JOBS = """
import json, os, time

def charge(number, currency, **more):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps([number, currency, more], ensure_ascii=False) + "\\n")

def fails(number):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(["fails", number]) + "\\n")
    raise ValueError("planted")

def slow():
    time.sleep(30)
"""

COUNTS = """
import json, sys
from redis import Redis
from rq import Queue
redis = Redis.from_url(sys.argv[1])
queue = Queue(sys.argv[2], connection=redis)
print(json.dumps([queue.count, queue.started_job_registry.count, queue.failed_job_registry.count,
                  sorted(q.name for q in Queue.all(connection=redis))]))
"""

SCENARIO = """
scenario "rq" {{
  job charge {{
    queue rq "default"{settings}
    call "{call}"
    args {args}
    {kwargs}
    timeout 30s
    {retry}
  }}
  traffic {{ ramp 20/s -> 120/s over 3s then steady 40/s over 1s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  expect {{ errors == 0 }}
}}
"""


@pytest.fixture
def rq(environment):
    return environment("rq", "rq")


def check(folder: Path, server, **given: str) -> dict:
    text = SCENARIO.format(**{"settings": "", "kwargs": "", "retry": ""} | given)
    (folder / "rq.plg").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "plg", "check", "rq.plg", "--quiet", "--target", server.url(), "--seed", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "plg-report" / "rq.outcome.json").read_text())


def counts(rq: Path, server, queue: str = "default") -> list:
    asked = [rq / "python", "-c", COUNTS, server.url(), queue]
    return json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


def work(rq: Path, folder: Path, server, *options: str) -> list:
    (folder / "shopjobs.py").write_text(JOBS, encoding="utf-8")
    seen = folder / "seen"
    subprocess.run(
        [rq / "rq", "worker", "--burst", "--quiet", "--url", server.url(), "--path", str(folder), *options, "default"],
        env={"PATH": str(rq), "SEEN": str(seen)}, cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return [json.loads(line) for line in seen.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_every_job_runs_once_with_its_arguments(tmp_path: Path, server, rq: Path, serializer: str) -> None:
    settings = f' {{ serializer: "{serializer}" }}' if serializer == "json" else ""
    outcome = check(
        tmp_path, server, settings=settings, call="shopjobs.charge", args='["${seq}", "EUR é\\n ${seq}"]',
        kwargs='kwargs { amount: "${rand(1,500)}", deep: [1.5, null, true, { x: 4_000_000_000 }] }',
    )  # fmt: skip
    acked = outcome["ledger"]["acked"]
    assert acked == outcome["ledger"]["planned"] == 250
    waiting, started, failed, queues = counts(rq, server)
    assert (waiting, started, failed, queues) == (acked, 0, 0, ["default"])
    # A forking worker takes some 20 ms a job; the one that does not fork runs the very same job code.
    seen = work(rq, tmp_path, server, "--worker-class", "rq.worker.SimpleWorker", "--serializer", serializer)
    assert Counter(number for number, _, _ in seen) == Counter(range(acked))
    for number, text, more in seen:
        assert text == f"EUR é\n {number}"
        assert 1 <= more["amount"] <= 500
        assert more["deep"] == [1.5, None, True, {"x": 4_000_000_000}]
    assert counts(rq, server)[:3] == [0, 0, 0]


def test_a_job_that_fails_is_tried_as_often_as_it_says(tmp_path: Path, server, rq: Path) -> None:
    acked = check(tmp_path, server, call="shopjobs.fails", args='["${seq}"]', retry="retry 2")["ledger"]["acked"]
    seen = work(rq, tmp_path, server, "--worker-class", "rq.worker.SimpleWorker")
    assert Counter(number for _, number in seen) == Counter(dict.fromkeys(range(acked), 3))
    assert counts(rq, server)[2] == acked


def test_a_run_whose_jobs_all_fail_in_the_worker_says_so_first(tmp_path: Path, server, rq: Path) -> None:
    """The queue is emptied as soon as it fills: every line holds."""
    (tmp_path / "shopjobs.py").write_text(JOBS, encoding="utf-8")
    command = [rq / "rq", "worker", "--quiet", "--url", server.url(), "--path", str(tmp_path)]
    command += ["--worker-class", "rq.worker.SimpleWorker", "default"]
    environment = {"PATH": str(rq), "SEEN": str(tmp_path / "seen")}
    worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        outcome = check(tmp_path, server, call="shopjobs.fails", args='["${seq}"]')
    finally:
        worker.kill()
        worker.wait()
    failed = counts(rq, server)[2]
    assert (outcome["exit_code"], outcome["queue"]["failed"]) == (0, failed)
    assert failed == outcome["ledger"]["acked"] - outcome["queue"]["end"]
    assert outcome["notices"][0]["text"].startswith(f"{failed} jobs failed in the worker during this run")


def test_depth_age_and_in_flight_are_those_that_rq_counts(tmp_path: Path, server, rq: Path) -> None:
    """While a worker is busy with one job for half a minute."""
    (tmp_path / "shopjobs.py").write_text(JOBS, encoding="utf-8")
    check(tmp_path, server, call="shopjobs.slow", args="[]")
    command = [rq / "rq", "worker", "--quiet", "--url", server.url(), "--path", str(tmp_path), "default"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while counts(rq, server)[1] == 0:
            assert time.monotonic() < until
            time.sleep(0.1)
        probe = RedisProbe(parse_address(server.url()), queues_of([Job("j", Queue("rq", "default"), call="x")]))
        sight = probe.look()
        probe.close()
        assert [sight.waiting, sight.in_flight, sight.dead] == counts(rq, server)[:3]
        # The oldest waiting job is the second of the run, which began at 20/s some seconds ago.
        assert 3.5 < sight.oldest_age < 40
    finally:
        worker.kill()
        worker.wait()
