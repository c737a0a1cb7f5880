"""Cells of a run that goes on: which of them are closed, and that cut out, joined and merged they lose nothing."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_runs import confirmed, grid_of

from plg.answers import Answers
from plg.runner import cell_histogram
from plg.runner.cells import Cells
from plg.runner.recorder import Recorder
from plg.runner.recording import COUNTERS, TIMES, Histograms

TEN = np.append(np.arange(11.0), np.inf)
NO_SEAMS = np.zeros(0, dtype=np.int64)


def ten_seconds(*dues: float) -> Recorder:
    """A recorder of ten cells of a second and an open one, whose plan has these arrivals."""
    grid = grid_of(TEN)
    grid.planned[:] = np.histogram(dues, TEN)[0]
    return Recorder(grid)


def send(recorder: Recorder, due: float, moment: float) -> None:
    recorder.add_sent(np.array([due]), [moment], [1])


def closed(recorder: Recorder, now: float, taken: int) -> int:
    return recorder.closed(0, now, taken).end


def test_a_cell_is_closed_when_it_is_past_and_all_that_was_due_in_it_is_sent_and_answered() -> None:
    recorder = ten_seconds(0.5, 1.5)
    assert closed(recorder, 3.5, 0) == 0, "the first job has yet to leave"
    send(recorder, 0.5, 3.6)
    assert closed(recorder, 3.7, 1) == 0, "and to be answered"
    recorder.take(confirmed(np.array([0.5]), 3.6, 3.8))
    assert closed(recorder, 3.9, 1) == 1
    recorder.add_late(np.array([1.5]))
    assert closed(recorder, 3.9, 2) == 3, "the fourth second lasts"
    assert closed(recorder, 4.0, 2) == 3, "what happens at this very moment may be told later"
    assert closed(recorder, 4.1, 2) == 4
    assert closed(recorder, 99.0, 2) == 10, "the last cell takes whatever comes"


@pytest.mark.parametrize("fate", ["failed", "unknown"])
def test_a_job_that_is_lost_is_awaited_no_more(fate: str) -> None:
    recorder = ten_seconds(0.5)
    send(recorder, 0.5, 0.6)
    assert closed(recorder, 2.5, 1) == 0
    lost = Answers()
    lost.dues.append(np.array([0.5]))
    lost.sizes.append(1)
    lost.moments.append(2.6)
    getattr(lost, fate)[0] = "ERR"
    recorder.take(lost)
    assert closed(recorder, 3.5, 1) == 3
    assert recorder.in_flight().sum() == 0


def test_what_lies_ahead_is_one_cell_or_what_the_seams_part() -> None:
    recorder = ten_seconds(0.5, 4.5, 8.5, 9.5)
    send(recorder, 0.5, 0.6)
    ahead = recorder.rest(0, 1.2, 1, NO_SEAMS)
    assert ahead.edges.tolist() == [0, 1, 2, 10, 11]
    assert ahead.counter("planned").tolist() == [1, 0, 3, 0]
    assert ahead.counter("cancelled").tolist() == [0, 0, 3, 0]
    assert ahead.counter("in_flight").tolist() == [1, 0, 0, 0]
    parted = recorder.rest(1, 1.2, 1, np.array([1, 5, 9]))
    assert parted.edges.tolist() == [1, 2, 5, 9, 10, 11]
    assert parted.counter("planned").tolist() == [0, 1, 1, 1, 0]
    recorder.add_shed(np.array([8.5, 9.5]))
    assert recorder.rest(0, 1.2, 4, NO_SEAMS).edges.tolist() == [*range(11), 11], "what is shed ahead has happened"


def counts(histograms: Histograms) -> list[dict[int, int]]:
    return [
        dict(zip(histograms.buckets[a:b].tolist(), histograms.counts[a:b].tolist(), strict=True))
        for a, b in pairwise(histograms.offsets.tolist())
    ]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 120), st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 1000]))
def test_parts_of_a_run_add_up_to_it(seed: int, jobs: int, compact: int, settled: int, long_run: int) -> None:
    """Closed cells are taken as they close and merged at random; with the rest they make the whole recording."""
    dice = random.Random(seed)
    dues = sorted(dice.random() * 10 for _ in range(jobs))
    recorder, base, taken = ten_seconds(*dues), Cells.empty(np.zeros(1, dtype=np.int64)), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_histogram, "_COMPACT_ENTRIES", compact)
        patch.setattr(cell_histogram, "_SETTLED_ENTRIES", settled)
        patch.setattr(cell_histogram, "_LONG_RUN", long_run)
        patch.setattr(cell_histogram, "_MOST_PARTS", 1 + compact // 8)
        waiting: list[tuple[float, float]] = []
        for now in np.arange(0.5, 13.0, 0.5).tolist():
            while taken < jobs and dues[taken] < now:
                send(recorder, dues[taken], now - 0.1)
                waiting.append((dues[taken], now - 0.1))
                taken += 1
            dice.shuffle(waiting)
            for _ in range(dice.randint(0, len(waiting)) if now < 12 else len(waiting)):
                due, sent = waiting.pop()
                recorder.take(confirmed(np.array([due]), sent, now - 0.05))
            base = base.joined(recorder.closed(base.end, now, taken))
            whole = base.joined(recorder.rest(base.end, now, taken, NO_SEAMS))
            assert whole.counter("in_flight").sum() == len(waiting)
            check_whole(recorder, whole, taken)
            base = base.merged(np.array(dice.sample(range(11), 4)))
    assert base.end == 10


def check_whole(recorder: Recorder, cells: Cells, taken: int) -> None:
    """Each of the cells holds what the recorder has counted between its edges."""
    groups = cells.edges[:-1]
    for name in COUNTERS[1:]:
        if name != "cancelled":
            assert cells.counter(name).tolist() == np.add.reduceat(recorder.counters[name], groups).tolist()
    assert int(cells.counter("planned").sum()) == taken + int(cells.counter("cancelled").sum())
    for name in TIMES:
        fine, coarse = recorder.histograms()[name], cells.histograms[name]
        sums: list[dict[int, int]] = [{} for _ in groups]
        for cell, found in enumerate(counts(fine)):
            group = sums[int(np.searchsorted(groups, cell, "right")) - 1]
            for bucket, count in found.items():
                group[bucket] = group.get(bucket, 0) + count
        assert counts(coarse) == sums
        assert coarse.sums == pytest.approx(np.add.reduceat(fine.sums, groups))
        assert coarse.minima.tolist() == np.minimum.reduceat(fine.minima, groups).tolist()
        assert coarse.maxima.tolist() == np.maximum.reduceat(fine.maxima, groups).tolist()
