"""The frameworks' own workers run plg's jobs: each once, with its arguments, counted as the framework counts them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from support.frameworks import FRAMEWORKS, TAKES, working

from plg import session
from plg.outcome import Outcome
from plg.prepare import Request, prepare
from plg.queues.registry import format_of

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(300)]
SCENARIO = """
scenario "work" {{
  {jobs}
  traffic {{ ramp 20/s -> 80/s over 2s then steady 40/s over 1s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  watch {watch}
  expect {{ errors == 0  {expect} }}
}}
"""
JOB = 'job {name} {{ queue {kind} "{queue}"  call "{call}"  {takes}  {more} }}'
JOBS = 140


def check(name: str, folder: Path, server, *delays: str, watch: str, expect: str) -> Outcome:
    """Run jobs with each of these delays, "" for none, in turn."""
    framework = FRAMEWORKS[name]
    given = {"kind": name, "queue": framework.queue, "call": framework.call, "takes": TAKES[framework.takes]}
    jobs = [JOB.format(name=f"work{n}", more=delay and f"delay {delay}", **given) for n, delay in enumerate(delays)]
    (folder / "work.plg").write_text(SCENARIO.format(jobs="\n  ".join(jobs), watch=watch, expect=expect))
    return session.run(prepare(folder / "work.plg", Request({}, target=server.url())), session.Observer())


def once_each(seen: list[dict]) -> None:
    assert Counter(job["seq"] for job in seen) == Counter(range(JOBS))
    assert all(job["text"] == f"é {job['seq']}" for job in seen)


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "taskiq_stream"])
def test_what_waits_is_counted_and_what_is_delayed_is_run_at_its_delay(name, made, server, tmp_path: Path) -> None:
    """A worker comes when all is sent: half of the jobs wait, the other half is due 8 s after it was sent."""
    bin = made(name)
    delays = ("", "8s") if "delay" in format_of(name).expresses else ("",)
    outcome = check(name, tmp_path, server, *delays, watch="0s", expect=f"queue_depth <= {JOBS}")
    assert outcome.ledger.acked == JOBS
    # Celery and huey keep delayed jobs in the queue itself until a worker has looked at them.
    apart = len(delays) > 1 and name not in ("celery", "huey")
    assert outcome.queue is not None
    assert outcome.queue.end == (JOBS // 2 if apart else JOBS)
    assert outcome.queue.oldest_s is not None
    assert outcome.queue.oldest_s >= 2.5
    started = datetime.fromisoformat(outcome.started_at).timestamp()
    with working(FRAMEWORKS[name], bin, tmp_path, server.url()) as worker:
        seen = worker.waits_for(JOBS)
        once_each(seen)
    if len(delays) > 1:
        late = [job["at"] - started for job in seen if job["at"] >= started + 8]
        assert len(late) >= JOBS // 2, "none of them is run before its time"
        # Sidekiq looks at what is delayed at random, 15 s after its worker has started at the latest.
        assert max(late) < 3 + 8 + (20 if name == "sidekiq" else 6)
