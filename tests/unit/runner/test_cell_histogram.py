"""Counts by cell and bucket against a plain count of everything at once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_runs import confirmed, grid_of

from plg.histogram import BUCKETS, bucket_of
from plg.runner import cell_histogram
from plg.runner.cell_histogram import CellHistogram, Squeezed
from plg.runner.recorder import Recorder
from plg.runner.sampler import SampleLog
from plg.testing import sample

part = st.tuples(st.integers(0, 9), st.integers(1, 60), st.floats(0, 1e6), st.integers(0, 2**32 - 1))


def plain(cells, values):
    """``{(cell, bucket): count}``, one value at a time."""
    return Counter((int(c), int(bucket_of(np.array([v]))[0])) for c, v in zip(cells, values, strict=True))


def counted(histograms):
    rows = np.repeat(np.arange(len(histograms.offsets) - 1), np.diff(histograms.offsets))
    return Counter(
        {(int(c), int(b)): int(n) for c, b, n in zip(rows, histograms.buckets, histograms.counts, strict=True)}
    )


@settings(deadline=None, max_examples=120)
@given(st.lists(part, max_size=25), st.integers(1, 400), st.integers(1, 200), st.integers(1, 100))
def test_whatever_comes_in_whatever_order_is_counted_once(parts, compact, settled, long_run):
    """Cells come back long after others were settled, in runs long and short; the same small limits make all happen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_histogram, "_COMPACT_ENTRIES", compact)
        patch.setattr(cell_histogram, "_SETTLED_ENTRIES", settled)
        patch.setattr(cell_histogram, "_LONG_RUN", long_run)
        counts, cells, values = CellHistogram(10), [], []
        for cell, size, spread, seed in parts:
            dice = np.random.default_rng(seed)
            some = np.minimum(cell + dice.integers(0, 3, size), 9)
            times = dice.random(size) * spread
            cells += some.tolist()
            values += times.tolist()
            counts.add(some, times)
        made = counts.histograms()
    assert counted(made) == plain(cells, values)
    for cell in range(10):
        own = [v for c, v in zip(cells, values, strict=True) if c == cell]
        assert made.sums[cell] == pytest.approx(sum(own))
        assert made.minima[cell] == min(own, default=np.inf)
        assert made.maxima[cell] == max(own, default=-np.inf)


@given(st.lists(st.integers(0, 600) | st.integers(0, 10**12)))
def test_squeezed_numbers_come_back(numbers):
    array = np.array(numbers, dtype=np.int64)
    assert Squeezed.of(array).restore().tolist() == numbers


def test_a_past_cell_costs_a_byte_a_bucket():
    """What makes the memory of a long run hardly grow."""
    dice, counts = np.random.default_rng(1), CellHistogram(200)
    for cell in range(200):
        counts.add_to_one(cell, dice.random(20_000) * 0.001)
    squeezed = [numbers for block in counts._blocks for numbers in (block._gaps, block._counts)]
    kept = sum(len(numbers.small) + numbers.large.nbytes for numbers in squeezed)
    entries = len(counts.histograms().counts)
    assert entries > 100_000
    assert kept <= entries
    assert sum(len(part.keys) for part in counts._recent) <= 2 * BUCKETS


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 0.4)), min_size=1, max_size=30), st.booleans())
def test_the_recorder_notes_groups_as_it_would_single_jobs(groups, in_pieces):
    grid = grid_of(np.array([0.0, 0.5, 1.0, 2.0, 5.0, np.inf]))
    whole, single = Recorder(grid), Recorder(grid)
    at, due = 0.0, 0.0
    for size, gap in groups:
        dues = due + np.arange(size) * 0.001
        due, at = dues[-1] + 0.001, max(at, dues[-1]) + gap
        whole.add_sent(dues, [at], [size])
        whole.take(confirmed(dues, at, at + 0.01))
        for one in dues:
            single.add_sent(np.array([one]), [at], [1])
            single.take(confirmed(np.array([one]), at, at + 0.01))
        if in_pieces:
            for _ in whole.tidy():
                pass
    for name in ("sent", "acked"):
        assert whole.counters[name].tolist() == single.counters[name].tolist()
    for name, made in whole.histograms().items():
        assert counted(made) == counted(single.histograms()[name]), name


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e9)), max_size=70), st.integers(2, 8))
def test_samples_are_bounded_and_keep_the_largest_of_each_gauge(readings, half):
    log = SampleLog(limit=2 * half)
    for n, (cpu, depth) in enumerate(readings):
        log.add(sample(float(n), depth, np.nan, cpu, 1.0))
    times, columns = log.columns()
    assert len(times) <= 2 * half
    assert times.tolist() == sorted(times.tolist())
    assert np.isnan(columns["queue_age"]).all()
    if readings:
        assert columns["cpu"].max() == max(cpu for cpu, _ in readings)
        assert columns["queue_depth"].max() == max(depth for _, depth in readings)
