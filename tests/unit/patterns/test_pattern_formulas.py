"""Each formula against the table of the language, written a second time with plain Python numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pattern_documents import burst, curve, exponential, linear, logarithmic, sine, staircase, steady

from plg.patterns.sequence import Sequence


def expected(p: dict[str, Any], t: float) -> float:
    kind, length = p["type"], p["duration"]
    if kind == "steady":
        return float(p["base_rate"])
    if kind == "sine":
        angle = 2 * math.pi * t / p["period"] + p["phase"]
        return max(0.0, p["base_rate"] + p["amplitude"] * math.sin(angle))
    if kind == "burst":
        return float(p["burst_rate"] if math.fmod(t, p["burst_interval"]) < p["burst_duration"] else p["base_rate"])
    a, b, x = p["start_rate"], p["end_rate"], t / length
    if kind == "staircase":
        step = min(int(t * p["steps"] / length), p["steps"] - 1)
        return float(a if p["steps"] == 1 else a + (b - a) * step / (p["steps"] - 1))
    shape: Callable[[], float] = {
        "linear": lambda: a + (b - a) * x,
        "exponential": lambda: a * (b / a) ** x,
        "logarithmic": lambda: a + (b - a) * math.log10(1 + 9 * x),
    }[p.get("ramp_type", "linear")]
    return shape()


@settings(max_examples=300, deadline=None)
@given(st.one_of(steady, linear, exponential, logarithmic, sine, staircase, burst()), st.floats(0.0, 1.0))
def test_rate_is_the_formula(phase: dict[str, Any], at: float) -> None:
    pattern = curve(phase)
    t = at * pattern.duration
    # The end is a jump too where another interval would begin there.
    near = np.concatenate([pattern.breaks(), [pattern.duration]])
    if np.abs(near - t).min() < 1e-9 * max(1.0, t):
        t += 1e-7
    if t >= pattern.duration:
        t = (0.5 + 1e-6) * pattern.duration
    assert float(pattern.rate(np.asarray(t))) == pytest.approx(expected(phase, t), rel=1e-9, abs=1e-7)


def two_steps(first: float, second: float, times: int) -> Sequence:
    phases = [
        {"type": "steady", "base_rate": first, "duration": 0.1},
        {"type": "steady", "base_rate": second, "duration": 0.2},
    ]
    row = curve({"type": "custom", "repeat": times, "phases": phases})
    assert isinstance(row, Sequence)
    return row


def test_a_step_belongs_to_what_comes_after() -> None:
    pattern = curve({"type": "burst", "base_rate": 5, "burst_rate": 50, "burst_duration": "500ms", "burst_interval": 2,
                     "duration": 6})  # fmt: skip
    assert pattern.rate(np.array([0.0, 0.5, 2.0, 2.5, 4.0, 6.0])).tolist() == [50, 5, 50, 5, 50, 5]
    row = two_steps(1, 2, times=2)
    assert row.rate(np.array([0.0, 0.1, row.period, row.period + 0.1])).tolist() == [1, 2, 1, 2]


def test_every_lap_of_a_long_repeat_starts_on_its_seam() -> None:
    row = two_steps(1, 3, times=100_000)
    laps = np.arange(100_000) * row.period
    assert np.all(row.rate(laps) == 1)
    assert np.all(row.rate(laps + 0.1) == 3)
    assert np.allclose(row.count(laps), np.arange(100_000) * 0.7, rtol=1e-12)


def test_a_wave_starts_where_it_is_told() -> None:
    for angle, rate, next_is in ((0, 200, 1), (math.pi / 2, 280, -1), (math.pi, 200, -1), (3 * math.pi / 2, 120, 1)):
        wave = curve({"type": "sine", "base_rate": 200, "amplitude": 80, "period": 2, "duration": 6, "phase": angle})
        first, second = wave.rate(np.array([0.0, 0.01]))
        assert first == pytest.approx(rate)
        assert (second - first) * next_is > 0


def test_a_negative_amplitude_is_half_a_turn() -> None:
    t = np.linspace(0, 6, 61)
    down = curve({"type": "sine", "base_rate": 200, "amplitude": -80, "period": 2, "duration": 6})
    turned = curve({"type": "sine", "base_rate": 200, "amplitude": 80, "period": 2, "duration": 6, "phase": math.pi})
    assert np.allclose(down.rate(t), turned.rate(t))


def test_an_exponential_ramp_between_near_rates_does_not_lose_its_digits() -> None:
    ramp = curve({"type": "ramp", "ramp_type": "exponential", "start_rate": 100, "end_rate": 100.00001, "duration": 10})
    assert ramp.total == pytest.approx(1000.00005, rel=1e-12)
    flat = curve({"type": "ramp", "ramp_type": "exponential", "start_rate": 100, "end_rate": 100, "duration": 10})
    assert flat.total == 1000
    assert flat.inverse(np.array([500.0])).tolist() == [5.0]


def test_a_pause_has_no_arrival_and_resolves_to_its_left_end() -> None:
    row = curve({"type": "custom", "phases": [
        {"type": "steady", "base_rate": 5, "duration": 0.5},
        {"type": "steady", "base_rate": 0, "duration": 10},
        {"type": "steady", "base_rate": 5, "duration": 0.5}]})  # fmt: skip
    assert row.inverse(np.array([0.0, 2.5, 2.5 + 1e-6, 5.0])) == pytest.approx([0.0, 0.5, 10.5, 11.0], abs=1e-6)


@pytest.mark.parametrize("rising", [True, False])
def test_an_exponential_ramp_over_more_than_a_float_holds_is_planned_by_its_closed_form(rising: bool) -> None:
    """1e-301 to 1e9: the factor between them is infinite for a float, the jobs are (b - a)·D/ln(b/a)."""
    ends = (1e-301, 1e9) if rising else (1e9, 1e-301)
    ramp = curve(
        {"type": "ramp", "start_rate": ends[0], "end_rate": ends[1], "duration": 10.0, "ramp_type": "exponential"}
    )
    growth = (math.log(1e9) - math.log(1e-301)) / 10
    total = 1e9 / growth
    assert float(ramp.count(np.asarray(10.0))) == pytest.approx(total, rel=1e-12)
    assert math.ceil(total - 0.5) == 14_009_499
    n = np.array([0.5, 1.0, 1e3, 1e6, 1e7, total - 1])
    before = np.asarray(10.0) + np.log(n / total) / growth
    assert ramp.inverse(n if rising else total - n) == pytest.approx(before if rising else 10 - before, abs=1e-9)
    t = np.linspace(0, 10, 4001)
    assert np.all(np.diff(ramp.count(t)) >= 0)
    assert ramp.count(ramp.inverse(n)) == pytest.approx(n, rel=1e-9)
    exponent = -301 + 310 * (t if rising else 10 - t) / 10
    assert np.log10(ramp.rate(t)) == pytest.approx(exponent, abs=1e-9)
    capped = ramp.capped(1e6)
    assert float(capped.count(np.asarray(10.0))) == pytest.approx(1e6 / growth + 1e6 * math.log(1e3) / growth, rel=1e-9)
