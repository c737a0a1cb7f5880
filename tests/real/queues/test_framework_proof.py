"""Twenty seconds of patterned load for each framework's own worker: every job is run once, with its arguments, and what
plg tells of it is what its job wrote down itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support.agreement import figures_agree, jobs_agree
from support.frameworks import FRAMEWORKS, TAKES, told, working

from plg import session
from plg.outcome import Outcome
from plg.prepare import Prepared, Request, prepare
from plg.queues.registry import format_of
from plg.runner.far_jobs import FarJobs

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(300)]
SCENARIO = """
scenario "proof" {{
  job work {{ queue {kind} "{queue}"  call "{call}"  {takes} }}
  traffic {{
    up: ramp 5/s -> 30/s over 4s
    then wave: sine 20/s +- 15/s every 2s over 4s
    then bursts: burst 5/s -> 60/s for 500ms every 2s over 4s
    then rest: pause 2s
    then flat: steady 20/s over 6s
  }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  watch 20s
  expect {{
    errors == 0
    p95(queue_wait) < 9s  p95(run_time) < 5s  max(end_to_end) < 20s  p50(queue_wait) during flat < 9s
    completed == {jobs}  dead == 0  lost == 0  duplicates == 0  job_failures == 0  retried == 0  {counted}
  }}
}}
"""
JOBS = 70 + 80 + 75 + 120


@pytest.fixture
def read(monkeypatch):
    """The jobs of a run one by one, as plg has them when it makes its figures of them."""
    jobs: list[FarJobs] = []

    def noted(recording, reader, wall):
        jobs.append(reader.jobs)
        return fold(recording, reader, wall)

    fold = session.fold
    monkeypatch.setattr(session, "fold", noted)
    return jobs


def ran(name: str, folder: Path, url: str) -> tuple[Outcome, Prepared]:
    framework = FRAMEWORKS[name]
    counted = "warn workers <= 1" if "workers" in format_of(name).gauges else ""
    given = {"kind": name, "queue": framework.queue, "call": framework.call, "takes": TAKES[framework.takes]}
    (folder / "proof.plg").write_text(SCENARIO.format(jobs=JOBS, counted=counted, **given))
    prepared = prepare(folder / "proof.plg", Request({}, target=url, seed=1))
    return session.run(prepared, session.Observer()), prepared


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_worker_runs_each_job_once_and_plg_tells_of_it_as_the_job_does(
    name: str, made, server, tmp_path: Path, read: list[FarJobs]
) -> None:
    with working(told(name), made(name), tmp_path, server.url()) as worker:
        outcome, prepared = ran(name, tmp_path, server.url())
        seen = worker.waits_for(JOBS)
    # A machine that was late makes the run INVALID, which changes nothing of what the worker did.
    verdicts = {line.verdict for line in outcome.expectations if line.level == "expect"}
    assert verdicts == {"pass"} or outcome.exit_code == 5, (outcome.reason, worker.log())
    assert prepared.plan.duration == 20
    assert outcome.ledger.planned == outcome.ledger.acked == JOBS
    assert Counter(job["seq"] for job in seen) == Counter(range(JOBS))
    assert all(job["text"] == f"é {job['seq']}" for job in seen)
    far = outcome.far_side
    assert (far.completed, far.lost, far.duplicates, far.read) == (JOBS, 0, 0, JOBS)
    figures_agree(outcome, read[-1].asked_for, seen)
    jobs_agree(outcome, read[-1], seen)
    if "workers" in format_of(name).gauges:
        assert max(count for count in outcome.series["workers"] if count is not None) == 1
    assert server.ask("KEYS", "plg:far:*") == b"*0\r\n"
