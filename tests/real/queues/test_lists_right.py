"""Lists that are filled at the right, for workers that take from the left as those of Resque and Laravel do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plg import session
from plg.outcome import Outcome
from plg.prepare import Request, prepare
from plg.queues.base import Job, Queue
from plg.queues.use import KeyConflict, queues_of

JOBS = 60


def run(text: str, tmp_path: Path, url: str) -> Outcome:
    path = tmp_path / "right.plg"
    path.write_text(
        f"scenario right {{ {text} traffic {{ steady {JOBS}/s over 1s }} "
        "guardrails { max_rate 500/s max_total_jobs 1_000 max_duration 1m } }"
    )
    return session.run(prepare(path, Request({}, target=url, seed=1)), session.Observer())


@pytest.mark.parametrize(("push", "first"), [("", 0), ("push left", 0), ("push right", -1)])
def test_the_newest_job_lies_at_the_end_that_is_pushed_to(push: str, first: int, tmp_path: Path, server) -> None:
    outcome = run(f'watch 0s job work {{ queue "q" {push} }} expect {{ max(queue_age) < 1h }}', tmp_path, server.url())
    assert outcome.ledger.acked == JOBS == server.number("LLEN", "q")
    assert json.loads(server.raw("LINDEX", "q", first))["seq"] == JOBS - 1
    assert json.loads(server.raw("LINDEX", "q", -1 - first))["seq"] == 0


def test_the_oldest_job_gives_the_age(tmp_path: Path, server) -> None:
    """Nobody works, so it is as old as the run in the end."""
    expect = "expect { max(queue_age) < 1h }"
    outcome = run(f'watch 500ms job work {{ queue "q" push right }} {expect}', tmp_path, server.url())
    [age] = outcome.expectations
    assert age.verdict == "no_data", "they wait still: how old they become is not seen"
    assert outcome.recording.end_age_s is not None
    assert 0.9 < outcome.recording.end_age_s < 30


def test_workers_take_from_both_ends(tmp_path: Path, server) -> None:
    text = 'workers 2 each 1ms job a { queue "a" push right } job b { queue "b" } expect { lost == 0 completed == 60 }'
    outcome = run(text, tmp_path, server.url())
    assert [each.verdict for each in outcome.expectations] == ["pass", "pass"], outcome.reason
    assert outcome.exit_code == 0
    assert server.number("EXISTS", "a", "b") == 0
    stats = server.ask("INFO", "commandstats", many=True)
    assert b"cmdstat_blpop" in stats
    assert b"cmdstat_brpop" in stats


def test_one_list_is_not_filled_at_both_ends() -> None:
    jobs = [Job("a", Queue("list", "q")), Job("b", Queue("list", "q", {"push": "right"}))]
    with pytest.raises(KeyConflict, match="to the left of the list 'q' and others to its right"):
        queues_of(jobs)
