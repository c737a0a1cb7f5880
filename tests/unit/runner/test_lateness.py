"""What plg itself held up, counted in one step for arrivals in order: the plain definition says the same."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plg.runner.grid import Grid
from plg.runner.lateness import Lateness
from plg.runner.recorder import Recorder

moments = st.floats(0, 3)
dues = st.lists(moments, max_size=60).map(sorted).map(lambda found: np.array(found, dtype=np.float64))


def recorder(edges: list[float]) -> Recorder:
    edges = [*sorted({0.0, 3.0, *edges}), math.inf]
    cells = len(edges) - 1
    nothing = np.zeros(cells, dtype=np.int64)
    return Recorder(Grid(np.array(edges), 1.0, 3.0, {}, nothing, np.zeros(cells), np.zeros(cells)))


@given(dues, moments, moments | st.just(-math.inf), moments, st.sampled_from([0.0, 0.02, 0.25]))
def test_the_first_so_many_are_its_own(due, now, owed, blocked, least):
    lateness = Lateness(recorder([]), 1.0)
    lateness._owed_until, lateness._blocked_until = owed, blocked
    until = now - least
    plain = [bool(d < until and (d <= owed or max(d, blocked) < until)) for d in due]
    assert plain == sorted(plain, reverse=True), "those that are its own come first"
    assert lateness.own(due, now, least) == sum(plain)


@given(dues, st.lists(st.floats(0.01, 2.99), max_size=8))
def test_arrivals_in_order_are_counted_as_any_others(due, edges):
    made = recorder(edges)
    made.add_held(due)
    plain = np.zeros(made.counters["held"].shape, dtype=np.int64)
    for moment in due:
        plain[int(np.searchsorted(made._edges, moment, "right")) - 1] += 1
    assert made.counters["held"].tolist() == plain.tolist()
