"""Every measure, over spans and windows, against sums over the raw jobs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import DURATION, SPANS, Event, Glance, expect, random_events, record

from plg.judge import judge
from plg.judge.aggregate import Reader
from plg.measures import samples_needed
from plg.runner.recording import Recording
from plg.scenario import Subject

COUNTS = ("planned", "sent", "acked", "failed", "unknown", "shed", "late", "errors")
PIECES = st.sampled_from([None, *SPANS])
OPS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip

runs = st.builds(random_events, st.integers(0, 10_000), st.integers(0, 400), st.sampled_from([0.0, 0.1, 0.9]))


def inside(t: float, pieces: Iterable[tuple[float, float]]) -> bool:
    """Whether a moment counts in the pieces; what comes after the plan counts in the piece that ends with it."""
    return any(start <= t and (t < end or end >= DURATION) for start, end in pieces)


def count(events: list[Event], name: str, pieces: Iterable[tuple[float, float]]) -> int:
    pieces = list(pieces)
    if name == "errors":
        return count(events, "failed", pieces) + count(events, "unknown", pieces)
    if name == "planned":
        return sum(inside(e.due, pieces) for e in events)
    if name == "sent":
        return sum(e.sent is not None and inside(e.sent, pieces) for e in events)
    if name in ("shed", "late", "cancelled"):
        return sum(e.fate == name and inside(e.due, pieces) for e in events)
    return sum(e.fate == name and inside(e.answered or 0.0, pieces) for e in events)


def times(events: list[Event], name: str, pieces: Iterable[tuple[float, float]]) -> list[float]:
    pieces = list(pieces)
    found = []
    for e in events:
        if e.sent is None or e.answered is None or not inside(e.due, pieces):
            continue
        if name == "lag":
            found.append(e.sent - e.due)
        elif e.fate == "acked":
            found.append(e.answered - (e.due if name == "latency" else e.sent))
    return sorted(found)


def figure(events: list[Event], name: str, pieces: Iterable[tuple[float, float]]) -> float | None:
    pieces = list(pieces)
    planned, acked, sent, errors = (count(events, n, pieces) for n in ("planned", "acked", "sent", "errors"))
    if name == "deviation":
        return abs(acked - planned) / planned if planned else (0.0 if acked == 0 else None)
    if name == "error_rate":
        return errors / max(sent, errors) if sent or errors else None
    return acked / sum(end - start for start, end in pieces)


def pieces_of(during: str | None) -> tuple[tuple[float, float], ...]:
    return ((0.0, DURATION),) if during is None else SPANS[during]


@settings(max_examples=60, deadline=None)
@given(runs, PIECES)
def test_counts_and_figures_are_those_of_the_raw_jobs(events: list[Event], during: str | None) -> None:
    reader = Reader(record(events))
    pieces = pieces_of(during)
    for name in COUNTS:
        assert reader.read(Subject(name, None, during)).values[0] == count(events, name, pieces)
    for name in ("deviation", "error_rate", "throughput"):
        value, truth = reader.read(Subject(name, None, during)).values[0], figure(events, name, pieces)
        assert math.isnan(value) if truth is None else value == pytest.approx(truth)


@settings(max_examples=60, deadline=None)
@given(runs, PIECES, st.sampled_from(["lag", "service_time", "latency"]), st.sampled_from([0.5, 0.75, 0.9, 0.95, 0.99]))
def test_times_are_those_of_the_raw_jobs(events: list[Event], during: str | None, name: str, q: float) -> None:
    recording = record(events)
    reader = Reader(recording)
    truth = times(events, name, pieces_of(during))
    readings = reader.read(Subject(name, f"p{q * 100:g}", during))
    assert readings.basis[0] == len(truth)
    assert readings.thin[0] == (0 < len(truth) < samples_needed(q))
    if not truth:
        assert math.isnan(readings.values[0])
        return
    exact = truth[max(1, math.ceil(q * len(truth) - 1e-9)) - 1]
    assert readings.values[0] == pytest.approx(exact, rel=1 / 64, abs=0.5e-6)
    whole = recording.histograms[name].over(recording.within(pieces_of(during)))
    assert readings.values[0] == whole.quantile(q)
    for aggregate, expected in (("min", truth[0]), ("max", truth[-1]), ("mean", math.fsum(truth) / len(truth))):
        assert reader.read(Subject(name, aggregate, during)).values[0] == pytest.approx(expected)


def tiles(width: float, during: str | None) -> list[tuple[float, float]]:
    """Windows of ``width``, the last of each stretch taking a remainder below half a window."""
    found = []
    for start, end in pieces_of(during):
        edges = [start]
        while end - edges[-1] >= 1.5 * width:
            edges.append(edges[-1] + width)
        if end - edges[-1] > width and edges[-1] + width < end and end - edges[-1] - width >= width / 2:
            edges.append(edges[-1] + width)
        found += list(zip(edges, [*edges[1:], end], strict=True))
    return found


def cuts(width: float, during: str | None) -> list[float]:
    return [edge for window in tiles(width, during) for edge in window]


@settings(max_examples=60, deadline=None)
@given(
    runs,
    PIECES,
    st.sampled_from([0.3, 0.5, 1.0, 1.3, 20.0]),
    st.sampled_from([*COUNTS, "deviation", "error_rate", "throughput"]),
)
def test_windows_read_what_the_raw_jobs_say(events: list[Event], during: str | None, width: float, name: str) -> None:
    recording = record(events, cuts=cuts(width, during))
    readings = Reader(recording).read(Subject(name, None, during), width)
    windows = tiles(width, during)
    assert len(readings.values) == len(windows)
    for value, window in zip(readings.values, windows, strict=True):
        truth = float(count(events, name, [window])) if name in COUNTS else figure(events, name, [window])
        assert math.isnan(value) if truth is None else value == pytest.approx(truth)


@settings(max_examples=40, deadline=None)
@given(runs, PIECES, st.sampled_from([0.3, 1.0, 1.3]), st.sampled_from(["p50", "p90", "min", "max", "mean"]))
def test_windowed_times_equal_the_histogram_of_each_window(
    events: list[Event], during: str | None, width: float, aggregate: str
) -> None:
    recording = record(events, cuts=cuts(width, during))
    readings = Reader(recording).read(Subject("latency", aggregate, during), width)
    for i, window in enumerate(tiles(width, during)):
        whole = recording.histograms["latency"].over(recording.within([window]))
        expected = {
            "min": whole.min, "max": whole.max, "mean": whole.mean(),
            "p50": whole.quantile(0.5), "p90": whole.quantile(0.9),
        }[aggregate] if whole.total else None  # fmt: skip
        assert readings.basis[i] == whole.total
        assert math.isnan(readings.values[i]) if expected is None else readings.values[i] == pytest.approx(expected)


def test_sorted_rows_and_dense_table_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    events = random_events(5, 2000)
    recording = record(events, cuts=cuts(0.3, None))
    subject = Subject("latency", "p90")
    dense = Reader(recording).read(subject, 1.0)
    monkeypatch.setattr("plg.judge.aggregate._DENSE", 0)
    rows = Reader(recording).read(subject, 1.0)
    assert np.array_equal(dense.values, rows.values)
    assert np.array_equal(dense.basis, rows.basis)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 9.999), st.floats(0, 1000)), max_size=60), PIECES,
    st.sampled_from([None, "max", "min", "mean", "p50", "p90"]),
)  # fmt: skip
def test_gauges_are_those_of_the_samples(
    samples: list[tuple[float, float]], during: str | None, aggregate: str | None
) -> None:
    glances = [Glance(t, queue_depth=value) for t, value in samples]
    readings = Reader(record([], glances)).read(Subject("queue_depth", aggregate, during))
    truth = sorted(value for t, value in samples if inside(t, pieces_of(during)))
    if not truth:
        assert math.isnan(readings.values[0])
        return
    expected = {
        None: truth[-1], "max": truth[-1], "min": truth[0], "mean": math.fsum(truth) / len(truth),
        "p50": truth[math.ceil(len(truth) / 2) - 1], "p90": truth[math.ceil(0.9 * len(truth) - 1e-9) - 1],
    }[aggregate]  # fmt: skip
    assert readings.values[0] == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(
    runs,
    PIECES,
    st.sampled_from([*COUNTS, "deviation", "error_rate"]),
    st.sampled_from(sorted(OPS)),
    st.integers(0, 40),
)
def test_the_verdict_is_that_of_the_operator_and_its_negation_the_opposite(
    events: list[Event], during: str | None, name: str, op: str, number: int
) -> None:
    bound = float(number) if name in COUNTS else number / 40
    recording = record(events)
    negation = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}[op]
    result, opposite = judge([expect(name, o, bound, during=during) for o in (op, negation)], recording)
    if result.verdict == "no_data":
        assert opposite.verdict == "no_data"
        return
    assert result.observed is not None
    assert result.verdict == ("pass" if OPS[op](result.observed, bound) else "fail")
    assert {result.verdict, opposite.verdict} == {"pass", "fail"}


@settings(max_examples=60, deadline=None)
@given(runs, st.sampled_from([0.5, 1.0]), st.integers(0, 100), st.integers(1, 30), st.sampled_from(["<", ">="]))
def test_a_quota_is_met_when_enough_windows_hold(
    events: list[Event], width: float, percent: int, number: int, op: str
) -> None:
    recording = record(events, cuts=cuts(width, None))
    quota = max(percent, 1) / 100
    result = judge([expect("acked", op, float(number), window=width, quota=quota)], recording)[0]
    if not events:
        assert (result.verdict, result.detail) == ("no_data", "no job was planned")
        return
    held = [OPS[op](count(events, "acked", [w]), number) for w in tiles(width, None)]
    enough = sum(held) >= quota * len(held) - 1e-9
    assert result.verdict == ("pass" if enough else "fail")
    assert result.observed is not None
    assert OPS[op](result.observed, number) == enough
    if not enough:
        assert result.first_breach_s == pytest.approx(tiles(width, None)[held.index(False)][0])


def finer(recording: Recording, events: list[Event]) -> Recording:
    """The same run in more cells."""
    return record(events, cuts=[0.07 * k for k in range(143)], window=recording.window)


@settings(max_examples=30, deadline=None)
@given(runs, PIECES)
def test_finer_cells_change_nothing(events: list[Event], during: str | None) -> None:
    coarse = record(events)
    asked = [expect(name, "<", 7.0, during=during) for name in COUNTS]
    asked += [expect("latency", "<", 0.01, a, during=during) for a in ("p50", "p90", "max")]
    asked += [expect("deviation", "<", 0.1, during=during)]
    for a, b in zip(judge(asked, coarse), judge(asked, finer(coarse, events)), strict=True):
        assert (a.verdict, a.observed) == (b.verdict, b.observed)
