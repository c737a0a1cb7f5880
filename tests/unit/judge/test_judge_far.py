"""Lines on what the workers did: a verdict only where the jobs that nobody knows the end of cannot change it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.far_runs import JOBS, folded, plan_in
from support.judged import expect, outcome_of, record, steady

from plg.histogram import Distribution
from plg.judge import rejudge
from plg.judge.expectations import judge
from plg.language.expectation import read_expectation
from plg.outcome import ExpectationResult
from plg.outcome_io import from_json, to_json
from plg.queues.tracing import Trace
from plg.runner.far_fold import nobody_asked
from plg.runner.merge import merge
from plg.runner.recording import Recording


@pytest.fixture
def plan(tmp_path):
    return plan_in(tmp_path)


def verdict(recording: Recording, line) -> tuple[str, float | None]:
    [result] = judge([line], recording)
    return result.verdict, result.observed


def test_times_and_counts_are_those_of_the_jobs(plan) -> None:
    recording = folded(
        plan, {3: Trace("dead", 2.0, 2.0, 4.0, failures=3, retries=2), 4: Trace("completed", 0.5, 0.5, 9)}
    )
    for line, expected in (
        (expect("queue_wait", "<", 2.1, "max"), 2.0),
        (expect("queue_wait", "<", 2.0, "min"), 0.5),
        (expect("run_time", "<=", 8.5, "max"), 8.5),
        (expect("run_time", "<", 9.0, "mean"), (18 * 0.5 + 2.0 + 8.5) / 20),
        (expect("end_to_end", "<", 10.0, "max"), 9.0),
        (expect("completed", "==", 19.0), 19),
        (expect("dead", "==", 1.0), 1),
        (expect("job_failures", "<=", 3.0), 3),
        (expect("retried", "==", 2.0), 2),
        (expect("lost", "==", 0.0), 0),
        (expect("duplicates", "==", 0.0), 0),
    ):
        found, observed = verdict(recording, line)
        assert found == "pass", line.text
        assert observed == pytest.approx(expected, abs=1e-6), line.text
    assert verdict(recording, expect("queue_wait", "<", 2.0, "max"))[0] == "fail"
    assert recording.far is not None
    assert sum(recording.far.started) == sum(recording.far.completed) == JOBS
    assert recording.far.clock_offset_s == 0.25


def test_the_series_show_when_jobs_were_started_and_how_long_they_waited(plan) -> None:
    traces = {place: Trace("completed", 1.0, 1.0, 1.5 + (place > 9)) for place in range(JOBS)}
    found = outcome_of(folded(plan, traces)).series
    assert sum(filter(None, found["started"])) == sum(filter(None, found["completed"])) == JOBS
    at = found["t_s"].index(1.0)
    assert found["started"][at] == 1, "the first job is due at 0.25 s and waits a second"
    assert found["queue_wait_p50_s"][0] == pytest.approx(1.0, rel=0.01)
    assert [x for x in found["run_time_p95_s"] if x is not None][-1] == pytest.approx(1.5, rel=0.01)
    assert "started" not in outcome_of(record(steady(2.0))).series


def test_jobs_that_were_not_started_count_with_what_they_have_waited_at_least(plan) -> None:
    """Two of twenty, due at 9.25 and 9.75 s, are still waiting at 12 s."""
    recording = folded(plan, {18: Trace("waiting"), 19: Trace("waiting")})
    assert verdict(recording, expect("queue_wait", "<", 1.5, "p90"))[0] == "pass"
    assert verdict(recording, expect("queue_wait", "<", 2.0, "p95")) == ("fail", pytest.approx(2.25, rel=0.01))
    assert verdict(recording, expect("queue_wait", "<", 60.0, "p95"))[0] == "no_data"
    assert verdict(recording, expect("queue_wait", "<", 60.0, "max"))[0] == "no_data"
    assert verdict(recording, expect("queue_wait", ">", 2.5, "max"))[0] == "pass"
    assert verdict(recording, expect("queue_wait", "<", 60.0, "mean"))[0] == "no_data"
    assert verdict(recording, expect("dead", "==", 0.0))[0] == "no_data"
    assert verdict(recording, expect("lost", "==", 0.0))[0] == "pass"
    [result] = judge([expect("end_to_end", "<", 60.0, "max")], recording)
    assert result.detail == "2 jobs of 20 had not ended when the watch was over"
    windows = expect("queue_wait", "<", 1.5, "max", window=5.0)
    assert verdict(recording, windows)[0] == "fail"
    assert verdict(recording, replace(windows, bound=60.0))[0] == "no_data"
    assert verdict(recording, replace(windows, bound=60.0, quota=0.5))[0] == "pass"


def test_jobs_that_a_worker_has_at_the_end_may_be_lost(plan) -> None:
    """A worker that was killed leaves them where they are, so nobody knows that none is lost."""
    recording = folded(plan, {4: Trace("waiting"), 18: Trace("running", 1.0, 1.0), 19: Trace("running", 1.0, 1.0)})
    [result] = judge([expect("lost", "==", 0.0)], recording)
    assert result.verdict == "no_data"
    assert result.detail == (
        "2 jobs of 20 had not ended and stood with a worker when the watch was over: lost if it was killed"
    )
    assert verdict(recording, expect("lost", "<", 3.0))[0] == "pass"
    assert verdict(recording, expect("lost", "<", 2.0))[0] == "no_data"


def test_jobs_that_are_found_nowhere_are_lost(plan) -> None:
    recording = folded(plan, {5: Trace("gone"), 6: Trace("gone")})
    assert verdict(recording, expect("lost", "==", 0.0)) == ("fail", 2)
    outcome = outcome_of(recording)
    assert outcome.far_side is not None
    assert (outcome.far_side.completed, outcome.far_side.lost) == (18, 2)
    [said] = outcome.far_side.found
    assert said.startswith("2 jobs that Redis confirmed can be found nowhere, unless their records were removed")
    # One that Redis never confirmed is not.
    assert verdict(folded(plan, {19: Trace("gone")}, acked=19), expect("lost", "==", 0.0))[0] == "pass"


def test_counts_of_a_sample_have_no_data_but_for_what_was_found(plan, monkeypatch) -> None:
    monkeypatch.setattr("plg.runner.far_jobs._sample", lambda planned, most, seed: np.arange(0, planned, 4))
    recording = folded(plan, {2: Trace("dead", 1.0, 1.0, 1.2, failures=1)})
    [result] = judge([expect("lost", "==", 0.0)], recording)
    assert (result.verdict, result.detail) == ("no_data", "5 of 20 jobs were asked after")
    assert verdict(recording, expect("dead", "==", 0.0)) == ("fail", 1)
    assert verdict(recording, expect("duplicates", "==", 0.0))[0] == "no_data"
    assert verdict(recording, expect("queue_wait", "<", 2.0, "mean"))[0] == "pass"


def test_a_clock_that_is_behind_gives_no_wait(plan) -> None:
    recording = folded(plan, {2: Trace("completed", -3.0, -3.0, -2.0)})
    [result] = judge([expect("queue_wait", "<", 9.0, "max")], recording)
    assert result.verdict == "no_data"
    assert result.detail.startswith("a worker's clock is at least 3s behind the server's")
    assert verdict(recording, expect("run_time", "<", 2.0, "max"))[0] == "pass"


def test_a_run_in_which_nobody_read_the_workers_has_no_data() -> None:
    recording = record(steady(2.0))
    lines = (expect("queue_wait", "<", 9.0, "p50"), expect("lost", "==", 0.0), expect("completed", ">=", 0.0))
    assert {result.verdict for result in judge(lines, recording)} == {"no_data"}
    [result, *_] = judge(lines, nobody_asked(recording, "list jobs leave no record"))
    assert (result.verdict, result.detail) == ("no_data", "list jobs leave no record")


def test_an_outcome_is_saved_and_judged_again(plan) -> None:
    outcome = outcome_of(folded(plan, {3: Trace("dead", 2.0, 2.0, 4.0, failures=1), 7: Trace("gone")}))
    back = from_json(to_json(outcome))
    assert back.far_side == outcome.far_side
    assert back.queue_wait_s == outcome.queue_wait_s
    again = rejudge(back, [expect("queue_wait", "<", 1.5, "max"), expect("lost", "==", 0.0)])
    assert [(r.verdict, r.observed) for r in again.expectations] == [("fail", pytest.approx(2.0)), ("fail", 1)]


def test_shards_add_up(plan) -> None:
    parts = [folded(plan, {3: Trace("dead", 2.0, 2.0, 4.0, failures=1)}), folded(plan, {})]
    whole = merge(parts, 2, {})
    assert whole.total("completed") == 2 * JOBS - 1
    assert whole.histograms["queue_wait"].over(whole.whole()).total == 2 * JOBS
    assert whole.far is not None
    assert (whole.far.jobs, whole.far.read) == (2 * JOBS, 2 * JOBS)
    unread = merge([parts[0], record(steady(2.0), duration=10.0, spans={"only": ((0.0, 10.0),)})], 2, {})
    [result] = judge([expect("lost", "==", 0.0)], unread)
    assert (result.verdict, result.detail) == ("no_data", "not every shard read what the workers did")


def test_percentiles_agree_with_all_values_at_hand(plan) -> None:
    draw = np.random.default_rng(3)
    waits = draw.exponential(2.0, JOBS)
    unstarted = set(draw.choice(JOBS, 4, replace=False).tolist())
    traces = {
        place: Trace("waiting") if place in unstarted else Trace("completed", wait, wait, wait + 0.1)
        for place, wait in enumerate(waits.tolist())
    }
    recording = folded(plan, traces, looked=30.0)
    due = np.arange(JOBS) / 2 + 0.25
    for q in (0.05, 0.25, 0.5, 0.75, 0.9, 0.95):
        least = np.sort([30.0 - due[p] if p in unstarted else waits[p] for p in range(JOBS)])
        most = np.sort([np.inf if p in unstarted else waits[p] for p in range(JOBS)])
        rank = max(1, int(np.ceil(q * JOBS - 1e-9))) - 1
        for bound in (0.5, 1.0, 2.0, 4.0, 25.0, 40.0):
            if min(abs(least[rank] - bound), abs(most[rank] - bound)) < 0.02 * bound:
                continue
            verdicts = {least[rank] < bound, most[rank] < bound}
            line = expect("queue_wait", "<", bound, f"p{q * 100:g}")
            enough = len(verdicts) == 1 and round(1 / min(q, 1 - q)) <= JOBS
            expected = ("pass" if verdicts == {True} else "fail") if enough else "no_data"
            assert verdict(recording, line)[0] == expected, (q, bound, least[rank], most[rank])
    assert isinstance(recording.histograms["queue_wait"].over(recording.whole()), Distribution)


def test_a_time_of_the_workers_returns_to_what_it_was(plan) -> None:
    """Jobs due before 6 s wait for five seconds, those before 8 s for three, later ones for a tenth."""
    traces = {
        k: Trace("completed", wait, wait, wait + 1)
        for k in range(JOBS)
        for wait in [5 if k < 12 else 3 if k < 16 else 0.1]
    }
    spans = {"rush": ((0.0, 6.0),), "rest": ((6.0, 10.0),)}

    def judged(text: str, **more: Trace) -> ExpectationResult:
        recording = replace(folded(plan, {**traces, **{int(k[1:]): v for k, v in more.items()}}), spans=spans)
        line, faults = read_expectation(text, list(spans))
        assert line is not None, faults
        [result] = judge([line], recording)
        return result

    back = judged("p50(queue_wait) returns to 500ms in every 1s within 3s after rush")
    assert (back.verdict, back.observed) == ("pass", pytest.approx(2.0))
    assert back.detail == "p50(queue_wait) returned to 100ms 2s after rush (bound 3s)"
    assert judged("max(end_to_end) returns to 2s in every 1s within 1500ms after rush").verdict == "fail"
    assert (
        judged("p50(queue_wait) returns to 0.1 * p50(queue_wait) during rush in every 1s within 3s after rush").verdict
        == "pass"
    )
    # Whether jobs that nobody saw start have waited shorter cannot be told.
    assert (
        judged("p50(queue_wait) returns to 500ms in every 1s within 1500ms after rush", j12=Trace("waiting")).verdict
        == "fail"
    )
    assert (
        judged(
            "max(queue_wait) returns to 60s in every 1s within 1500ms after rush",
            j12=Trace("waiting"),
            j14=Trace("waiting"),
        ).verdict
        == "no_data"
    )
