"""What must hold of every pattern, however it is put together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.pattern_documents import anything, curve, integral, leaves, positive

from plg.patterns.base import Curve, Pattern

shares = st.lists(st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.0, 1.0)), min_size=1, max_size=8)
laws = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def noise(pattern: Curve) -> float:
    """Jobs by which a count may be off through rounding alone."""
    return 1e-10 + 1e-11 * pattern.total


STEEP = {"type": "ramp", "start_rate": 20.0, "end_rate": 2.0, "duration": 0.5, "ramp_type": "exponential"}


@laws
@given(anything, shares)
@example({"type": "overlay", "layers": [STEEP]}, [0.0])
def test_rate_is_finite_never_negative_and_under_the_peak(document: dict[str, Any], at: list[float]) -> None:
    pattern = curve(document)
    t = np.concatenate([np.array(at), np.linspace(0, 1, 97)]) * pattern.duration
    rate = pattern.rate(t)
    assert np.all(np.isfinite(rate))
    assert np.all(rate >= 0)
    assert np.all(rate <= pattern.peak() * (1 + 1e-9) + 1e-9)
    assert isinstance(pattern, Pattern)


@laws
@given(anything)
def test_the_peak_is_reached_or_approached(document: dict[str, Any]) -> None:
    pattern = curve(document)
    edges = np.unique(np.concatenate([[0.0], pattern.breaks(), [pattern.duration]]))
    inside = np.concatenate([np.linspace(a + 1e-9 * (b - a), b - 1e-9 * (b - a), 400) for a, b in pairwise(edges)])
    assert pattern.rate(inside).max() >= pattern.peak() * (1 - 1e-3) - 1e-3


@laws
@given(anything, shares)
def test_count_starts_at_zero_never_falls_and_ends_at_the_total(document: dict[str, Any], at: list[float]) -> None:
    pattern = curve(document)
    t = np.sort(np.concatenate([np.array(at), np.linspace(0, 1, 97)])) * pattern.duration
    count = pattern.count(t)
    assert pattern.count(np.zeros(1))[0] == 0
    assert np.all(np.diff(count) >= -noise(pattern))
    assert abs(pattern.count(np.array([pattern.duration]))[0] - pattern.total) <= noise(pattern)
    outside = pattern.count(np.array([-5.0, pattern.duration + 5.0]))
    assert outside[0] == 0
    assert abs(outside[1] - pattern.total) <= noise(pattern)


@laws
@given(anything, st.floats(0.0, 1.0))
def test_count_is_the_integral_of_the_rate(document: dict[str, Any], at: float) -> None:
    pattern = curve(document)
    until = at * pattern.duration
    assert abs(float(pattern.count(np.asarray(until))) - integral(pattern, until)) <= 1e-7 + 1e-8 * pattern.total


@laws
@given(anything, shares)
def test_inverse_undoes_count_within_a_microsecond(document: dict[str, Any], at: list[float]) -> None:
    pattern = curve(document)
    n = np.array(at) * pattern.total
    t = pattern.inverse(n)
    assert np.all((t >= 0) & (t <= pattern.duration))
    low = pattern.count(np.maximum(t - 1e-6, 0.0))
    high = pattern.count(np.minimum(t + 1e-6, pattern.duration))
    assert np.all(low <= n + noise(pattern))
    assert np.all(high >= n - noise(pattern))


@laws
@given(anything, shares)
def test_inverse_is_the_earliest_time(document: dict[str, Any], at: list[float]) -> None:
    pattern = curve(document)
    t = np.array(at) * pattern.duration
    n = pattern.count(t)
    early = pattern.inverse(n)
    assert np.all(early <= t + 1e-6)
    grew = pattern.count(np.maximum(early - 1e-5, 0.0)) < n
    assert np.all(grew | (early <= 1e-5) | (pattern.rate(np.maximum(early - 1e-6, 0)) * 1e-5 <= noise(pattern)))


@laws
@given(anything, shares)
def test_an_answer_does_not_depend_on_its_company(document: dict[str, Any], at: list[float]) -> None:
    pattern = curve(document)
    n = np.array(at) * pattern.total
    together = pattern.inverse(n)
    alone = np.array([float(pattern.inverse(n[i : i + 1])[0]) for i in range(len(n))])
    assert together.tolist() == alone.tolist()
    shaped = pattern.count(np.tile(together, (3, 1)))
    assert shaped.shape == (3, len(n))
    assert pattern.rate(np.asarray(0.0)).shape == ()
    assert pattern.inverse(np.asarray(n[0])).shape == ()


@laws
@given(anything, positive, shares)
def test_a_cap_is_the_smaller_of_rate_and_cap(document: dict[str, Any], cap: float, at: list[float]) -> None:
    pattern = curve(document)
    capped = pattern.capped(cap)
    t = np.concatenate([np.array(at), np.linspace(0, 1, 61)]) * pattern.duration
    wanted, got = np.minimum(pattern.rate(t), cap), capped.rate(t)
    apart = np.abs(wanted - got) > 1e-6
    if apart.any():  # a seam may fall to either side of a time that rounding moved
        near = np.abs(t[apart, None] - np.concatenate([pattern.breaks(), capped.breaks(), [0.0, pattern.duration]]))
        assert np.all(near.min(axis=1) <= 1e-9)
    until = at[0] * pattern.duration
    assert abs(capped.duration - pattern.duration) <= 1e-9
    assert abs(float(capped.count(np.asarray(until))) - integral(capped, until)) <= 1e-6 + 1e-7 * pattern.total
    n = np.array(at) * capped.total
    assert np.all(np.abs(capped.count(capped.inverse(n)) - n) <= 1e-6 + noise(capped))


@laws
@given(anything, positive)
def test_stretches_above_a_level(document: dict[str, Any], level: float) -> None:
    pattern = curve(document)
    starts, ends = pattern.above(level)
    assert np.all(starts < ends)
    assert np.all(starts[1:] > ends[:-1])
    assert np.all((starts >= 0) & (ends <= pattern.duration + 1e-9))
    t = np.linspace(0, pattern.duration, 1999)[1:-1]
    place = np.searchsorted(np.column_stack([starts, ends]).ravel(), t)
    inside = place % 2 == 1
    seams = np.concatenate([starts, ends, pattern.breaks(), [-1.0]])
    clear = np.abs(t[:, None] - seams).min(axis=1) > 1e-7
    rate = pattern.rate(t)
    assert np.all(rate[inside & clear] > level - 1e-6)
    assert np.all(rate[~inside & clear] <= level + 1e-6)


@laws
@given(leaves)
def test_straight_pieces_tell_the_same_curve(document: dict[str, Any]) -> None:
    pattern = curve(document)
    rows = pattern.segments()
    if rows is None:
        assert document["type"] in ("sine", "ramp")
        return
    assert abs(rows[:, 0].sum() - pattern.duration) <= 1e-9
    assert abs(float((rows[:, 0] * (rows[:, 1] + rows[:, 2]) / 2).sum()) - pattern.total) <= 1e-8 + noise(pattern)
    middles = np.cumsum(rows[:, 0]) - rows[:, 0] / 2
    wide = rows[:, 0] > 1e-9
    assert np.allclose(pattern.rate(middles)[wide], rows[wide, 1:].mean(axis=1), rtol=1e-9, atol=1e-9)
