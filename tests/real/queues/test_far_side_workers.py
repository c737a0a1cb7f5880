"""What the frameworks' own workers did with the jobs of a run, held against what the jobs themselves wrote down."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from support.agreement import figures_agree
from support.frameworks import FRAMEWORKS, TAKES, told, working

from plg import session
from plg.outcome import Outcome
from plg.outcome_io import from_json, to_json
from plg.plan import Plan
from plg.prepare import Request, prepare

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(300)]
SCENARIO = """
scenario "work" {{
  job work {{ queue {kind} "{queue}"{kept}  call "{call}"  {takes}  {more} }}
  traffic {{ up: ramp 20/s -> 80/s over 2s then flat: steady 40/s over 1s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  watch {watch}
  expect {{ errors == 0  {expect} }}
}}
"""
JOBS = 140
KEPT = (
    "p95(queue_wait) < 9s  p95(run_time) < 5s  max(end_to_end) < 20s  completed == 140  dead == 0  lost == 0 "
    "duplicates == 0  job_failures == 0  retried == 0  p50(queue_wait) during flat < 9s"
)


def check(
    name: str, folder: Path, server, expect: str, *, more: str = "", watch: str = "20s", progress=None, kept: str = ""
) -> tuple[Outcome, Plan]:
    framework = FRAMEWORKS[name]
    given = {"kind": name, "queue": framework.queue, "call": framework.call, "takes": TAKES[framework.takes]}
    path = folder / "work.plg"
    path.write_text(SCENARIO.format(kept=kept, more=more, watch=watch, expect=expect, **given))
    prepared = prepare(path, Request({}, target=server.url(), seed=1))
    return session.run(prepared, session.Observer(progress=progress, progress_every=0.2)), prepared.plan


@pytest.mark.parametrize("name", ["rq", "arq", "saq", "bullmq"])
def test_a_framework_that_keeps_records_tells_without_the_hook(name: str, made, server, tmp_path: Path) -> None:
    bin = made(name)
    with working(FRAMEWORKS[name], bin, tmp_path, server.url()) as worker:
        outcome, plan = check(
            name, tmp_path, server, KEPT if name in ("rq", "bullmq") else KEPT.replace("duplicates == 0 ", "")
        )
        seen = worker.waits_for(JOBS)
    assert outcome.exit_code == 0, (outcome.reason, worker.log())
    figures_agree(outcome, plan.arrivals.due(np.arange(JOBS)), seen)
    far = outcome.far_side
    assert (far.completed, far.lost, far.read) == (JOBS, 0, JOBS)
    assert "own" in far.source
    assert from_json(to_json(outcome)).far_side == far


def test_tasks_that_asynq_keeps_are_counted_without_the_hook(made, server, tmp_path: Path) -> None:
    expect = "completed == 140  dead == 0  job_failures == 0  lost == 0"
    with working(FRAMEWORKS["asynq"], made("asynq"), tmp_path, server.url()) as worker:
        outcome, _ = check("asynq", tmp_path, server, expect, kept=" { retention: 600 }")
        worker.waits_for(JOBS)
    assert outcome.exit_code == 0, (outcome.reason, worker.log())
    assert outcome.far_side.source == "Asynq's own records"
    assert outcome.queue_wait_s["p50"] is None


def test_processes_that_celery_forks_tell_of_their_own_jobs(made, server, tmp_path: Path) -> None:
    framework = told("celery")
    words = [word if word != "solo" else "prefork" for word in framework.command(made("celery"))]
    words[words.index("-c") + 1] = "2"
    with working(replace(framework, command=lambda bin: words), made("celery"), tmp_path, server.url()) as worker:
        outcome, plan = check("celery", tmp_path, server, KEPT)
        seen = worker.waits_for(JOBS)
    assert outcome.exit_code == 0, (outcome.reason, worker.log())
    figures_agree(outcome, plan.arrivals.due(np.arange(JOBS)), seen)
    assert outcome.workers_seen == 2


@pytest.mark.parametrize("name", ["celery", "arq", "sidekiq"])
def test_jobs_that_fail_are_counted_by_their_runs(name: str, made, server, tmp_path: Path) -> None:
    """Those that are not tried again: their frameworks know no tries of a single job, or take a minute for them."""
    expect = f"dead == {JOBS}  job_failures == {JOBS}  retried == 0  completed == 0  lost == 0"
    retry = "retry 0" if name == "sidekiq" else ""
    with working(told(name), made(name), tmp_path, server.url(), FAIL="1") as worker:
        outcome, _ = check(name, tmp_path, server, expect, more=retry, watch="30s")
        seen = worker.waits_for(JOBS)
    assert outcome.exit_code == 0, (outcome.reason, worker.log())
    assert len(seen) == outcome.far_side.failed_attempts == JOBS


LOSING = {"huey", "taskiq", "sidekiq"}
"""Frameworks that give a job away for good when a worker takes it."""


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_worker_that_is_killed_shows_as_its_framework_has_it(name: str, made, server, tmp_path: Path) -> None:
    """In the midst of a job. Others that it had then share its fate; what it had not told yet is not known either."""
    bin = made(name)
    with working(told(name), bin, tmp_path, server.url(), again=True, KILL="40") as worker:
        outcome, _ = check(name, tmp_path, server, "lost == 0", watch="12s")
        seen = worker.seen()
    far = outcome.far_side
    assert (tmp_path / "seen.killed").exists()
    assert far.completed <= len(seen) < JOBS
    assert far.completed + far.dead + far.waiting + far.in_flight + far.delayed + far.lost == JOBS
    [_, lost] = outcome.expectations
    if name in LOSING:
        # What it had begun stands with a worker as far as can be known; what it had not told of is nowhere.
        assert far.lost + far.in_flight >= 1
        assert (lost.verdict, outcome.exit_code) == ("fail" if far.lost else "no_data", 3)
        assert not far.lost or "can be found nowhere" in far.found[0]
    else:
        # Those that were done in the moment before, and not told of yet: gone, or still held by the worker.
        assert far.lost <= len(seen) - far.completed <= far.lost + far.in_flight, (far, worker.log())
        assert far.in_flight >= 1
        assert (lost.verdict, outcome.exit_code) == ("fail" if far.lost else "no_data", 3)


GIVEN_UP = {
    "celery": ('name="shop.work"', 'name="shop.other"', "given up by workers that do not know what they call"),
    "huey": (
        "@huey.task()",
        '@huey.task()\n@huey.lock_task("one")',
        "given up because the lock of their task was held",
    ),
}
"""How the worker of each is changed so that it gives jobs up."""


@pytest.mark.parametrize("name", GIVEN_UP)
def test_jobs_that_workers_gave_up_are_lost_and_the_report_says_why(name: str, made, server, tmp_path: Path) -> None:
    own, other, why = GIVEN_UP[name]
    framework = told(name)
    assert own in framework.files["shop.py"]
    framework = replace(framework, files={**framework.files, "shop.py": framework.files["shop.py"].replace(own, other)})
    with working(framework, made(name), tmp_path, server.url()) as worker:
        outcome, _ = check(name, tmp_path, server, "lost == 0  duplicates == 0")
        seen = worker.seen()
    [_, lost, _] = outcome.expectations
    assert outcome.far_side.completed == len(seen) < JOBS, worker.log()
    assert (lost.verdict, lost.observed) == ("fail", JOBS - len(seen))
    assert f"{JOBS - len(seen)} of them were {why}" in outcome.far_side.found[0]


def test_jobs_whose_worker_removes_their_records_are_not_called_lost(made, server, tmp_path: Path) -> None:
    framework = FRAMEWORKS["bullmq"]
    told = framework.files["worker.js"].replace("concurrency: 10", "concurrency: 10, removeOnComplete: { count: 20 }")
    with working(replace(framework, files={"worker.js": told}), made("bullmq"), tmp_path, server.url()) as worker:
        outcome, _ = check("bullmq", tmp_path, server, "lost == 0  completed == 140  dead == 0")
        assert len(worker.waits_for(JOBS)) == JOBS
    [_, lost, completed, _] = outcome.expectations
    assert server.number("ZCARD", "bull:shop:completed") == 20
    if outcome.far_side.doubt:  # plg did not see each of them in time
        assert (lost.verdict, completed.verdict) == ("no_data", "no_data")
        assert "lost or done before: workers keep none where they are told so (removeOnComplete)" in lost.detail
    else:
        assert (lost.verdict, completed.verdict) == ("pass", "pass")


@pytest.mark.parametrize("name", ["celery", "huey", "taskiq"])
def test_a_job_that_is_given_to_workers_twice_is_a_duplicate(name: str, made, server, tmp_path: Path) -> None:
    bin, key = made(name), {"huey": "huey.redis.shop"}.get(name, "shop")
    framework = told(name)
    twice = []

    def progress(seen) -> None:
        if seen.stage == "draining" and not twice:
            twice.append(server.number("LPUSH", key, server.raw("LINDEX", key, "0")))
            working_from_now.set()

    working_from_now = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(check, name, tmp_path, server, "duplicates == 0", watch="30s", progress=progress)
        assert working_from_now.wait(30)
        with working(framework, bin, tmp_path, server.url()) as worker:
            outcome, _ = ran.result(60)
            seen = worker.waits_for(JOBS + 1)
    assert twice == [JOBS + 1]
    assert len(seen) == JOBS + 1
    [_, line] = outcome.expectations
    assert (line.verdict, line.observed) == ("fail", 1)
    assert (outcome.far_side.completed, outcome.far_side.duplicates, outcome.far_side.lost) == (JOBS, 1, 0)


@pytest.mark.parametrize("name", ["celery", "arq", "dramatiq", "saq", "huey", "bullmq", "asynq"])
def test_a_delayed_job_waits_from_the_end_of_its_delay(name: str, made, server, tmp_path: Path) -> None:
    bin = made(name)
    with working(told(name), bin, tmp_path, server.url()) as worker:
        outcome, _ = check(
            name, tmp_path, server, "max(queue_wait) < 3s  completed == 140", more="delay 4s", watch="25s"
        )
        seen = worker.waits_for(JOBS)
    assert outcome.exit_code == 0, (outcome.reason, worker.log())
    zero = datetime.fromisoformat(outcome.started_at).timestamp()
    assert min(job["at"] for job in seen) > zero + 4
    assert outcome.end_to_end_s["max"] < 3


def test_a_job_that_is_given_to_another_worker_after_a_crash_is_a_duplicate(made, server, tmp_path: Path) -> None:
    """By dramatiq, which does so when it has not heard of a worker for some time: two seconds here."""
    framework = told("dramatiq")
    soon = 'RedisBroker(url=os.environ["REDIS"], heartbeat_timeout=2000, maintenance_chance=1_000_000)'
    files = {name: text.replace('RedisBroker(url=os.environ["REDIS"])', soon) for name, text in framework.files.items()}
    with working(
        replace(framework, files=files), made("dramatiq"), tmp_path, server.url(), again=True, KILL="40"
    ) as worker:
        outcome, _ = check("dramatiq", tmp_path, server, "duplicates == 0  completed >= 130", watch="25s")
        seen = worker.seen()
    far = outcome.far_side
    [_, duplicates, completed] = outcome.expectations
    assert {job["seq"] for job in seen} == set(range(JOBS)), worker.log()
    assert (duplicates.verdict, completed.verdict) == ("fail", "pass")
    assert far.duplicates >= 1
    assert "after a worker that began them and never finished" in " ".join(far.found)
