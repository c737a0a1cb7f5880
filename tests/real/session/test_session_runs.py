"""Real runs: what the server holds is what the scenario says, job by job, and the outcome says the same."""

from __future__ import annotations

import json
import math
import uuid
from collections import Counter

import numpy as np
import pytest
from support.session_runs import due_times, scenario

from plg.language.load import load
from plg.plan import make_plan

SHAPES = {
    "steady": ("steady 300/s over 800ms", lambda t: np.full_like(t, 300.0), 0.8),
    "slow": ("steady 150/m over 2s", lambda t: np.full_like(t, 2.5), 2.0),
    "ramp": ("ramp 50/s -> 450/s over 1s", lambda t: 50 + 400 * t, 1.0),
    "exponential": ("ramp 20/s -> 500/s over 1s exponential", lambda t: 20 * 25.0**t, 1.0),
    "logarithmic": ("ramp 20/s -> 400/s over 1s logarithmic", lambda t: 20 + 380 * np.log10(1 + 9 * t), 1.0),
    "sine": (
        "sine 200/s +- 300/s every 500ms over 1s from peak",
        lambda t: np.maximum(0, 200 + 300 * np.cos(4 * math.pi * t)),
        1.0,
    ),
    "burst": ("burst 50/s -> 600/s for 100ms every 400ms over 1s", lambda t: np.where(t % 0.4 < 0.1, 600, 50), 1.0),
    "staircase": ("staircase 100/s -> 400/s in 4 steps over 1s", lambda t: 100.0 + 100 * np.floor(4 * t), 1.0),
    "points": (
        "points linear { 0s 0/s, 500ms 500/s, 1s 100/s }",
        lambda t: np.interp(t, [0, 0.5, 1], [0, 500, 100]),
        1.0,
    ),
    "repeat": (
        "repeat 3 { steady 400/s over 150ms then pause 150ms }",
        lambda t: np.where(t % 0.3 < 0.15, 400, 0),
        0.9,
    ),
    "together": (
        "together { steady 200/s over 500ms and ramp 0/s -> 200/s over 1s }",
        lambda t: 200 * t + np.where(t < 0.5, 200, 0),
        1.0,
    ),
    "clipped": ("ramp 0/s -> 800/s over 1s max_rate 400/s", lambda t: np.minimum(800 * t, 400), 1.0),
    "sequence": (
        "a: steady 200/s over 300ms then b: pause 300ms then c: steady 500/s over 300ms",
        lambda t: np.select([t < 0.3, t < 0.6], [200, 0], 500),
        0.9,
    ),
}


SELDOM = {"slow", "exponential", "logarithmic", "staircase", "clipped"}
"""Shapes that the slow suite alone tries: each costs its real time."""


@pytest.mark.parametrize(
    "shape", [pytest.param(shape, marks=[pytest.mark.slow] if shape in SELDOM else []) for shape in SHAPES]
)
def test_every_job_leaves_when_the_curve_says(play, shape):
    """Due times come from a numerical integral of the rate written here; each job left at its own, or its lag later."""
    traffic, rate, duration = SHAPES[shape]
    played = play(scenario(traffic))
    jobs = played.all_there()
    due = due_times(rate, duration)
    assert len(jobs) == len(due)
    left = np.array([job["enqueued_at"] for job in jobs]) - played.started
    early, late = (left - due).min(), (left - due).max()
    # The start is saved to the millisecond, and the integral is a sum.
    assert early > -0.0025, early
    assert late <= played.late + 0.0025, (late, played.late)
    played.kept()


def test_what_the_outcome_says_of_windows_and_phases_adds_up(play):
    played = play(scenario("calm: steady 100/s over 500ms then rush: steady 400/s over 500ms"))
    played.all_there()
    outcome = played.outcome
    assert [(p.name, p.planned) for p in outcome.phases] == [("calm", 50), ("rush", 200)]
    # A job belongs to the phase in which it was confirmed: those of the last moment may be late for it.
    latest = (np.arange(50) + 0.5) / 100 + played.late + outcome.latency_s["max"] + 0.001
    assert (latest < 0.5).sum() <= outcome.phases[0].acked <= 50
    assert sum(phase.acked for phase in outcome.phases) == 250
    assert [p.start_s for p in outcome.phases] == [0.0, 0.5]
    series = outcome.series
    times, actual = series["t_s"], series["actual"]
    widths = np.diff([*times, 1.0])
    assert sum(a * w for a, w in zip(actual, widths, strict=True)) == pytest.approx(250, abs=1)
    assert sum(a * w for a, w in zip(series["target"], widths, strict=True)) == pytest.approx(250, abs=1)
    assert outcome.deviation == 0
    assert outcome.latency_s["max"] >= outcome.latency_s["p50"] > 0


