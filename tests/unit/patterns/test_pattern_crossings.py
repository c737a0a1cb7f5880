"""Where a curve exceeds a level: touches, tangents and curves that cancel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.pattern_documents import curve

from plg.patterns.crossings import highest, stretches_above

UP = {"type": "sine", "base_rate": 100, "amplitude": 50, "period": 2, "duration": 8}
DOWN = {**UP, "phase": math.pi}
RISE = {"type": "ramp", "start_rate": 0, "end_rate": 100, "duration": 8}


def test_the_numerical_search_agrees_with_the_closed_form() -> None:
    for level in (60.0, 100.0, 130.0, 149.999):
        wave = curve(UP)
        near, exact = stretches_above(wave, level), wave.above(level)
        assert np.allclose(near[0], exact[0], atol=1e-11)
        assert np.allclose(near[1], exact[1], atol=1e-11)


def test_a_summit_between_two_ends_is_found_wherever_it_stands() -> None:
    for turn in np.linspace(0.0, 1.0, 41):
        wave = curve({"type": "sine", "base_rate": 100, "amplitude": 50, "period": 1000, "duration": 100,
                      "phase": math.pi / 2 - 2 * math.pi * 0.1 * turn})  # fmt: skip
        for level in (wave.peak() - 1e-3, wave.peak() - 1.0):
            near, exact = stretches_above(wave, level), wave.above(level)
            assert len(exact[0]) == 1
            assert np.allclose(near, exact, atol=1e-6)
        assert highest(wave) == pytest.approx(wave.peak(), rel=1e-8)


def test_the_summit_of_two_waves_stands_at_the_crest_of_neither() -> None:
    for apart in (0.1, 0.2, 0.3):
        first = {"type": "sine", "base_rate": 100, "amplitude": 50, "period": 1000, "duration": 100,
                 "phase": math.pi / 2 - 0.1}  # fmt: skip
        both = curve({"type": "overlay", "layers": [first, {**first, "phase": first["phase"] - apart}]})
        top = 200 + 100 * math.cos(apart / 2)
        summit = (0.1 + apart / 2) * 1000 / (2 * math.pi)
        assert both.peak() == pytest.approx(top, rel=1e-8)
        for below in (1e-5, 1e-3, 1e-2):
            starts, ends = both.above(top - below)
            assert 0.5 * (starts + ends) == pytest.approx([summit], abs=0.01)
            half = math.acos(1 - below / (top - 200)) * 1000 / (2 * math.pi)
            assert ends - starts == pytest.approx([2 * half], rel=1e-3)


@pytest.mark.parametrize("shape", ["exponential", "logarithmic"])
@pytest.mark.parametrize(("a", "b"), [(10, 200), (200, 10)])
def test_a_bent_ramp_meets_a_level_where_its_formula_says(shape: str, a: float, b: float) -> None:
    ramp = curve({"type": "ramp", "start_rate": a, "end_rate": b, "duration": 7, "ramp_type": shape})
    for level in (10.0, 11.0, 90.0, 199.0):
        near, exact = stretches_above(ramp, level), ramp.above(level)
        assert np.allclose(near[0], exact[0], atol=1e-10)
        assert np.allclose(near[1], exact[1], atol=1e-10)
    assert ramp.above(5.0)[1].tolist() == [7.0]
    assert ramp.above(200.0)[0].size == 0


def test_a_level_that_is_only_touched_is_not_exceeded() -> None:
    wave = curve(UP)
    assert wave.above(150.0)[0].size == 0
    assert stretches_above(wave, 150.0)[0].size == 0
    starts, ends = wave.above(50.0)
    assert (ends - starts).sum() == pytest.approx(8)


def test_waves_that_cancel_are_decided_in_bounded_work() -> None:
    flat = curve({"type": "overlay", "layers": [UP, DOWN]})
    assert flat.peak() == pytest.approx(200, rel=1e-8)
    assert flat.above(200.1)[0].size == 0
    starts, ends = flat.above(199.9)
    assert (starts.tolist(), ends.tolist()) == ([0.0], [8.0])
    assert flat.capped(150.0).total == pytest.approx(1200)


def test_the_top_of_a_sum_is_found_between_its_samples() -> None:
    layers = [UP, {**UP, "period": 0.37, "phase": 0.4}, RISE]
    total = curve({"type": "overlay", "layers": layers})
    t = np.linspace(0, 8, 4_000_001)
    assert highest(total) == pytest.approx(float(total.rate(t).max()), rel=1e-7)
    starts, ends = total.above(250.0)
    inside = np.searchsorted(np.column_stack([starts, ends]).ravel(), t) % 2 == 1
    assert np.count_nonzero(inside != (total.rate(t) > 250)) <= len(starts) + len(ends)
    assert total.rate(starts[starts > 0]) == pytest.approx(250, abs=1e-7)


def test_a_narrow_summit_between_coarse_stretches_is_not_missed() -> None:
    bumps = curve({"type": "overlay", "layers": [
        {"type": "sine", "base_rate": 10, "amplitude": 10, "period": 1000, "duration": 1000, "phase": 1.234},
        {"type": "sine", "base_rate": 10, "amplitude": 0.5, "period": 0.9, "duration": 1000}]})  # fmt: skip
    top = bumps.peak()
    starts, ends = bumps.above(top - 1e-4)
    assert len(starts) >= 1
    assert (ends - starts).max() < 0.1
    assert bumps.rate(0.5 * (starts + ends)) == pytest.approx(top, abs=1e-3)


def test_neighbouring_excursions_are_one_across_a_seam() -> None:
    row = curve({"type": "custom", "repeat": 3, "phases": [
        {"type": "steady", "base_rate": 300, "duration": 1},
        {"type": "ramp", "start_rate": 400, "end_rate": 0, "duration": 4},
        {"type": "sine", "base_rate": 0, "amplitude": 400, "period": 4, "duration": 1, "phase": 0}]})  # fmt: skip
    starts, ends = row.above(200.0)
    assert starts == pytest.approx([0, 5 + 1 / 3, 11 + 1 / 3, 17 + 1 / 3])
    assert ends == pytest.approx([3, 9, 15, 18])


@pytest.mark.parametrize(("a", "b"), [(20, 2), (2, 20), (1e-3, 1e6)])
def test_a_steep_end_is_the_peak_to_the_last_digits(a: float, b: float) -> None:
    ramp = curve({"type": "ramp", "start_rate": a, "end_rate": b, "duration": 0.5, "ramp_type": "exponential"})
    assert highest(ramp) == pytest.approx(max(a, b), rel=1e-13)


def test_a_steep_end_before_a_jump_is_the_peak_too() -> None:
    rise = {"type": "ramp", "start_rate": 2, "end_rate": 20, "duration": 0.5, "ramp_type": "exponential"}
    row = {"type": "custom", "phases": [rise, {"type": "steady", "base_rate": 1, "duration": 1}]}
    assert highest(curve({"type": "overlay", "layers": [row]})) == pytest.approx(20, rel=1e-13)


def test_what_stands_behind_a_jump_is_no_part_of_the_stretch_before_it() -> None:
    low = {**RISE, "ramp_type": "exponential", "start_rate": 1, "end_rate": 10}
    steps = curve({"type": "overlay", "layers": [low, {"type": "steady", "base_rate": 100, "duration": 4}]})
    assert steps.above(50.0)[0].tolist() == [0.0]
    assert steps.above(50.0)[1].tolist() == [4.0]
