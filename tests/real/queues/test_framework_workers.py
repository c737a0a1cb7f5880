"""Depth, jobs in flight and delayed jobs are those that the framework itself counts while its worker is held up in its
jobs; delays, priorities and retries are what it makes of them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.frameworks import FRAMEWORKS, TAKES, Framework, told, working
from support.own_counts import own_counts

from plg import session
from plg.outcome import Outcome
from plg.prepare import Prepared, Request, prepare
from plg.queues.base import Job, Queue
from plg.queues.registry import format_of
from plg.queues.use import queues_of
from plg.targets.address import parse_address
from plg.targets.base import Depth
from plg.targets.probe import RedisProbe

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(300)]
SCENARIO = """
scenario "work" {{
  {jobs}
  traffic {{ steady 140/s over 1s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  watch {watch}
  expect {{ errors == 0  {expect} }}
}}
"""
JOB = 'job {name} {{ queue {kind} "{queue}"  call "{call}"  {takes}  {more} }}'
JOBS, DELAY = 140, 10.0
SOON = 6.0
"""Seconds after it is due that a delayed job has been run; Sidekiq looks at them at random, every 15 s at least."""


def sent(
    name: str, folder: Path, url: str, *more: str, watch: str = "0s", expect: str = ""
) -> tuple[Outcome, Prepared]:
    """A run of jobs with each of these settings, "" for none, in turn."""
    framework = FRAMEWORKS[name]
    given = {"kind": name, "queue": framework.queue, "call": framework.call, "takes": TAKES[framework.takes]}
    jobs = "\n  ".join(JOB.format(name=f"work{number}", more=words, **given) for number, words in enumerate(more))
    (folder / "work.plg").write_text(SCENARIO.format(jobs=jobs, watch=watch, expect=expect))
    prepared = prepare(folder / "work.plg", Request({}, target=url))
    outcome = session.run(prepared, session.Observer())
    assert outcome.ledger.acked == JOBS
    return outcome, prepared


def once_each(seen: list[dict]) -> None:
    assert Counter(job["seq"] for job in seen) == Counter(range(JOBS))
    assert all(job["text"] == f"é {job['seq']}" for job in seen)


def held_up(name: str, framework: Framework) -> Framework:
    """Celery answers what it has while it is at work where its jobs run in threads."""
    if name != "celery":
        return framework
    command = framework.command
    return Framework(
        framework.queue, framework.call, framework.takes,
        lambda bin: [word if word != "solo" else "threads" for word in command(bin)], files=framework.files,
    )  # fmt: skip


def quiet_counts(name: str, bin: Path, folder: Path, url: str) -> tuple[dict[str, int], Depth]:
    """What the framework counts before and after plg looks, where both are the same and the worker has jobs."""
    probe = RedisProbe(parse_address(url), queues_of([Job("j", Queue(name, FRAMEWORKS[name].queue), call="x")]))
    try:
        until, own = time.monotonic() + 60, own_counts(name, bin, folder, url)
        while True:
            sight, before, own = probe.look(), own, own_counts(name, bin, folder, url)
            busy = sight.in_flight if "total" in own else own.get("in_flight", JOBS - sum(own.values()))
            if before == own and busy:
                return own, sight
            assert time.monotonic() < until, (before, own)
    finally:
        probe.close()


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_depth_and_jobs_in_flight_are_those_that_the_framework_counts(name: str, made, server, tmp_path: Path) -> None:
    """Half of the jobs wait or are held up in the worker, the others are due ten seconds after they are sent."""
    bin, hold = made(name), tmp_path / "seen.hold"
    variants = ("", f"delay {DELAY:g}s") if "delay" in format_of(name).expresses else ("",)
    hold.touch()
    with working(held_up(name, FRAMEWORKS[name]), bin, tmp_path, server.url()) as worker:
        outcome, prepared = sent(name, tmp_path, server.url(), *variants)
        own, sight = quiet_counts(name, bin, tmp_path, server.url())
        found = {count: getattr(sight, count) for count in own if count != "total"}
        if "total" in own:
            found["total"] = sight.waiting + sight.in_flight + sight.delayed
        assert found == own
        for gauge in format_of(name).gauges & {"in_flight", "delayed"}:
            assert gauge in own or "total" in own, "the framework can tell of it"
        hold.unlink()
        released = time.time()
        seen = worker.waits_for(JOBS)
        once_each(seen)
    if len(variants) > 1:
        start = datetime.fromisoformat(outcome.started_at).timestamp()
        number = np.array([job["seq"] for job in seen])
        delayed = prepared.plan.interleave.kinds(number) == 1
        due = start + prepared.plan.arrivals.due(number) + DELAY
        began = np.array([job["at"] for job in seen])
        assert delayed.sum() == JOBS // 2
        # To the millisecond that some of them write the moment down in.
        assert (began - due)[delayed].min() > -0.002, "none of them is run before its time"
        assert (began - np.maximum(due, released))[delayed].max() < SOON + 15 * (name == "sidekiq")


ORDERS = {"celery": (0, 3, 9), "bullmq": (0, 1, 700)}
"""Frameworks that know priorities: some of them, those first that come first."""


@pytest.mark.parametrize("name", ORDERS)
def test_what_comes_first_by_its_priority_is_run_first(name: str, made, server, tmp_path: Path) -> None:
    """A worker that does one job at a time comes when all is sent."""
    framework, bin = FRAMEWORKS[name], made(name)
    files = {file: text.replace("concurrency: 10", "concurrency: 1") for file, text in framework.files.items()}
    # Sent in the opposite order.
    ranks = ORDERS[name][::-1]
    outcome, prepared = sent(
        name, tmp_path, server.url(), *(f"priority {rank}" for rank in ranks), expect=f"queue_depth <= {JOBS}"
    )
    assert outcome.queue is not None
    assert (outcome.queue.end, outcome.queue.oldest_s is not None) == (JOBS, True)
    alone = Framework(framework.queue, framework.call, framework.takes, framework.command, files=files)
    with working(alone, bin, tmp_path, server.url()) as worker:
        seen = worker.waits_for(JOBS)
    once_each(seen)
    kinds = prepared.plan.interleave.kinds(np.arange(JOBS))
    assert [job["seq"] for job in seen] == sorted(range(JOBS), key=lambda seq: (ranks[kinds[seq]], seq))


BACKOFF = 0.4
RETRIES = {
    "rq": 1.0, "dramatiq": BACKOFF / 2, "taskiq": 0.0, "taskiq_stream": 0.0, "saq": BACKOFF, "huey": BACKOFF,
    "bullmq": BACKOFF, "asynq": 0.0, "sidekiq": 15.0,
}  # fmt: skip
"""Frameworks whose jobs say how often they are tried, and for how long (s) each of them waits at least before it tries
again: as the job says where that can be said (dramatiq takes off up to half of it by chance), or as the worker says.
Asynq keeps that moment in whole seconds, and waits a second at most."""


@pytest.mark.parametrize("name", RETRIES)
def test_a_job_that_fails_is_tried_again_as_often_and_as_late_as_it_says(
    name: str, made, server, tmp_path: Path
) -> None:
    # Sidekiq waits 15 s and more before each further try, and longer each time.
    tries = 2 if name == "sidekiq" else 3
    expect = f"dead == {JOBS}  job_failures == {tries * JOBS}  retried == {(tries - 1) * JOBS}  completed == 0"
    expect += "  lost == 0  duplicates == 0"
    retry = f"retry {{ max 2 backoff {BACKOFF * 1000:g}ms }}" if "backoff" in format_of(name).expresses else "retry 2"
    framework = told(name)
    if name == "rq":  # it waits whole seconds, and a scheduler beside its worker ends them
        retry, usual = "retry { max 2 backoff 2s }", framework.command
        framework = replace(framework, command=lambda bin: [*usual(bin), "--with-scheduler"])
    elif name == "sidekiq":
        retry = "retry 1"
    with working(framework, made(name), tmp_path, server.url(), FAIL="1") as worker:
        outcome, _ = sent(name, tmp_path, server.url(), retry, watch="60s", expect=expect)
        seen = worker.waits_for(tries * JOBS)
    # A machine that was late makes the run INVALID, which changes nothing of what the worker did.
    assert {line.verdict for line in outcome.expectations} == {"pass"} or outcome.exit_code == 5, outcome.reason
    far = outcome.far_side
    assert (far.dead, far.failed_attempts, far.retried) == (JOBS, tries * JOBS, (tries - 1) * JOBS), worker.log()
    assert (far.completed, far.duplicates, far.lost) == (0, 0, 0), worker.log()
    assert Counter(job["seq"] for job in seen) == Counter(dict.fromkeys(range(JOBS), tries))
    for seq in range(JOBS):
        runs = sorted((job["at"], job["end"]) for job in seen if job["seq"] == seq)
        pauses = [later[0] - earlier[1] for earlier, later in pairwise(runs)]
        assert min(pauses) >= RETRIES[name] - 0.002, (seq, runs)
