"""The first breach: against every prefix of the recording, reckoned one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.judged import DURATION, SPANS, Event, Glance, acked, expect, random_events, record, steady

from plg.guardrails.guard import Hit
from plg.judge import judge
from plg.judge.breach import holds
from plg.measures import percentile
from plg.runner.recording import Recording
from plg.scenario import Expectation

runs = st.builds(random_events, st.integers(0, 10_000), st.integers(1, 300), st.sampled_from([0.0, 0.1, 0.5]))
phases = st.sampled_from([None, *SPANS])


def prefixes(recording: Recording, during: str | None) -> Iterator[tuple[float, np.ndarray]]:
    """The start of each cell of a span, and the mask of the span's cells up to and with it."""
    span = recording.within(((0.0, DURATION),) if during is None else recording.spans[during])
    for cell in np.flatnonzero(span):
        mask = span.copy()
        mask[cell + 1 :] = False
        yield float(recording.edges[cell]), mask


def value_of(recording: Recording, measure: str, aggregate: str | None, mask: np.ndarray) -> float | None:
    if aggregate is not None:
        distribution = recording.histograms[measure].over(mask)
        q = percentile(aggregate)
        if not distribution.total:
            return None
        return (
            distribution.quantile(q)
            if q is not None
            else distribution.mean()
            if aggregate == "mean"
            else distribution.max
        )
    total = {name: recording.total(name, mask) for name in recording.counters}
    total["errors"] = total["failed"] + total["unknown"]
    if measure == "deviation":
        return abs(total["acked"] - total["planned"]) / total["planned"] if total["planned"] else None
    if measure == "error_rate":
        of = max(total["sent"], total["errors"])
        return total["errors"] / of if of else None
    return float(total[measure])


def brute(recording: Recording, asked: Expectation) -> float | None:
    """The moment after the last prefix that was not in breach."""
    first: float | None = None
    subject = asked.subject
    for t, mask in prefixes(recording, subject.during):
        value = value_of(recording, subject.measure, subject.aggregate, mask)
        broken = value is not None and not holds(asked.op, np.array([value]), asked.bound or 0.0)[0]
        if broken and first is None:
            first = t
        if not broken:
            first = None
    return first


@settings(max_examples=80, deadline=None)
@given(
    runs, phases, st.sampled_from(["<", "<=", "==", ">"]),
    st.sampled_from([
        ("errors", None, 3.0), ("shed", None, 0.0), ("deviation", None, 0.08), ("error_rate", None, 0.05),
        ("latency", "p50", 0.012), ("latency", "p90", 0.03), ("latency", "mean", 0.02), ("latency", "max", 0.1),
        ("lag", "p90", 0.01),
    ]),
)  # fmt: skip
def test_a_breach_begins_where_the_value_so_far_went_wrong_for_good(
    events: list[Event], during: str | None, op: str, asked: tuple[str, str | None, float]
) -> None:
    measure, aggregate, bound = asked
    recording = record(events)
    expectation = expect(measure, op, bound, aggregate, during=during)
    result = judge([expectation], recording)[0]
    assume(result.verdict == "fail")
    assert result.observed is not None
    grows = measure in ("errors", "shed") or aggregate == "max"
    if grows and (result.observed < bound or (result.observed == bound and op == ">")):
        assert result.first_breach_s is None
        return
    assert result.first_breach_s == pytest.approx(brute(recording, expectation))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(1e-7, 2.0), min_size=2, max_size=40),
    st.floats(1e-6, 1.0),
    st.sampled_from(["<", "<=", ">", ">="]),
)
def test_a_percentile_is_told_at_its_own_bucket_too(values: list[float], bound: float, op: str) -> None:
    """Bounds that fall into the very bucket of the percentile, where only its exact value decides."""
    events = [acked(k + 0.5, service=v) for k, v in enumerate(values)]
    recording = record(events, duration=float(len(values)), window=1.0, spans={})
    near = float(recording.histograms["latency"].over(recording.whole()).quantile(0.5) or 0.0)
    for b in (bound, near, math.nextafter(near, 0), math.nextafter(near, 9)):
        expectation = expect("latency", op, b, "p50")
        result = judge([expectation], recording)[0]
        if result.verdict != "fail":
            continue
        firsts = []
        for k in range(recording.cells):
            mask = recording.whole()
            mask[k + 1 :] = False
            value = recording.histograms["latency"].over(mask).quantile(0.5)
            firsts.append(value is not None and not holds(op, np.array([value]), b)[0])
        good = [k for k, broken in enumerate(firsts) if not broken]
        assert result.first_breach_s == recording.edges[good[-1] + 1 if good else 0]