def test_kinds_are_interleaved_by_weight_over_lists_and_streams(play, client):
    kinds = """
      job often weight 5 { queue "lists:a" payload { kind: "${job}" } }
      job seldom weight 1 { queue "lists:b" payload { kind: "${job}" } priority 7 timeout 90s retry 2 }
      job other weight 2 { queue "lists:a" payload { kind: "${job}" } }
      job entry weight 2 { stream "entries" payload { kind: "${job}" } }
    """
    played = play(scenario("steady 400/s over 1s", jobs=kinds))
    jobs = played.all_there("lists:a", "lists:b", "entries")
    assert sorted(client.keys("*")) == [b"entries", b"lists:a", b"lists:b", b"plg:runs"]
    assert Counter(job["job"] for job in jobs) == {"often": 200, "seldom": 40, "other": 80, "entry": 80}
    assert all(job["payload"] == {"kind": job["job"]} for job in jobs)
    assert {(job["priority"], job["timeout"], job["retry"]) for job in jobs if job["job"] == "seldom"} == {(7, 90, 2)}
    assert {(job["priority"], job["timeout"], job["retry"]) for job in jobs if job["job"] == "often"} == {(0, None, 0)}
    # Interleaved, not one kind after the other: in any twenty jobs each kind has its share, give or take one.
    names = [job["job"] for job in sorted(jobs, key=lambda job: job["seq"])]
    for start in range(0, 400, 20):
        share = Counter(names[start : start + 20])
        assert all(
            abs(share[kind] - 2 * weight) <= 1
            for kind, weight in (("often", 5), ("seldom", 1), ("other", 2), ("entry", 2))
        )


def test_a_stream_keeps_its_length(play, client):
    played = play(scenario("steady 500/s over 600ms", jobs='job e { stream "s" max_len 50 payload { n: "${seq}" } }'))
    assert played.outcome.ledger.acked == 300
    assert [job["seq"] for job in played.jobs("s")] == list(range(250, 300))
    assert client.xlen("s") == 50
    assert any("those beyond are deleted, taken or not" in remark for remark in played.outcome.warnings)


@pytest.mark.parametrize(
    "payload", ['"order ${seq} of ${run}"', '{ n: "${seq}", word: "ä \\"quoted\\"" }', '["${seq}", 1.5, null]']
)
def test_raw_jobs_are_the_payload_and_nothing_else(play, payload):
    played = play(scenario("steady 300/s over 300ms", jobs=f'job r {{ queue "q" encoding raw payload {payload} }}'))
    assert played.outcome.ledger.acked == 90
    run = played.outcome.run_id
    if payload.startswith('"'):
        assert played.raw() == [f"order {n} of {run}".encode() for n in range(90)]
    elif payload.startswith("{"):
        assert [json.loads(job) for job in played.raw()] == [{"n": n, "word": 'ä "quoted"'} for n in range(90)]
    else:
        assert [json.loads(job) for job in played.raw()] == [[n, 1.5, None] for n in range(90)]


def test_templates_are_filled(play, tmp_path):
    (tmp_path / "users.csv").write_text('email,name\na@x.io,"Ann, A."\nb@x.io,Bo\nc@x.io,Çem\n', encoding="utf-8")
    job = """job t { queue "q" payload {
      n: "${seq}", text: "no ${seq}!", id: "${uuid}", at: "${now_ms}", where: "${phase}", spaced: "in ${ phase }",
      kind: "${job}", run: "${run}", die: "${rand(1,6)}", word: "${choice("x","y z")}", plain: "$${seq}",
      mail: "${users.email}", name: "<${users.name}>", deep: { list: ["${seq}", { again: "${uuid}" }] }
    } }"""
    phases = "first: steady 200/s over 300ms then second: steady 200/s over 300ms"
    played = play(scenario(phases, 'data users "users.csv"', jobs=job))
    jobs = played.all_there()
    users = [("a@x.io", "Ann, A."), ("b@x.io", "Bo"), ("c@x.io", "Çem")]
    for job in jobs:
        seq, filled = job["seq"], job["payload"]
        assert (filled["n"], filled["text"], filled["deep"]["list"][0]) == (seq, f"no {seq}!", seq)
        assert filled["where"] == ("first" if seq < 60 else "second")
        assert filled["spaced"] == f"in {filled['where']}"
        assert (filled["kind"], filled["run"], filled["plain"]) == ("t", played.outcome.run_id, "${seq}")
        assert abs(filled["at"] / 1e3 - job["enqueued_at"]) <= 0.0011
        assert (filled["mail"], filled["name"]) == (users[seq % 3][0], f"<{users[seq % 3][1]}>")
        assert filled["die"] in range(1, 7)
        assert filled["word"] in ("x", "y z")
    filled = [job["payload"] for job in jobs]
    ids = [uuid.UUID(text) for each in filled for text in (each["id"], each["deep"]["list"][1]["again"])]
    assert len(set(ids)) == 240
    assert {job["payload"]["die"] for job in jobs} == set(range(1, 7))
    assert {job["payload"]["word"] for job in jobs} == {"x", "y z"}


