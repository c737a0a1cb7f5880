"""Lines on what the workers did, where a part of it was never seen: they have no data, whatever the rest says."""

from __future__ import annotations

import pytest
from support.far_runs import JOBS, folded, plan_in
from support.judged import expect

from plg.judge.expectations import judge
from plg.queues.tracing import GONE, Trace
from plg.runner.far_hooks import Told
from plg.runner.far_jobs import FarJobs
from plg.runner.recording import Recording


@pytest.fixture
def plan(tmp_path):
    return plan_in(tmp_path)


def verdict(recording: Recording, line) -> tuple[str, str]:
    [result] = judge([line], recording)
    return result.verdict, result.detail


def told(jobs: FarJobs, place: int, server: float, end: str = "done", worker: str = "w") -> None:
    due = server + float(jobs.due[place])
    jobs.hear(Told(int(jobs.seq[place]), due + 1.0, due + 1.5, end, 1, worker))


@pytest.mark.parametrize("measure", ["dead", "job_failures", "retried", "duplicates"])
def test_a_job_of_which_nothing_is_left_may_have_failed(plan, measure: str) -> None:
    """As with workers that remove failed jobs at once."""
    recording = folded(plan, {3: GONE})
    found, detail = verdict(recording, expect(measure, "==", 0.0))
    assert (found, detail) == ("no_data", "1 job can be found nowhere, and may have ended in any way")
    assert verdict(recording, expect("completed", ">=", 19.0))[0] == "pass"
    assert verdict(recording, expect("completed", "==", 19.0))[0] == "no_data"
    assert verdict(recording, expect("lost", "==", 0.0))[0] == "fail"


def test_a_count_that_may_yet_come_to_what_was_asked_for_is_not_judged(plan) -> None:
    recording = folded(plan, dict.fromkeys((3, 4, 5), Trace("running", 1.0, 1.0)))
    assert verdict(recording, expect("completed", "==", 19.0))[0] == "no_data"
    assert verdict(recording, expect("completed", "!=", 19.0))[0] == "no_data"
    assert verdict(recording, expect("completed", "==", 21.0))[0] == "fail"
    assert verdict(recording, expect("completed", "!=", 16.0))[0] == "pass"


def test_times_of_a_sample_reckon_with_the_jobs_of_it_that_are_nowhere(plan) -> None:
    """Half of ten that were asked after are gone: no percentile above the median is that of the others."""
    recording = folded(plan, dict.fromkeys(range(5), GONE), most=10)
    assert verdict(recording, expect("run_time", "<", 1.0, "min"))[0] == "pass"
    assert verdict(recording, expect("run_time", "<", 1.0, "p90"))[0] == "no_data"
    assert verdict(folded(plan, {}, most=10), expect("run_time", "<", 1.0, "p90"))[0] == "pass"
    # Of those that Redis did not take, none is missed.
    refused = folded(plan, dict.fromkeys(range(5, 10), GONE), most=10, acked=10)
    assert verdict(refused, expect("run_time", "<", 1.0, "p90"))[0] == "no_data"
    assert verdict(refused, expect("run_time", "<", 1.0, "p50"))[0] == "pass"


def test_a_job_cannot_have_been_started_before_a_look_that_found_it_waiting(plan) -> None:
    """Its worker's clock is two seconds behind, which the moment at which it was due does not tell."""

    def waits(jobs: FarJobs, _: float) -> None:
        jobs.note(4, Trace("waiting"), at=float(jobs.due[4]) + 3.0)

    found, detail = verdict(folded(plan, {}, before=waits), expect("queue_wait", "<", 2.0, "max"))
    assert found == "no_data"
    assert detail.startswith("a worker's clock is at least 2s behind the server's")


def test_a_job_that_was_to_be_tried_again_had_been_started_before(plan) -> None:
    def again(jobs: FarJobs, _: float) -> None:
        jobs.note(4, Trace("delayed", failures=1, retries=1), at=float(jobs.due[4]) + 3.0)

    assert verdict(folded(plan, {}, before=again), expect("queue_wait", "<", 2.0, "max"))[0] == "pass"


