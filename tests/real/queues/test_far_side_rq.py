"""What RQ's own worker did with the jobs of a run, held against what the jobs themselves wrote down."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plg import session
from plg import worker as hook
from plg.outcome import Outcome
from plg.prepare import Request, prepare
from plg.reports.terminal import summary

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

JOBS = """
import json, os, time

def note(seq, began):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps([seq, began, time.time()]) + "\\n")

def work(seq):
    note(seq, time.time())

def fails(seq):
    note(seq, time.time())
    raise ValueError("planted")

def kills(seq):
    began = time.time()
    if seq == 7:
        os.kill(os.getpid(), 9)
    note(seq, began)
"""
SCENARIO = """
scenario "rq" {{
  job work {{ queue rq "shop"  call "shopjobs.{call}"  args ["${{seq}}"]  {more} }}
  traffic {{ up: ramp 10/s -> 40/s over 2s then flat: steady 40/s over 1s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  watch {watch}
  expect {{ errors == 0  {expect} }}
}}
"""


@pytest.fixture
def rq(environment):
    return environment("rq", "rq")


@contextmanager
def worker(rq: Path, folder: Path, server, *options: str) -> Iterator[None]:
    (folder / "shopjobs.py").write_text(JOBS)
    command = [rq / "rq", "worker", "--quiet", "--url", server.url(), "--path", str(folder), *options, "shop"]
    more = {"SEEN": str(folder / "seen"), "PATH": f"{rq}:{os.environ['PATH']}"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | more, stdout=log, stderr=log, cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def check(folder: Path, server, call: str, expect: str, more: str = "", watch: str = "30s") -> Outcome:
    path = folder / "rq.plg"
    path.write_text(SCENARIO.format(call=call, expect=expect, more=more, watch=watch))
    return session.run(prepare(path, Request({}, target=server.url(), seed=1)), session.Observer())


def seen(folder: Path) -> list[tuple[int, float, float]]:
    return [tuple(json.loads(line)) for line in (folder / "seen").read_text().splitlines()]


def test_jobs_that_fail_are_counted_by_their_runs(tmp_path: Path, server, rq: Path) -> None:
    with worker(rq, tmp_path, server, "--worker-class", "rq.worker.SimpleWorker"):
        outcome = check(tmp_path, server, "fails", "dead == 90  job_failures == 270  retried == 180", "retry 2")
    assert outcome.exit_code == 0, outcome.reason
    assert len(seen(tmp_path)) == 270
    far = outcome.far_side
    assert (far.completed, far.dead, far.failed_attempts, far.duplicates) == (0, 90, 270, 0)


def test_with_the_hook_the_first_start_of_a_job_is_known_that_was_tried_again(tmp_path: Path, server, rq: Path) -> None:
    """By a worker that forks: its process ends right after the job."""
    (tmp_path / "plg").mkdir()
    (tmp_path / "plg" / "__init__.py").touch()
    (tmp_path / "plg" / "worker.py").write_text(Path(hook.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    expect = "max(queue_wait) < 29s  dead == 90  job_failures == 180  retried == 90  duplicates == 0"
    with worker(rq, tmp_path, server, "--job-class", "plg.worker.RqJob"):
        outcome = check(tmp_path, server, "fails", expect, "retry 1", watch="40s")
    assert outcome.exit_code == 0, outcome.reason
    assert len(seen(tmp_path)) == 180
    assert "the workers' own records" in outcome.far_side.source


def test_a_job_whose_process_is_killed_fails_as_rq_says(tmp_path: Path, server, rq: Path) -> None:
    with worker(rq, tmp_path, server):
        outcome = check(tmp_path, server, "kills", "dead == 1  completed == 89  lost == 0")
    assert outcome.exit_code == 0, outcome.reason
    assert len(seen(tmp_path)) == 89


def test_jobs_that_nobody_takes_have_no_time_and_are_not_lost(tmp_path: Path, server) -> None:
    outcome = check(tmp_path, server, "work", "p50(queue_wait) < 9s  lost == 0  completed >= 0  dead == 0", watch="0s")
    verdicts = {result.text: result.verdict for result in outcome.expectations}
    assert verdicts == {
        "errors == 0": "pass", "p50(queue_wait) < 9s": "no_data", "lost == 0": "pass", "completed >= 0": "pass",
        "dead == 0": "no_data",
    }  # fmt: skip
    assert outcome.exit_code == 3
    assert outcome.far_side.waiting == 90
    server.ask("LTRIM", "rq:queue:shop", "0", "-2")


def test_jobs_that_are_deleted_are_lost(tmp_path: Path, server) -> None:
    """The records of two jobs go while the run still watches: they stand in the queue yet, and no worker can run
    them."""
    deleted = []

    def delete() -> None:
        for place in (-1, -2):
            number = server.said("LINDEX", "rq:queue:shop", place)
            deleted.append(server.ask("DEL", f"rq:job:{number}"))

    path = tmp_path / "rq.plg"
    path.write_text(SCENARIO.format(call="work", expect="lost == 0", more="", watch="2s"))
    prepared = prepare(path, Request({}, target=server.url(), seed=1))
    ran = []

    def progress(seen) -> None:
        if seen.stage == "draining" and not ran:
            ran.append(seen)
            delete()

    outcome = session.run(prepared, session.Observer(progress=progress, progress_every=0.2))
    assert deleted == [b":1\r\n", b":1\r\n"]
    [_, lost] = outcome.expectations
    assert (lost.verdict, lost.observed) == ("fail", 2)
    assert outcome.far_side.found[0] == (
        "2 jobs that Redis confirmed can be found nowhere: 2 of them still stand in the queue without their record"
    )


def test_jobs_that_the_server_evicts_are_lost_and_the_report_says_why(tmp_path: Path, servers, any_binary) -> None:
    server = servers(any_binary, "--maxmemory", "6mb", "--maxmemory-policy", "allkeys-random")
    path = tmp_path / "rq.plg"
    path.write_text(
        'scenario rq { job work { queue rq "shop" call "shopjobs.work" args ["' + 5000 * "x" + '"] } '
        "traffic { steady 600/s over 2s } guardrails { max_rate 1_000/s max_total_jobs 2_000 max_duration 1m } "
        "watch 0s expect { errors == 0 lost == 0 } }"
    )
    outcome = session.run(prepare(path, Request({}, target=server.url(), seed=1)), session.Observer())
    [_, lost] = outcome.expectations
    assert "the server evicted" in outcome.recording.lost
    assert "the server evicted" in summary(outcome)
    # The server may evict the queue too, or the stream in which workers tell of their jobs: then some may have ended.
    if not outcome.far_side.doubt:
        assert lost.verdict == "fail"
        assert lost.observed == outcome.far_side.lost > 100
        assert lost.observed + outcome.far_side.waiting == outcome.ledger.acked
        assert "the server evicted" in outcome.far_side.found[0]


def test_a_record_that_was_evicted_may_be_of_a_job_that_was_done(tmp_path: Path, servers, any_binary, rq: Path) -> None:
    """Workers run all jobs, and then the server has room for few of their records."""
    server = servers(any_binary, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random")
    path = tmp_path / "rq.plg"
    path.write_text(SCENARIO.format(call="work", expect="lost == 0  completed == 90", more="", watch="8s"))
    squeezed = []

    def progress(seen) -> None:
        if not squeezed and len(seen_jobs()) >= 45:
            squeezed.append(server.ask("CONFIG", "SET", "maxmemory", int(server.fact("used_memory")) - 60_000))

    def seen_jobs() -> list:
        return seen(tmp_path) if (tmp_path / "seen").exists() else []

    with worker(rq, tmp_path, server, "--worker-class", "rq.worker.SimpleWorker"):
        prepared = prepare(path, Request({}, target=server.url(), seed=1))
        outcome = session.run(prepared, session.Observer(progress=progress, progress_every=0.1))
    assert squeezed == [b"+OK\r\n"]
    assert "the server evicted" in outcome.recording.lost
    [_, lost, _] = outcome.expectations
    assert (lost.verdict, outcome.exit_code) == ("no_data", 3), outcome.far_side
    assert "lost or done before: the server evicted" in lost.detail