def test_random_arrivals_are_those_of_the_seed(play, client, tmp_path):
    text = scenario("steady 300/s over 1s", arrivals="poisson seed 5")

    def due(seed):
        """When the jobs of the seed are due; they leave then, or by what the outcome says later."""
        client.delete("q")
        played = play(text, seed=seed)
        left = np.array([job["enqueued_at"] for job in played.all_there()]) - played.started
        due = make_plan(load(tmp_path / "scenario.plg").scenario, seed=played.outcome.seed).arrivals.due(
            np.arange(len(left))
        )
        assert (left - due).min() > -0.0025
        assert (left - due).max() <= played.late + 0.0025
        return due, played.outcome.seed

    first, seed = due(None)
    again, _ = due(None)
    other, overridden = due(6)
    assert (seed, overridden) == (5, 6)
    assert np.array_equal(first, again)
    assert len(other) != len(first) or np.abs(other - first).max() > 0.01
    # Exponential gaps: their spread is that of their mean, which no even spacing comes near.
    assert 0.7 < np.std(np.diff(first)) * 300 < 1.3


def test_slow_workers_let_the_queue_grow_and_drain(play, client):
    expect = "expect { drain_time < 8s  queue_depth > 50  queue_age > 400ms  drain_time > 200ms }"
    played = play(scenario("steady 200/s over 1s", "workers 2 each 20ms", expect))
    outcome = played.outcome
    played.kept()
    assert outcome.ledger.acked == 200
    assert outcome.workers.processed == 200
    assert client.llen("q") == 0
    depth = [d for d in outcome.series["queue_depth"] if d is not None]
    # A hundred are done in the second, a hundred wait at its end; a sample may be a tenth of a second old.
    assert 60 <= max(depth) <= 125
    observed = {result.text: result.observed for result in outcome.expectations}
    assert 0.7 < observed["drain_time < 8s"] < 2.5
    assert 0.4 < observed["queue_age > 400ms"] < 1.5


def test_quick_workers_keep_the_queue_empty(play, client):
    expect = "expect { queue_depth < 20  drain_time < 1s }"
    played = play(scenario("steady 100/s over 1s", "workers 4 each 1ms", expect))
    played.kept()
    assert played.outcome.workers.processed == 100
    assert client.llen("q") == 0


def test_workers_of_a_stream_acknowledge_what_they_took(play, client):
    stream = 'job e { stream "s" payload { n: "${seq}" } }'
    played = play(scenario("steady 200/s over 600ms", "workers 2 each 1ms", jobs=stream))
    assert played.outcome.workers.processed == 120
    (group,) = client.xinfo_groups("s")
    assert group["pending"] == 0


def test_nothing_of_others_is_touched(play, client):
    """Keys of others stay as they are, and what waited in the queue is still first in line."""
    client.set("text", "hello")
    client.hset("hash", mapping={"a": 1})
    client.lpush("q", "first", "second", json.dumps({"seq": "theirs"}))
    before = {key: client.dump(key) for key in (b"text", b"hash")}
    played = play(scenario("steady 300/s over 300ms", "expect { queue_depth <= 93 queue_depth > 3 }"))
    assert sorted(client.keys("*")) == [b"hash", b"plg:runs", b"q", b"text"]
    assert {key: client.dump(key) for key in before} == before
    held = client.lrange("q", 0, -1)[::-1]
    assert held[:3] == [b"first", b"second", b'{"seq": "theirs"}']
    assert [json.loads(job)["seq"] for job in held[3:]] == list(range(90))
    assert played.outcome.recording.start_depth == 3
    assert played.outcome.recording.end_depth is not None
    played.kept()


def test_a_queue_that_was_not_empty_has_drained_when_it_is_back_where_it_was(play, client):
    """Workers take the oldest first, so the old jobs go; the depth at the start is what counts."""
    client.lpush("q", *[f"old {n}" for n in range(40)])
    played = play(scenario("steady 200/s over 500ms", "workers 1 each 8ms", "expect { drain_time < 5s }"), force=True)
    outcome = played.outcome
    played.kept()
    assert outcome.recording.start_depth == 40
    assert outcome.recording.drain_s is not None
    assert client.llen("q") <= 40


def test_a_queue_that_does_not_drain_fails_and_waits_no_longer_than_asked(play):
    played = play(scenario("steady 100/s over 300ms", "expect { drain_time < 500ms }"))
    outcome = played.outcome
    assert (outcome.verdict, outcome.exit_code) == ("fail", 3)
    assert outcome.ledger.acked == 30
    # 500 ms, a tenth and a second over.
    assert outcome.recording.drain_waited_s < 2.2