def test_a_job_that_ended_before_it_began_took_nobody_knows_how_long(plan) -> None:
    recording = folded(plan, {4: Trace("completed", 1.0, 1.0, 0.5)})
    assert verdict(recording, expect("run_time", "<", 1.0, "max"))[0] == "no_data"
    assert verdict(recording, expect("run_time", "<", 1.0, "p90"))[0] == "pass"


def test_a_job_that_its_framework_calls_dead_is_dead_though_its_worker_was_done(plan) -> None:
    """As one whose result cannot be stored."""
    trace = Trace("dead", 1.0, 1.0, 1.5, failures=1)
    recording = folded(plan, {4: trace}, before=lambda jobs, server: told(jobs, 4, server))
    assert verdict(recording, expect("dead", "==", 1.0))[0] == "pass"
    assert verdict(recording, expect("job_failures", "==", 1.0))[0] == "pass"


def test_a_job_that_its_framework_still_has_has_not_ended(plan) -> None:
    trace = Trace("running", 1.0, 1.0)
    recording = folded(plan, {4: trace}, before=lambda jobs, server: told(jobs, 4, server))
    assert verdict(recording, expect("dead", "==", 0.0))[0] == "no_data"
    assert verdict(recording, expect("completed", "==", 20.0))[0] == "no_data"


def test_runs_in_workers_that_do_not_tell_are_those_that_the_framework_counts(plan) -> None:
    """Two workers, one of them with plg.worker: it ran a job which the other had run before."""
    trace = Trace("completed", None, 1.0, 1.5, failures=1, retries=1, duplicates=1)
    recording = folded(plan, {4: trace}, before=lambda jobs, server: told(jobs, 4, server))
    for measure in ("duplicates", "job_failures", "retried"):
        assert verdict(recording, expect(measure, "==", 1.0))[0] == "pass", measure


def test_duplicates_are_told_by_the_workers_of_all_jobs_or_not_at_all(tmp_path) -> None:
    """SAQ does not record every run of a job, and one of its workers does not tell of them."""

    def some(jobs: FarJobs, server: float) -> None:
        for place in range(JOBS - 3):
            told(jobs, place, server)

    found, detail = verdict(folded(plan_in(tmp_path, "saq"), {}, before=some), expect("duplicates", "==", 0.0))
    assert (found, detail) == (
        "no_data",
        "SAQ does not record every run of a job; 3 jobs ran in workers without plg.worker",
    )

    def all_of_them(jobs: FarJobs, server: float) -> None:
        for place in range(JOBS):
            told(jobs, place, server)

    recording = folded(plan_in(tmp_path, "saq"), {}, before=all_of_them)
    assert verdict(recording, expect("duplicates", "==", 0.0))[0] == "pass"


def test_jobs_that_could_not_be_asked_after_are_not_called_lost(plan) -> None:
    def unread(jobs: FarJobs, _: float) -> None:
        jobs.note = lambda place, trace, at=0.0: None

    recording = folded(plan, {}, before=unread)
    assert recording.far is not None
    assert recording.total("lost") == 0
    assert recording.far.found == ()
    assert verdict(recording, expect("lost", "==", 0.0))[0] == "no_data"
    assert verdict(recording, expect("run_time", "<", 9.0, "max"))[0] == "no_data"


def test_records_that_were_removed_are_named_beside_jobs_that_were_lost(plan) -> None:
    recording = folded(plan, {3: GONE})
    assert recording.far is not None
    assert recording.far.found == (
        "1 job that Redis confirmed can be found nowhere, "
        "unless their records were removed, or expired, before they were read",
    )


def test_a_count_that_is_large_enough_shows_what_was_counted(plan) -> None:
    """Not what it would come to if all that had not ended were done."""
    recording = folded(plan, {18: Trace("waiting"), 19: Trace("waiting")})
    [result] = judge([expect("completed", ">=", 5.0)], recording)
    assert (result.verdict, result.observed) == ("pass", 18)
    assert verdict(recording, expect("completed", ">=", 19.0))[0] == "no_data"
    assert verdict(recording, expect("completed", "<", 19.0))[0] == "no_data"
    assert verdict(recording, expect("completed", "<", 21.0))[0] == "pass"
