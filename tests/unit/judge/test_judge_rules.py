"""What counts as NO DATA, what is left out, and what a verdict says to people."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.judged import DURATION, Event, Glance, acked, expect, record, steady

from plg.guardrails.guard import Hit
from plg.judge import judge
from plg.outcome import ExpectationResult
from plg.runner.recording import Recording, tile
from plg.scenario import Expectation, Subject


def one(expectation: Expectation, recording: Recording) -> ExpectationResult:
    return judge([expectation], recording)[0]


QUIET = record([])
"""A run in which nothing was due."""


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize(
    ("measure", "aggregate", "says"),
    [
        ("latency", "p50", "no latency samples"), ("lag", "max", "no lag samples"),
        ("queue_depth", None, "no queue_depth samples"), ("cpu", "mean", "no cpu samples"),
        ("error_rate", None, "nothing was sent"), ("drain_time", None, "nothing was sent, so nothing had to drain"),
    ],
)  # fmt: skip
def test_no_data_never_passes(op: str, measure: str, aggregate: str | None, says: str) -> None:
    result = one(expect(measure, op, 1.0, aggregate), QUIET)
    assert (result.verdict, result.observed, result.first_breach_s) == ("no_data", None, None)
    assert result.detail == says


def test_the_phase_without_samples_is_named() -> None:
    recording = record(steady(50, 0, 4))
    assert one(expect("latency", "<", 1.0, "p50", during="crowd"), recording).detail == "no latency samples in crowd"
    unknown = one(expect("latency", "<", 1.0, "p50", during="lunch"), recording)
    assert (unknown.verdict, unknown.detail) == ("no_data", "the run has no phase named lunch")


@pytest.mark.parametrize(("aggregate", "needed"), [("p50", 2), ("p90", 10), ("p99", 100), ("p99.9", 1000), ("p1", 100)])
def test_a_percentile_needs_samples_enough_to_differ_from_the_extreme(aggregate: str, needed: int) -> None:
    jobs = [acked((k + 0.5) * DURATION / needed) for k in range(needed)]
    assert one(expect("latency", "<", 1.0, aggregate), record(jobs)).verdict == "pass"
    short = one(expect("latency", "<", 1.0, aggregate), record(jobs[:-1]))
    assert (short.verdict, short.observed) == ("no_data", None)
    assert short.detail == f"{aggregate} needs at least {needed:,} samples, has {needed - 1:,}"


def test_a_percentile_of_samples_needs_enough_of_them_too() -> None:
    glances = [Glance(t, queue_depth=t) for t in range(10)]
    assert one(expect("queue_depth", "<", 9.0, "p90"), record([acked(5.0)], glances)).observed == 8.0
    short = one(expect("queue_depth", "<", 9.0, "p90"), record([acked(5.0)], glances[1:]))
    assert (short.verdict, short.detail) == ("no_data", "p90 needs at least 10 samples, has 9")


def test_deviation_where_nothing_was_planned() -> None:
    assert one(expect("deviation", "<", 0.05, during="crowd"), record(steady(10, 0, 4))).observed == 0.0
    straggler = record([Event(3.9, "acked", 3.9, 4.2)])
    result = one(expect("deviation", "<", 0.05, during="crowd"), straggler)
    assert (result.verdict, result.detail) == (
        "no_data", "nothing was planned in crowd, yet jobs were acknowledged in it"
    )  # fmt: skip


def test_windows_in_which_nothing_was_planned_are_left_out() -> None:
    recording = record(steady(10, 0, 4))
    result = one(expect("deviation", "<", 0.2, window=1.0), recording)
    assert result.verdict == "pass"
    assert result.detail == "0 of 4 windows failed; worst 0% at 0.0s in doors; 6 windows had nothing to judge"
    none = one(expect("deviation", "<", 0.2, window=1.0, during="stampede"), recording)
    assert (none.verdict, none.detail[:33]) == ("no_data", "no window had anything to judge: ")


def test_a_window_whose_jobs_were_never_answered_is_not_left_out() -> None:
    lost = [Event(4.05 + k / 20, "unknown", 4.06 + k / 20, 5.9) for k in range(10)]
    recording = record([*steady(20, 0, 4), *lost])
    result = one(expect("latency", "<", 0.1, "p50", window=1.0), recording)
    assert (result.verdict, result.observed) == ("no_data", None)
    assert "1 without enough data, the first at 4.0s in crowd" in result.detail
    assert one(expect("latency", "<", 0.1, "p50", window=1.0, quota=0.8), recording).verdict == "pass"
    # A window that surely fails decides, whatever the others hide.
    assert one(expect("latency", "<", 0.0001, "p50", window=1.0), recording).verdict == "fail"


def test_windows_in_which_all_was_shed_have_nothing_to_judge() -> None:
    shed = [Event(4.05 + k / 20, "shed") for k in range(10)]
    result = one(expect("latency", "<", 0.1, "p50", window=1.0), record([*steady(20, 0, 4), *shed]))
    assert (result.verdict, "6 windows had nothing to judge" in result.detail) == ("pass", True)


def test_thin_windows_are_told_where_their_samples_agree() -> None:
    """Ten jobs a window cannot show a p99; but ten jobs within the bound keep it, and ten beyond it break it."""
    good = record(steady(10))
    assert one(expect("latency", "<", 0.01, "p99", window=1.0), good).verdict == "pass"
    assert one(expect("latency", "<", 0.0001, "p99", window=1.0), good).verdict == "fail"
    mixed = record([acked(e.due, service=0.5 if i == 42 else 0.001) for i, e in enumerate(steady(10))])
    result = one(expect("latency", "<", 0.01, "p99", window=1.0), mixed)
    assert (result.verdict, "1 without enough data, the first at 4.0s" in result.detail) == ("no_data", True)
    # The whole run must have samples enough all the same.
    few = one(expect("latency", "<", 0.01, "p99.9", window=1.0), good)
    assert (few.verdict, few.detail) == ("no_data", "p99.9 needs at least 1,000 samples, has 100")


def test_windows_must_fall_on_what_was_recorded() -> None:
    recording = record(steady(100), window=0.5)
    result = one(expect("acked", ">", 1.0, window=0.2), recording)
    assert (result.verdict, result.detail) == ("no_data", "the run was not recorded finely enough for these windows")
    assert one(expect("acked", ">", 1.0, window=1.5), recording).verdict == "pass"
    # Gauges and hits carry their own times.
    sampled = record([acked(5.0)], [Glance(t / 20, queue_depth=1) for t in range(200)], window=0.5)
    assert one(expect("queue_depth", "<", 2.0, window=0.2), sampled).verdict == "pass"
    assert one(expect("guardrail_hits", "==", 0.0, window=0.2), sampled).verdict == "pass"


def test_a_gauge_that_could_not_be_taken_is_missing_and_one_not_meant_is_idle() -> None:
    glances = [Glance(t / 4, queue_depth=math.nan if 8 <= t < 16 else 3) for t in range(40)]
    recording = record([acked(5.0)], glances)
    whole = one(expect("queue_depth", "<", 5.0), recording)
    assert (whole.verdict, whole.detail) == ("no_data", "the queue could not be seen from 2.0s to 4.0s")
    windowed = one(expect("queue_depth", "<", 5.0, window=1.0), recording)
    assert (windowed.verdict, "2 without enough data, the first at 2.0s" in windowed.detail) == ("no_data", True)
    steadily = [Glance(t / 4, queue_depth=3) for t in range(40)]
    finer = one(expect("queue_depth", "<", 5.0, window=0.1, during="doors"), record([acked(5.0)], steadily))
    assert finer.verdict == "pass"
    all_lost = record([acked(5.0)], [Glance(t, queue_depth=math.nan) for t in range(10)])
    assert one(expect("queue_depth", "<", 5.0), all_lost).verdict == "no_data"


def test_gauges_are_judged_while_the_run_lasts() -> None:
    glances = [Glance(t, cpu=0.5) for t in range(10)] + [Glance(t, cpu=0.0) for t in range(11, 40)]
    assert one(expect("cpu", ">=", 0.5, "mean"), record([acked(5.0)], glances)).verdict == "pass"


def test_only_clips_and_stops_count_as_hits_where_they_reach() -> None:
    hits = (
        Hit("max_cpu", 1.0, 1.0, 0.7, 0.8, "warn"), Hit("max_rate", 3.5, 4.5, 450, 400, "clip"),
        Hit("max_queue_depth", 7.0, 7.0, 50_001, 50_000, "stop"),
    )  # fmt: skip
    recording = record([acked(5.0)], hits=hits)
    counted = {
        during: one(expect("guardrail_hits", "==", 0.0, during=during), recording).observed
        for during in (None, "doors", "crowd", "stampede")
    }
    assert counted == {None: 2.0, "doors": 1.0, "crowd": 1.0, "stampede": 1.0}


@pytest.mark.parametrize(
    ("op", "bound", "drained", "waited", "verdict", "observed"),
    [
        ("<", 30.0, 2.0, 2.0, "pass", 2.0), ("<", 1.0, 2.0, 2.0, "fail", 2.0),
        ("<", 30.0, None, 30.0, "fail", 30.0), ("<=", 30.0, None, 31.0, "fail", 31.0),
        ("<", 30.0, None, 20.0, "no_data", None), ("<", 30.0, None, None, "no_data", None),
        (">", 30.0, None, 31.0, "pass", 31.0), (">", 30.0, None, 20.0, "no_data", None),
        ("==", 30.0, None, 31.0, "fail", 31.0), ("!=", 30.0, None, 20.0, "no_data", None),
    ],
)  # fmt: skip
def test_drain_time_given_up_is_a_lower_bound(
    op: str, bound: float, drained: float | None, waited: float | None, verdict: str, observed: float | None
) -> None:
    recording = record(steady(10), drain_s=drained, drain_waited_s=waited, end_depth=512)
    result = one(expect("drain_time", op, bound), recording)
    assert (result.verdict, result.observed) == (verdict, observed)
    if drained is None and waited is not None:
        assert result.detail == f"the queue had not drained after {waited:g}s, 512 jobs left"


def relative(factor: float = 1.2, **more: object) -> Expectation:
    subject = Subject("latency", "p50", "crowd")
    return Expectation("…", subject, "<=", None, Subject("latency", "p50", "doors"), factor, **more)  # type: ignore[arg-type]


def test_a_relative_bound_is_reckoned_from_its_phase() -> None:
    recording = record([*steady(20, 0, 4, 0.100), *steady(20, 4, 6, 0.115)])
    kept = one(relative(), recording)
    assert kept.bound == pytest.approx(0.12, rel=1 / 64)
    assert (kept.verdict, kept.unit) == ("pass", "s")
    assert "the bound, 1.2 * p50(latency) during doors, is 120ms" in kept.detail
    broken = one(relative(1.0), recording)
    assert (broken.verdict, broken.first_breach_s, broken.first_breach_phase) == ("fail", 4.0, "crowd")
    assert "the bound, p50(latency) during doors, is 100ms" in broken.detail
    windowed = one(relative(1.0, window=1.0), recording)
    assert (windowed.verdict, windowed.first_breach_s) == ("fail", 4.0)


def test_a_relative_bound_without_data_is_no_data() -> None:
    result = one(relative(), record(steady(20, 4, 6)))
    assert (result.verdict, result.bound, result.detail) == ("no_data", None, "no latency samples in doors")


def test_a_phase_with_several_stretches_has_windows_in_each() -> None:
    slow = [acked(8.01 + k / 20, service=0.3) for k in range(18)]
    recording = record([*steady(20, 0, 8), *slow])
    result = one(expect("latency", "<", 0.1, "p50", window=0.5, during="crowd"), recording)
    assert (result.verdict, result.first_breach_s) == ("fail", 8.0)
    assert result.detail.startswith("2 of 6 windows failed; worst 300ms at 8.0s in crowd")


def stopped(events: list[Event], at: float, by: str = "guardrail", detail: str = "") -> Recording:
    return record(events, stop=by, stop_detail=detail, ended_s=at)


def test_a_stopped_run_is_judged_up_to_its_stop() -> None:
    """Stopped at 6.3 s: what was due later is cancelled, and the answers in flight came a little after."""
    events = [e if e.due < 6.25 else acked(e.due, 0.0, 0.3) for e in steady(20, 0, 6.3)]
    events += [Event(e.due, "cancelled") for e in steady(20, 6.3)]
    recording = stopped(events, 6.3)
    windowed = one(expect("deviation", "<", 0.01, window=1.0), recording)
    assert (windowed.verdict, windowed.detail) == ("pass", "0 of 6 windows failed; worst 0% at 0.0s in doors")
    whole = one(expect("deviation", "<", 0.05), recording)
    assert (whole.verdict, whole.observed) == ("fail", pytest.approx(74 / 200))
    assert one(expect("throughput", ">=", 19.0), recording).verdict == "pass"
    latency = one(expect("latency", "<", 0.5, "p50", window=1.0), recording)
    assert latency.detail.startswith("0 of 6 windows failed")


def test_a_phase_the_run_never_reached_has_no_data() -> None:
    recording = stopped([*steady(20, 0, 3), *(Event(e.due, "cancelled") for e in steady(20, 3))], 3.0)
    for measure in ("errors", "deviation", "guardrail_hits", "throughput"):
        result = one(expect(measure, "<", 1e9, during="crowd"), recording)
        assert (result.verdict, result.detail) == ("no_data", "the run ended before crowd began")


def test_a_run_that_never_began_has_no_data_at_all() -> None:
    recording = stopped([Event(e.due, "cancelled") for e in steady(20)], 0.0, "target")
    result = one(expect("errors", "==", 0.0), recording)
    assert (result.verdict, result.detail) == ("no_data", "the run ended before anything was sent")


def test_the_expectation_that_ended_the_run_stays_broken() -> None:
    expectation = expect("error_rate", "<", 0.05, stop=True)
    events = [*steady(20, 0, 3), Event(0.01, "failed", 0.01, 0.02)]
    mended = one(expectation, stopped(events, 3.0, "expectation", expectation.text))
    assert (mended.verdict, mended.stopped, mended.first_breach_s) == ("fail", True, 3.0)
    assert mended.detail == "broken at 3.0s in doors, which ended the run; after the last answers it reads 1.64%"
    broken = one(replace(expectation, bound=0.001), stopped(events, 3.0, "expectation", expectation.text))
    assert (broken.verdict, broken.stopped, broken.first_breach_s) == ("fail", True, 0.0)
    other = one(expectation, stopped(events, 3.0, "expectation", "something else"))
    assert (other.verdict, other.stopped) == ("pass", False)


def test_details_say_what_a_value_rests_on() -> None:
    events = [*steady(20), Event(3.3, "failed", 3.3, 3.4)]
    recording = record(events, [Glance(t) for t in range(10)])
    details = {
        ("latency", "p50"): "from 200 samples", ("queue_depth", None): "from 10 samples",
        ("deviation", None): "200 acked of 201 planned", ("error_rate", None): "1 error in 201 sent",
        ("throughput", None): "200 acked in 10s", ("acked", None): "",
    }  # fmt: skip
    for (measure, aggregate), says in details.items():
        assert one(expect(measure, "<", 1e9, aggregate), recording).detail == says


def test_a_result_carries_its_line() -> None:
    asked = expect("errors", "==", 0.0, text="warn errors == 0", level="warn", file="sale.plg", line=41)
    result = one(asked, QUIET)
    assert (result.text, result.level, result.file, result.line, result.unit, result.op, result.bound) == (
        "warn errors == 0", "warn", "sale.plg", 41, "jobs", "==", 0.0
    )  # fmt: skip


@pytest.mark.parametrize(("until", "windows"), [(1.49, 1), (1.5, 2), (2.49, 2), (2.5, 3), (3.5, 4), (4.5, 5), (0.2, 1)])
def test_half_a_window_stands_by_itself_whatever_it_comes_after(until: float, windows: int) -> None:
    starts, ends = tile(1.0, 0.0, until)
    assert len(starts) == windows
    assert ends[-1] == until


def test_however_small_a_share_has_to_hold_one_window_does() -> None:
    recording = record(steady(10))
    result = one(expect("acked", ">", 1e6, window=1.0, quota=1e-10), recording)
    assert (result.verdict, result.observed) == ("fail", 10.0)
    assert "10 of 10 windows failed (9 allowed)" in result.detail
    assert one(expect("acked", "<", 1e6, window=1.0, quota=1e-10), recording).verdict == "pass"


def test_what_a_stop_cancelled_is_missing_since_the_stop() -> None:
    events = [*steady(20, 0, 3), *(Event(e.due, "cancelled") for e in steady(20, 3))]
    result = one(expect("deviation", "<", 0.6), stopped(events, 3.0))
    assert (result.verdict, result.observed) == ("fail", pytest.approx(0.7))
    assert (result.first_breach_s, result.first_breach_phase) == (3.0, "doors")


def test_samples_of_several_generators_are_no_finer_grid() -> None:
    """Two samplers a little apart: a window narrower than the steps of either is not meant for a sample."""
    one_of = [Glance(t / 10) for t in range(100)]
    other = [Glance(t / 10 + 0.001) for t in range(100)]
    both = record([acked(5.0)], sorted(one_of + other, key=lambda glance: glance.t), window=0.05)
    asked = expect("cpu", "<", 9.0, window=0.05)
    assert one(asked, record([acked(5.0)], one_of, window=0.05)).verdict == "pass"
    assert one(asked, both).verdict == "no_data"
    assert one(asked, replace(both, sample_step=0.1)).verdict == "pass"
    # A hole in the samples is one all the same.
    lost = record([acked(5.0)], [g for g in one_of + other if not 2 < g.t < 4], window=0.05)
    gap = one(expect("cpu", "<", 9.0, window=0.5), replace(lost, sample_step=0.1))
    assert gap.verdict == "no_data"


def test_windows_of_a_pause_have_nothing_planned_and_nothing_else_is_said() -> None:
    result = one(expect("deviation", "<", 0.05, window=1.0), record([]))
    assert (result.verdict, result.detail) == ("no_data", "no window had anything to judge: nothing was planned")


def test_windows_late_in_a_long_run_are_cut_by_the_same_rule() -> None:
    starts, _ = tile(0.001, 10_000.7, 10_000.7015)
    assert len(starts) == 2
    for tenths in range(5, 400, 10):
        starts, _ = tile(0.1, 0.0, tenths / 100)
        assert len(starts) == max(1, (tenths + 5) // 10), tenths