def test_a_count_breaks_with_the_event_too_many() -> None:
    events = [*steady(10), Event(3.3, "failed", 3.3, 3.4), Event(7.3, "failed", 7.3, 7.4)]
    none, one = judge([expect("errors", "==", 0.0), expect("errors", "<=", 1.0)], record(events))
    assert (none.first_breach_s, none.first_breach_phase) == (3.0, "doors")
    assert (one.first_breach_s, one.first_breach_phase) == (7.0, "stampede")


def test_falling_short_has_no_moment() -> None:
    recording = record(steady(10), [Glance(t, queue_depth=5) for t in range(10)])
    results = judge(
        [expect("acked", ">=", 101.0), expect("acked", "==", 101.0), expect("queue_depth", ">", 5.0)], recording
    )
    assert [(r.verdict, r.first_breach_s) for r in results] == [("fail", None)] * 3


def test_a_gauge_breaks_at_its_sample() -> None:
    glances = [Glance(t / 10, queue_depth=100 if t == 47 else t % 5) for t in range(100)]
    result = judge([expect("queue_depth", "<", 50.0)], record([acked(5.0)], glances))[0]
    assert (result.observed, result.first_breach_s, result.first_breach_phase) == (100.0, 4.7, "crowd")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 20), min_size=20, max_size=60), st.integers(0, 20),
    st.sampled_from([("mean", np.mean), ("p50", None), ("min", np.min), ("max", np.max)]), st.sampled_from(["<", "<="]),
)  # fmt: skip
def test_a_gauge_is_followed_sample_by_sample(
    values: list[int], bound: int, aggregate: tuple[str, object], op: str
) -> None:
    name, function = aggregate
    glances = [Glance(0.1 * i, queue_depth=v) for i, v in enumerate(values)]
    result = judge([expect("queue_depth", op, float(bound), name)], record([], glances))[0]
    if result.verdict != "fail":
        return
    so_far = [values[: i + 1] for i in range(len(values))]
    read = [float(function(v)) if callable(function) else sorted(v)[math.ceil(len(v) / 2) - 1] for v in so_far]
    broken = [not holds(op, np.array([r]), bound)[0] for r in read]
    first = max((i + 1 for i, b in enumerate(broken) if not b), default=0)
    if name == "min":
        assert result.first_breach_s in (None, pytest.approx(0.1 * first))
    else:
        assert result.first_breach_s == pytest.approx(0.1 * first)


def test_throughput_breaks_where_the_pace_from_the_start_went_wrong() -> None:
    """20/s for 5 s, 40/s until 8 s, then nothing: the pace passes 21/s at once, and falls below 25/s in the end."""
    recording = record([*steady(20, 0, 5), *steady(40, 5, 8)])
    results = judge([expect("throughput", "<", 21.0), expect("throughput", ">", 25.0)], recording)
    assert [(r.verdict, r.observed, r.first_breach_s) for r in results] == [("fail", 22.0, 5.0), ("fail", 22.0, 8.5)]
    assert judge([expect("throughput", "<", 18.5, during="doors")], recording)[0].first_breach_s == 0.0


def test_hits_break_at_the_hit_too_many() -> None:
    hits = (
        Hit("max_rate", 1.0, 2.0, 450, 400, "clip"), Hit("max_cpu", 2.0, 2.0, 0.9, 0.8, "warn"),
        Hit("max_rate", 5.5, 6.5, 450, 400, "clip"),
    )  # fmt: skip
    recording = record(steady(10), hits=hits)
    asked = [
        expect("guardrail_hits", "==", 0.0), expect("guardrail_hits", "<=", 1.0),
        expect("guardrail_hits", "==", 0.0, during="stampede"), expect("guardrail_hits", "==", 0.0, window=1.0),
    ]  # fmt: skip
    results = judge(asked, recording)
    assert [(r.observed, r.first_breach_s) for r in results] == [(2.0, 1.0), (2.0, 5.5), (1.0, 6.0), (1.0, 1.0)]
    assert "3 of 10 windows failed" in results[3].detail


def test_windows_break_with_the_first_that_fails() -> None:
    slow = [acked(6.05 + k / 40, service=0.4) for k in range(20)]
    recording = record(sorted([*steady(20), *slow], key=lambda e: e.due))
    result = judge([expect("latency", "<", 0.1, "p90", window=1.0)], recording)[0]
    assert (result.verdict, result.first_breach_s, result.first_breach_phase) == ("fail", 6.0, "stampede")
    assert result.detail.startswith("1 of 10 windows failed; worst ")
    assert result.observed == pytest.approx(0.4, rel=1 / 64)
