"""Phases of every kind for property tests, as the documents a scenario would hold."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from plg.patterns.base import Curve
from plg.patterns.registry import read

HERE = Path(__file__).parent

rates = st.one_of(st.sampled_from([0.0, 0.25, 1.0, 50.0, 400.0]), st.floats(0.0, 500.0).map(lambda x: round(x, 3)))
positive = st.one_of(st.sampled_from([0.5, 1.0, 20.0]), st.floats(0.01, 500.0).map(lambda x: round(x, 3)))
seconds = st.one_of(st.sampled_from([0.5, 1.0, 4.0]), st.floats(0.05, 12.0).map(lambda x: round(x, 3)))


def _phase(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


steady = _phase("steady", base_rate=rates, duration=seconds)
linear = _phase("ramp", start_rate=rates, end_rate=rates, duration=seconds)
exponential = _phase("ramp", start_rate=positive, end_rate=positive, duration=seconds, ramp_type=st.just("exponential"))
logarithmic = _phase("ramp", start_rate=rates, end_rate=rates, duration=seconds, ramp_type=st.just("logarithmic"))
sine = _phase(
    "sine",
    base_rate=rates,
    amplitude=rates,
    period=seconds,
    duration=seconds,
    phase=st.one_of(st.sampled_from([0.0, np.pi / 2, np.pi, 3 * np.pi / 2]), st.floats(-7.0, 14.0)),
)
staircase = _phase("staircase", start_rate=rates, end_rate=rates, steps=st.integers(1, 9), duration=seconds)
chaos = _phase(
    "chaos", base_rate=rates, max_rate=rates, period=seconds, duration=seconds, seed=st.integers(0, 2**64 - 1)
)


@st.composite
def burst(draw: st.DrawFn) -> dict[str, Any]:
    interval = draw(seconds)
    share = draw(st.sampled_from([0.1, 0.25, 0.5, 0.999, 1.0]))
    return {
        "type": "burst",
        "base_rate": draw(rates),
        "burst_rate": draw(rates),
        "burst_duration": interval * share,
        "burst_interval": interval,
        "duration": draw(seconds),
    }


@st.composite
def points(draw: st.DrawFn) -> dict[str, Any]:
    gaps = draw(st.lists(seconds, min_size=1, max_size=5))
    times = np.concatenate([[0.0], np.cumsum(gaps)]).tolist()
    return {
        "type": "points",
        "interpolation": draw(st.sampled_from(["linear", "step"])),
        "points": [{"at": at, "rate": draw(rates)} for at in times],
    }


straight = st.one_of(steady, linear, staircase, burst(), points())
leaves = st.one_of(straight, exponential, logarithmic, sine, chaos)


def _with_cap(phase: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """The phase, now and then under a cap of its own."""
    caps = st.one_of(st.none(), st.none(), positive)
    return st.builds(lambda p, cap: p if cap is None or p["type"] == "chaos" else {**p, "max_rate": cap}, phase, caps)


def nested(of: st.SearchStrategy[dict[str, Any]], most: int = 8) -> st.SearchStrategy[dict[str, Any]]:
    """Sequences, repeats and overlays of the given leaves."""
    return st.recursive(
        _with_cap(of),
        lambda inner: _with_cap(
            st.one_of(
                _phase("custom", phases=st.lists(inner, min_size=1, max_size=4), repeat=st.integers(1, 4)),
                _phase("overlay", layers=st.lists(inner, min_size=1, max_size=3)),
            )
        ),
        max_leaves=most,
    )


anything = nested(leaves)


def curve(document: dict[str, Any]) -> Curve:
    return read(document, HERE)


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def integral(pattern: Curve, until: float, pieces: int = 12) -> float:
    """Gauss's quadrature of the rate between all breaks: the count by a way of its own."""
    edges = pattern.breaks()
    edges = np.unique(np.concatenate([[0.0], edges[edges < until], [until]]))
    fine = np.concatenate([np.linspace(a, b, pieces + 1)[:-1] for a, b in pairwise(edges)] or [[]])
    fine = np.append(fine, until)
    half = 0.5 * np.diff(fine)[:, None]
    times = fine[:-1, None] + half * (1 + _NODES)
    return float(np.sum(pattern.rate(times) * _WEIGHTS * half))
