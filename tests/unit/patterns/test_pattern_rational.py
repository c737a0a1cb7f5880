"""Straight-line patterns computed a second time in exact fractions: no rounding, so no excuse at the seams."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pattern_documents import curve, nested, straight

from plg.plan.arrivals import Uniform

Piece = tuple[Fraction, Fraction, Fraction]
"""Length, rate at the start, rate at the end."""


def pieces(p: dict[str, Any]) -> list[Piece]:
    """The phase as exact straight pieces."""
    rows = _pieces(p)
    return rows if "max_rate" not in p else [piece for row in rows for piece in _cut(row, Fraction(p["max_rate"]))]


def _pieces(p: dict[str, Any]) -> list[Piece]:
    kind = p["type"]
    if kind == "custom":
        return [piece for part in p["phases"] for piece in pieces(part)] * p["repeat"]
    if kind == "overlay":
        return _sum([pieces(layer) for layer in p["layers"]])
    if kind == "points":
        rows = [(Fraction(point["at"]), Fraction(point["rate"])) for point in p["points"]]
        smooth = p["interpolation"] == "linear"
        return [(t1 - t0, a, b if smooth else a) for (t0, a), (t1, b) in pairwise(rows)]
    length = Fraction(p["duration"])
    if kind == "steady":
        return [(length, Fraction(p["base_rate"]), Fraction(p["base_rate"]))]
    if kind == "burst":
        return _bursts(p, length)
    a, b = Fraction(p["start_rate"]), Fraction(p["end_rate"])
    if kind == "ramp":
        return [(length, a, b)]
    steps = p["steps"]
    heights = [a + (b - a) * i / (steps - 1) if steps > 1 else a for i in range(steps)]
    return [(length / steps, height, height) for height in heights]


def _bursts(p: dict[str, Any], length: Fraction) -> list[Piece]:
    hot, interval = Fraction(p["burst_duration"]), Fraction(p["burst_interval"])
    rows, t = [], Fraction(0)
    while t < length:
        for span, rate in ((hot, p["burst_rate"]), (interval - hot, p["base_rate"])):
            span = min(span, length - t)
            if span > 0:
                rows.append((span, Fraction(rate), Fraction(rate)))
                t += span
    return rows


def _cut(row: Piece, cap: Fraction) -> list[Piece]:
    length, a, b = row
    if max(a, b) <= cap:
        return [row]
    if min(a, b) >= cap:
        return [(length, cap, cap)]
    share = (cap - a) / (b - a)
    return [(length * share, min(a, cap), cap), (length * (1 - share), cap, min(b, cap))]


def _sum(layers: list[list[Piece]]) -> list[Piece]:
    seams = sorted({Fraction(0), *(t for layer in layers for t in _ends(layer))})
    return [
        (end - start, sum((_at(x, start, end)[0] for x in layers), Fraction(0)),
         sum((_at(x, start, end)[1] for x in layers), Fraction(0)))
        for start, end in pairwise(seams)
    ]  # fmt: skip


def _ends(layer: list[Piece]) -> list[Fraction]:
    ends, t = [], Fraction(0)
    for length, _, _ in layer:
        t += length
        ends.append(t)
    return ends


def _at(layer: list[Piece], start: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
    t = Fraction(0)
    for length, a, b in layer:
        if t <= start < t + length:
            slope = (b - a) / length
            return a + slope * (start - t), a + slope * (end - t)
        t += length
    return Fraction(0), Fraction(0)


def count(rows: list[Piece], until: Fraction) -> Fraction:
    t, total = Fraction(0), Fraction(0)
    for length, a, b in rows:
        u = min(length, until - t)
        if u <= 0:
            break
        total += a * u + (b - a) / length * u * u / 2
        t += length
    return total


exact = settings(max_examples=150, deadline=None)


@exact
@given(nested(straight), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_counts_are_the_exact_ones(document: dict[str, Any], at: list[float]) -> None:
    pattern, rows = curve(document), pieces(document)
    length = sum((row[0] for row in rows), Fraction(0))
    assert abs(pattern.duration - float(length)) <= 1e-12 * (1 + float(length))
    for share in [*at, 1.0]:
        t = share * pattern.duration
        wanted = float(count(rows, Fraction(t)))
        assert abs(float(pattern.count(np.asarray(t))) - wanted) <= 1e-11 * (1 + pattern.total)


@exact
@given(nested(straight))
def test_arrivals_are_exact_in_number_and_place(document: dict[str, Any]) -> None:
    pattern, rows = curve(document), pieces(document)
    arrivals = Uniform(pattern)
    total = count(rows, sum((row[0] for row in rows), Fraction(0)))
    wanted = math.ceil(total - Fraction(1, 2))
    if abs(total - Fraction(1, 2) - round(total - Fraction(1, 2))) > Fraction(1, 10**8):
        assert arrivals.total == wanted
    if arrivals.total == 0:
        return
    k = np.unique(np.linspace(0, arrivals.total - 1, 7).astype(np.int64))
    for number, due in zip(k.tolist(), arrivals.due(k).tolist(), strict=True):
        assert abs(float(count(rows, Fraction(due))) - (number + 0.5)) <= 1e-9 * (1 + pattern.total)


@exact
@given(nested(straight), st.floats(0.0, 1.0))
def test_the_number_due_is_never_half_a_job_off(document: dict[str, Any], at: float) -> None:
    pattern, rows = curve(document), pieces(document)
    t = at * pattern.duration
    number = int(Uniform(pattern).before(np.array([t]))[0])
    assert abs(number - float(count(rows, Fraction(t)))) <= 0.5 + 1e-9 * (1 + pattern.total)
