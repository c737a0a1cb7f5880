"""The cost of judging grows with the recording at most in proportion, and not at all in interpreted steps."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
from support.judged import expect, record, steady, steps

from plg.guardrails.guard import Hit
from plg.judge import first_breach, judge
from plg.judge.aggregate import Reader
from plg.judge.series import series
from plg.judge.windows import PhaseIndex, phase_at
from plg.measures import GAUGES
from plg.runner.recording import COUNTERS, TIMES, Histograms, Recording
from plg.scenario import Expectation

ASKED = (
    expect("errors", "==", 0.0), expect("deviation", "<", 0.01), expect("error_rate", "<", 0.001),
    expect("throughput", ">", 1e9), expect("latency", "<", 0.001, "p99"), expect("latency", "<", 0.001, "mean"),
    expect("lag", "<", 0.001, "max"), expect("queue_depth", "<", 1.0), expect("cpu", "<", 0.01, "p90"),
    expect("deviation", "<", 0.01, window=1.0), expect("latency", "<", 0.001, "p90", window=1.0, quota=0.99),
    expect("latency", "<", 0.001, "p50", window=10.0), expect("queue_depth", "<", 1.0, window=5.0),
    expect("guardrail_hits", "==", 0.0, window=1.0), expect("acked", ">", 1e9, window=1.0),
)  # fmt: skip


def long(cells: int) -> Recording:
    """A run of one second a cell, forty latencies and one sample in each, every expectation broken."""
    draw = np.random.default_rng(cells)
    edges = np.concatenate([np.arange(cells, dtype=float), [np.inf]])
    counters = {name: np.full(cells, 40, dtype=np.int64) for name in COUNTERS}
    counters["acked"] -= 10
    counters |= {name: np.zeros(cells, dtype=np.int64) for name in ("cancelled", "held", "overdue", "in_flight")}
    rows = np.arange(cells + 1, dtype=np.int64) * 20
    buckets = np.sort(draw.integers(600, 1400, (cells, 20)), axis=1).ravel()
    histograms = Histograms(
        rows, buckets, np.full(cells * 20, 2, dtype=np.int64),
        np.full(cells, 1.0), np.full(cells, 0.0001), np.full(cells, 0.5),
    )  # fmt: skip
    return Recording(
        edges=edges, window=1.0, duration=float(cells), spans={"all": ((0.0, float(cells)),)}, counters=counters,
        histograms=dict.fromkeys(TIMES, histograms), sample_times=np.arange(cells) + 0.5,
        samples={name: draw.random(cells) + 2 for name in GAUGES},
        target_rate=np.full(cells, 40.0), allowed_rate=np.full(cells, 40.0), ended_s=float(cells),
        hits=(Hit("max_rate", 0.0, float(cells), 2.0, 1.0, "clip"),),
    )  # fmt: skip


def peak(run: Any) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def watched(expectations: tuple[Expectation, ...]) -> tuple[Expectation, ...]:
    return tuple(replace(e, stop=True, bound=0.0 if e.op == ">" else 1e12) for e in expectations)


def test_steps_do_not_grow_with_the_cells() -> None:
    small, large = long(500), long(4000)
    judge(ASKED, small)
    assert steps(lambda: judge(ASKED, large)) <= 1.1 * steps(lambda: judge(ASKED, small))
    assert steps(lambda: first_breach(watched(ASKED), large)) <= 1.1 * steps(
        lambda: first_breach(watched(ASKED), small)
    )


def test_memory_grows_in_proportion() -> None:
    small, large = long(4000), long(8000)
    judge(ASKED, small)
    assert peak(lambda: judge(ASKED, large)) <= 2.3 * peak(lambda: judge(ASKED, small))


def test_series_take_a_bounded_number_of_steps() -> None:
    small, large = long(4000), long(16_000)
    series(small)
    assert steps(lambda: series(large)) <= 1.1 * steps(lambda: series(small))


def test_ten_hours_and_twenty_expectations_are_judged_at_all() -> None:
    """36,000 cells; each verdict is known, so the size hides nothing."""
    results = judge([*ASKED, *(expect("shed", "<=", float(k)) for k in range(5))], long(36_000))
    assert {r.verdict for r in results} == {"fail"}
    assert results[0].first_breach_s == 0.0
    assert results[9].detail.startswith("36,000 of 36,000 windows failed")


def test_many_phases_cost_each_expectation_the_same() -> None:
    spans = {f"phase-{k}": ((k * 0.01, (k + 1) * 0.01),) for k in range(1000)}
    few = {"phase-0": ((0.0, 0.01),), "rest": ((0.01, 10.0),)}
    events = steady(100)
    asked = [expect("latency", "<", 0.0001, "max", during="phase-0"), expect("errors", "<", 1.0)]
    many, one = (record(events, spans=s, cuts=[k * 0.01 for k in range(1000)]) for s in (spans, few))
    assert [r.verdict for r in judge(asked, many)] == ["fail", "pass"]
    assert steps(lambda: judge(asked, many)) <= 1.2 * steps(lambda: judge(asked, one))


def phased(phases: int) -> Recording:
    """A run in which each phase has ten cells, inside of two that have all."""
    run = long(phases * 10)
    spans = {f"p{i}": ((i * 10.0, i * 10.0 + 10.0),) for i in range(phases)}
    whole = (0.0, phases * 10.0)
    return replace(run, spans={"all": (whole,), **spans, "half": ((2.5, whole[1] / 2),)})


def test_a_line_about_a_phase_looks_at_the_cells_of_the_phase() -> None:
    reader = Reader(phased(300))
    for during in ("p0", "p1", "p150", "p299"):
        for width in (None, 2.0):
            cells = reader.cells(during, width)
            assert len(cells.owner) <= 11
            everywhere = reader.windows.get(during, width).of_cells(reader.recording.edges)
            assert cells.inside.tolist() == np.flatnonzero(everywhere >= 0).tolist()
            assert cells.owner.tolist() == everywhere[cells.at].tolist()
    assert len(reader.cells(None, None).owner) == reader.recording.cells


def test_the_phase_of_a_moment_is_found_as_by_a_look_at_each() -> None:
    run = phased(50)
    spans = {**run.spans, "again": ((3.0, 4.0), (100.0, 130.0), (499.0, 600.0)), "none": ((7.0, 7.0),)}
    index = PhaseIndex(spans)
    for moment in (-1.0, *np.arange(0, 601, 0.5).tolist(), 1e9):
        assert index.at(moment) == phase_at(spans, moment), moment
    assert PhaseIndex({}).at(1.0) is None


def test_each_breach_is_placed_without_a_look_at_every_phase() -> None:
    asked = tuple(replace(ASKED[9], subject=replace(ASKED[9].subject, during=f"p{i}")) for i in range(100))
    looked = 0

    class Watched(dict[str, Any]):
        def items(self) -> Any:
            nonlocal looked
            looked += 1
            return super().items()

    run = phased(100)
    results = judge(asked, replace(run, spans=Watched(run.spans)))
    assert {result.verdict for result in results} == {"fail"}
    assert looked == 1
