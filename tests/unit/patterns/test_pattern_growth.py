"""Long, repeated and deeply nested patterns: the work grows with the question, not with the pattern."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from support.pattern_documents import HERE, curve

from plg.patterns.base import Curve, Floats, PatternError, TooManyPieces, within
from plg.patterns.registry import DEEPEST, read
from plg.patterns.sequence import Sequence

STEADY = {"type": "steady", "base_rate": 10, "duration": 1}
WAVE = {"type": "sine", "base_rate": 10, "amplitude": 12, "period": 0.3, "duration": 1}


@dataclass(frozen=True)
class Watched(Curve):
    """A steady rate that writes down how it was asked."""

    duration: float = 1.0
    asked: list[int] = field(default_factory=list)

    def rate(self, t: Floats) -> Floats:
        self.asked.append(np.size(t))
        return np.full_like(t, 10.0)

    def count(self, t: Floats) -> Floats:
        self.asked.append(np.size(t))
        return 10.0 * within(t, self.duration)

    def peak(self) -> float:
        return 10.0


def test_a_query_asks_each_part_it_touches_once_and_no_other() -> None:
    parts = tuple(Watched() for _ in range(10_000))
    row = Sequence(parts)
    assert row.total == 100_000
    for part in parts:
        part.asked.clear()
    t = np.random.default_rng(1).uniform(100, 200, 50_000)
    assert np.allclose(row.count(t), 10 * t)
    assert all(len(part.asked) == 1 for part in parts[100:200])
    assert not any(part.asked for part in [*parts[:100], *parts[200:]])
    assert sum(part.asked[0] for part in parts[100:200]) == 50_000


def test_a_query_on_the_seams_asks_nobody() -> None:
    parts = tuple(Watched() for _ in range(1000))
    row = Sequence(parts)
    assert row.total == 10_000
    for part in parts:
        part.asked.clear()
    assert row.count(np.arange(1001.0)).tolist() == (10 * np.arange(1001.0)).tolist()
    assert not any(part.asked for part in parts)


def test_straight_neighbours_are_one_table() -> None:
    phases = [STEADY, {"type": "ramp", "start_rate": 1, "end_rate": 9, "duration": 2}] * 5000
    row = curve({"type": "custom", "phases": phases})
    assert isinstance(row, Sequence)
    assert len(row._groups._members) == 1
    assert row.total == pytest.approx(100_000)


def test_a_million_repeats_take_no_memory() -> None:
    tracemalloc.start()
    row = curve({"type": "custom", "repeat": 1_000_000, "phases": [STEADY, WAVE]})
    once = curve({"type": "custom", "phases": [STEADY, WAVE]})
    n = np.linspace(0, row.total, 1000)
    t = row.inverse(n)
    back = row.count(t)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert row.duration == 2_000_000
    assert row.total == pytest.approx(once.total * 1_000_000, rel=1e-12)
    assert np.allclose(back, n, rtol=1e-9, atol=1e-6)


def test_a_repeat_is_the_copies_written_out() -> None:
    inner = [STEADY, WAVE, {"type": "custom", "repeat": 3, "phases": [WAVE, STEADY]}]
    folded = curve({"type": "custom", "repeat": 5, "phases": inner})
    written = curve({"type": "custom", "phases": [*inner[:2], *[WAVE, STEADY] * 3] * 5})
    t = np.linspace(0, folded.duration, 4001)
    assert folded.duration == pytest.approx(written.duration)
    assert np.allclose(folded.count(t), written.count(t), atol=1e-8)
    n = np.linspace(0, folded.total, 4001)
    assert np.allclose(written.count(folded.inverse(n)), n, atol=1e-8)


def nest(kind: str, field_: str, levels: int, core: dict[str, Any], beside: list[dict[str, Any]]) -> dict[str, Any]:
    for _ in range(levels):
        core = {"type": kind, field_: [*beside, core]}
    return core


@pytest.mark.parametrize("beside", [[], [STEADY]])
def test_sequences_nest_by_the_thousand(beside: list[dict[str, Any]]) -> None:
    row = curve(nest("custom", "phases", 3000, WAVE, beside))
    assert row.duration == pytest.approx(1 + 3000 * len(beside))
    half = row.inverse(np.array([row.total / 2]))
    assert row.count(half)[0] == pytest.approx(row.total / 2)
    assert row.capped(5.0).peak() <= 5


def test_overlays_nest_by_the_hundred_and_no_deeper() -> None:
    row = curve(nest("overlay", "layers", DEEPEST, WAVE, [STEADY]))
    assert row.peak() == pytest.approx(10 * DEEPEST + 22, rel=1e-6)
    assert row.count(np.array([0.5]))[0] == pytest.approx(5 * DEEPEST + curve(WAVE).count(np.array([0.5]))[0])
    deep = nest("overlay", "layers", DEEPEST + 1, WAVE, [STEADY])
    with pytest.raises(PatternError, match=f"more than {DEEPEST} overlays"):
        read(deep, HERE)


def test_sequences_and_overlays_nest_in_turns() -> None:
    core: dict[str, Any] = WAVE
    for _ in range(DEEPEST):
        core = {"type": "overlay", "layers": [STEADY, {"type": "custom", "phases": [core, STEADY], "max_rate": 900}]}
    row = curve(core)
    t = np.linspace(0, row.duration, 50)
    assert np.all(np.diff(row.count(t)) >= 0)
    assert row.count(row.inverse(np.array([row.total / 3])))[0] == pytest.approx(row.total / 3)


def test_what_cannot_be_held_is_refused_in_words() -> None:
    for phase in (
        {"type": "chaos", "base_rate": 1, "max_rate": 2, "period": "1ms", "duration": "1h"},
        {"type": "staircase", "start_rate": 1, "end_rate": 2, "steps": 10**9, "duration": 1},
    ):
        with pytest.raises(TooManyPieces, match="at most 1,000,000"):
            curve(phase)
    endless: dict[str, Any] = STEADY
    for _ in range(60):
        endless = {"type": "custom", "repeat": 1_000_000, "phases": [endless]}
    with pytest.raises(PatternError, match="lasts"):
        curve(endless)


def test_a_day_of_short_waves_needs_no_table() -> None:
    day = {"type": "sine", "base_rate": 100, "amplitude": 150, "period": "20ms", "duration": "1d", "max_rate": 200}
    wave = curve(day)
    n = np.linspace(0, wave.total, 999)
    assert np.allclose(wave.count(wave.inverse(n)), n, rtol=1e-12, atol=1e-5)
    with pytest.raises(TooManyPieces, match="too many to list"):
        wave.above(150.0)
