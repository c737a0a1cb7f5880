"""Uniform arrivals: exact in number, half a job from the curve at any time, the same however they are read."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pattern_documents import anything
from support.plan_scenarios import everything, joined, plan


@settings(max_examples=80, deadline=None)
@given(anything)
def test_arrivals_follow_the_curve_by_half_a_job(pattern: dict[str, Any]) -> None:
    made = plan(pattern)
    all_of_them = everything(made, 500)
    assert len(all_of_them) == made.planned == made.planned_total
    assert all_of_them.seq.tolist() == list(range(made.planned))
    assert all_of_them.kept.all()
    assert np.all(np.diff(all_of_them.due) >= 0)
    assert np.all((all_of_them.due >= 0) & (all_of_them.due <= made.duration))
    t = np.linspace(0, made.duration, 301)
    number = np.searchsorted(all_of_them.due, t, side="left")
    assert np.all(np.abs(number - made.pattern.count(t)) <= 0.5 + 1e-6)


@settings(max_examples=80, deadline=None)
@given(anything, st.floats(0.02, 3.0))
def test_windows_hold_what_the_due_times_say(pattern: dict[str, Any], width: float) -> None:
    made = plan(pattern)
    edges = np.append(np.arange(0, made.duration, width), made.duration + 1)
    due = everything(made).due
    assert made.planned_in(edges).tolist() == np.diff(np.searchsorted(due, edges, side="left")).tolist()
    assert made.planned_in(edges).sum() == made.planned


def test_edges_that_meet_due_times_exactly() -> None:
    made = plan({"type": "steady", "base_rate": 5, "duration": 100})
    due = everything(made).due
    for width in (0.1, 0.5, 1.0, 2.5):
        edges = np.arange(round(100 / width) + 1) * width
        assert made.planned_in(edges).tolist() == np.diff(np.searchsorted(due, edges, side="left")).tolist()


@pytest.mark.parametrize(
    ("rate", "seconds", "jobs"), [(50, 10, 500), (5, 0.5, 2), (1, 0.5, 0), (1, 0.51, 1), (0, 9, 0)]
)
def test_the_number_is_known_beforehand(rate: float, seconds: float, jobs: int) -> None:
    made = plan({"type": "steady", "base_rate": rate, "duration": seconds})
    assert made.planned == len(everything(made).due) == jobs


@pytest.mark.parametrize("kind", ["steady", "sine"])
def test_rounding_decides_neither_the_number_nor_the_side_of_a_pause(kind: str) -> None:
    pause = {"type": "steady", "base_rate": 0, "duration": 10}
    for length in np.linspace(0.3, 7.7, 149).tolist():
        half = {"type": kind, "base_rate": 0.5 / length, "amplitude": 0.2 / length, "period": length,
                "duration": length}  # fmt: skip
        two_and_a_half = [half] * 5
        assert plan({"type": "custom", "phases": two_and_a_half}).planned == 2
        row = [*two_and_a_half, pause, *two_and_a_half, pause, *two_and_a_half]
        due = everything(plan({"type": "custom", "phases": row, "repeat": 3})).due
        assert len(due) == 22
        assert due[2] == pytest.approx(5 * length, abs=1e-4)
        assert due[17] == pytest.approx(15 * length + 20 + (15 * length + 20) + 5 * length, abs=1e-4)


def test_chunks_of_any_size_are_the_same_run() -> None:
    made = plan(max_rate=150.0)
    whole = everything(made)
    for size in (1, 7, 100, 8192):
        parts = joined(islice(made.chunks(size), 300))
        assert len(parts) == min(300 * size, len(whole))
        for name in ("seq", "due", "kind", "kept"):
            assert getattr(parts, name).tolist() == getattr(whole, name).tolist()[: len(parts)]
    assert all(len(chunk) <= 100 for chunk in made.chunks(100))


def test_rates_below_one_a_second_and_long_pauses() -> None:
    made = plan({"type": "custom", "phases": [
        {"type": "steady", "base_rate": "2/h", "duration": "2h"},
        {"type": "steady", "base_rate": 0, "duration": "1h"},
        {"type": "steady", "base_rate": "1/m", "duration": "3m"}]})  # fmt: skip
    assert everything(made).due == pytest.approx([900, 2700, 4500, 6300, 10830, 10890, 10950])


def test_a_chunk_reads_no_more_of_the_run_than_itself() -> None:
    made = plan({"type": "steady", "base_rate": 1e6, "duration": "10d"})
    assert made.planned == 864_000_000_000
    first = next(made.chunks(10))
    assert first.due == pytest.approx((np.arange(10) + 0.5) / 1e6)


def test_nothing_to_send() -> None:
    made = plan({"type": "steady", "base_rate": 0, "duration": 5})
    assert made.planned == made.sent_estimate == 0
    assert list(made.chunks()) == []
    assert made.planned_in(np.array([0.0, 1.0, 5.0])).tolist() == [0, 0]
