"""What the frameworks' own workers did with the jobs of a run, held against what the jobs themselves wrote down."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from support.frameworks import FRAMEWORKS, TAKES, told, working

from plg import session
from plg.outcome import Outcome
from plg.plan import Plan
from plg.prepare import Request, prepare

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(300)]
SCENARIO = """
scenario "work" {{
  job work {{ queue {kind} "{queue}"  call "{call}"  {takes}  {more} }}
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


def check(name: str, folder: Path, server, expect: str, *, more: str = "", watch: str = "20s") -> tuple[Outcome, Plan]:
    framework = FRAMEWORKS[name]
    if name == "saq":
        # A worker that has just started sweeps, and aborts what it has just taken. This is the mark of a sweep made.
        server.ask("SET", "saq:shop:sweep", "1", "EX", "60")
    given = {"kind": name, "queue": framework.queue, "call": framework.call, "takes": TAKES[framework.takes]}
    path = folder / "work.plg"
    path.write_text(SCENARIO.format(more=more, watch=watch, expect=expect, **given))
    prepared = prepare(path, Request({}, target=server.url(), seed=1))
    return session.run(prepared, session.Observer()), prepared.plan


def agrees(outcome: Outcome, plan: Plan, seen: list[dict]) -> None:
    """Within 5 ms at the median and 20 ms at the 99th percentile."""
    zero = datetime.fromisoformat(outcome.started_at).timestamp()
    due = plan.arrivals.due(np.array([job["seq"] for job in seen]))
    waits = np.array([job["at"] for job in seen]) - zero - due
    runs = np.array([job["end"] - job["at"] for job in seen])
    for measure, of, own in (("queue_wait", outcome.queue_wait_s, waits), ("run_time", outcome.run_time_s, runs)):
        for name, q, within in (("p50", 50, 0.005), ("p99", 99, 0.020)):
            assert abs(of[name] - float(np.percentile(own, q))) < within + 0.01 * of[name], (measure, name)


@pytest.mark.parametrize("name", ["arq", "saq", "bullmq"])
def test_a_framework_that_keeps_records_tells_without_the_hook(name: str, made, server, tmp_path: Path) -> None:
    bin = made(name)
    with working(FRAMEWORKS[name], bin, tmp_path, server.url()) as worker:
        outcome, plan = check(
            name, tmp_path, server, KEPT if name == "bullmq" else KEPT.replace("duplicates == 0 ", "")
        )
        seen = worker.waits_for(JOBS)
    assert outcome.exit_code == 0, (outcome.reason, worker.log())
    agrees(outcome, plan, seen)
    far = outcome.far_side
    assert (far.completed, far.lost, far.read) == (JOBS, 0, JOBS)
    assert "own" in far.source


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_worker_with_the_hook_tells_what_it_did(name: str, made, server, tmp_path: Path) -> None:
    bin = made(name)
    with working(told(name), bin, tmp_path, server.url()) as worker:
        if name == "taskiq_stream":  # its group sees what comes after it
            while server.ask("EXISTS", "shop") != b":1\r\n":
                assert worker.process.poll() is None
        outcome, plan = check(name, tmp_path, server, KEPT)
        seen = worker.waits_for(JOBS)
    assert outcome.exit_code == 0, (outcome.reason, worker.log())
    agrees(outcome, plan, seen)
    far = outcome.far_side
    assert (far.completed, far.lost, far.duplicates, far.read) == (JOBS, 0, 0, JOBS)
    assert outcome.workers_seen is not None
    assert server.ask("KEYS", "plg:far:*") == b"*0\r\n"
