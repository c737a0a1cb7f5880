"""plg check --clean leaves nothing, and residue says what is left: held against what another client sees."""

from __future__ import annotations

import signal

import pytest
from support.checked import Started, plg, until
from support.keyspace import keyspace
from support.session_runs import JOB, scenario

from plg.language.expectation import read_expectation
from plg.outcome_io import from_json, to_json


def residue(outcome) -> tuple[str, float | None, int | None]:
    [line] = [result for result in outcome.expectations if result.text == "residue == 0"]
    return line.verdict, line.observed, outcome.residue


def test_a_run_that_cleans_leaves_the_keyspace_as_it_was(play, client):
    client.lpush("q", "theirs")
    before = keyspace(client)
    jobs = JOB + ' job s { stream "s" } job c { queue celery "c" call "a.b" }'
    outcome = play(scenario("steady 400/s over 500ms", "expect { residue == 0 }", jobs=jobs), clean=True).outcome
    assert residue(outcome) == ("pass", 0, 0)
    assert outcome.recording.residue_said == "200 jobs removed"
    assert keyspace(client) == before


def test_without_it_residue_counts_what_is_left(play, client):
    outcome = play(scenario("steady 400/s over 500ms", "expect { residue == 0 }")).outcome
    assert residue(outcome) == ("fail", 200, 200)
    assert client.llen("q") == 200
    assert outcome.exit_code == 3
    assert from_json(to_json(outcome)).residue == 200


def test_what_the_workers_have_done_is_not_left(play, client):
    text = scenario("steady 100/s over 500ms", "workers 2 each 0ms watch 5s expect { residue == 0 }")
    assert residue(play(text).outcome) == ("pass", 0, 0)
    assert client.dbsize() == 0


def test_nobody_looks_where_nobody_asks(play):
    outcome = play(scenario("steady 100/s over 300ms")).outcome
    assert (outcome.residue, outcome.recording.residue_said) == (None, "")


def test_a_stopped_run_is_cleaned_too(here, server, client):
    (here / "s.plg").write_text(scenario("steady 400/s over 20s"))
    target = f"unix://{server.path}"
    with Started("check", "s.plg", "--target", target, "--clean", cwd=here) as started:
        until(lambda: client.llen("q") > 50)
        started.process.send_signal(signal.SIGINT)
        done = started.done()
    assert done.code == 130, done.said
    assert client.dbsize() == 0


def test_jobs_that_do_not_say_of_which_run_they_are_stay_and_are_told(play, client, here):
    job = 'job job { queue "q" encoding raw payload { n: "${seq}" } }'
    outcome = play(scenario("steady 100/s over 300ms", jobs=job), clean=True).outcome
    assert (outcome.residue, client.llen("q")) == (None, 30)
    assert "q: jobs that are a raw payload do not say which run they are of, and stay" in outcome.warnings
    (here / "s.plg").write_text(scenario("steady 100/s over 300ms", "expect { residue == 0 }", jobs=job))
    done = plg("lint", "s.plg", cwd=here)
    assert done.code == 2
    assert "residue cannot be told: q: jobs that are a raw payload" in done.said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("residue == 0 during a", "residue is one value of the whole run: it is what is left at the end"),
        ("residue == 0 in every 1s", "residue is one value for the whole run"),
        ("residue returns to 0 within 5s after a", "residue is one figure of its span, and has no moment"),
        ("acked > residue", "residue is one value of the run and bounds nothing"),
        ("p50(residue) == 0", "residue is one value and takes no aggregate"),
        ("residu == 0", "did you mean residue?"),
    ],
)
def test_what_residue_cannot_be_asked(line, words):
    expectation, faults = read_expectation(line, ("a",))
    assert expectation is None
    assert any(words in f"{fault.message} {fault.help}" for fault in faults)


def test_shards_are_cleaned_when_all_are_over(here, server):
    (here / "s.plg").write_text(scenario("steady 100/s over 2s"))
    start = ("check", "s.plg", "--target", f"unix://{server.path}")
    done = plg(*start, "--clean", "--shard", "1/2", "--run-id", "r", cwd=here)
    assert done.code == 2
    assert "--clean is for a run of one generator" in done.said
    left = plg(*start, "--launch", "local:2", cwd=here)
    assert left.code in (0, 5), left.said
    before = server.number("DBSIZE")
    assert before > 0
    assert plg("clean", "--all", "--target", f"unix://{server.path}", cwd=here).code == 0
    assert server.number("DBSIZE") == 0
    done = plg(*start, "--launch", "local:2", "--clean", cwd=here)
    assert done.code in (0, 5), done.said
    assert "200 sent" in done.said
    assert server.number("DBSIZE") == 0
