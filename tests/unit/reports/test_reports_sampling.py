from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plg.reports.axes import TimeAxis, bridge, time_scale
from plg.reports.sampling import column, downsample, highest, outline, sparkline

BLOCKS = "▁▂▃▄▅▆▇█"
values = st.lists(st.one_of(st.floats(0, 1e9), st.just(float("nan"))), min_size=1, max_size=400)


@settings(max_examples=150, deadline=None)
@given(values, st.integers(4, 60))
def test_downsampling_loses_no_extreme_and_keeps_order(ys: list[float], most: int) -> None:
    y = np.array(ys)
    t = np.arange(len(y), dtype=float)
    times, kept = downsample(t, y, most)
    assert len(times) == len(kept) <= max(most, 4)
    assert (np.diff(times) > 0).all()
    assert times[0] == t[0]
    assert times[-1] == t[-1]
    np.testing.assert_array_equal(kept, y[times.astype(int)])
    if np.isfinite(y).any():
        assert np.nanmax(kept) == np.nanmax(y)
        assert np.nanmin(kept) == np.nanmin(y)


def test_each_stretch_keeps_its_own_extremes() -> None:
    t = np.arange(10_000, dtype=float)
    y = np.sin(t / 50)
    spikes = np.arange(500, 10_000, 1000)
    y[spikes] = 9.0
    times, kept = downsample(t, y, 200)
    assert set(times[kept == 9.0]) == set(spikes.astype(float))


def test_a_gap_stays_a_gap() -> None:
    t = np.arange(1000, dtype=float)
    y = np.ones(1000)
    y[400:600] = np.nan
    times, kept = downsample(t, y, 40)
    holes = times[np.isnan(kept)]
    assert len(holes) >= 2
    assert (holes >= 400).all()
    assert (holes < 600).all()


@settings(max_examples=150, deadline=None)
@given(values, st.integers(1, 80))
def test_a_sparkline_shows_its_peak_as_a_full_block(ys: list[float], width: int) -> None:
    y = np.array(ys)
    line = sparkline(y, width)
    assert len(line) == width
    assert set(line) <= {*BLOCKS, " "}
    peak = np.nanmax(y) if np.isfinite(y).any() else 0
    assert ("█" in line) == (peak > 0)


@settings(max_examples=100, deadline=None)
@given(values, st.integers(1, 80))
def test_columns_hold_the_highest_value_of_their_stretch(ys: list[float], columns: int) -> None:
    y = np.array(ys)
    tops = highest(y, columns)
    assert len(tops) == columns
    if columns <= len(y) and np.isfinite(y).any():
        assert np.nanmax(tops) == np.nanmax(y)


def test_a_sparkline_of_nothing_is_blank() -> None:
    assert sparkline(np.zeros(0), 5) == "     "
    assert sparkline(np.zeros(3), 3) == "▁▁▁"
    assert sparkline(np.array([1.0, 2.0]), 2, ascii_only=True) == "=#"


def test_a_hair_above_a_step_is_not_a_step() -> None:
    assert sparkline(np.array([200.0, 200.0000000001, 400.0]), 3) == "▄▄█"


def test_an_absent_column_is_all_nan() -> None:
    assert np.isnan(column({"t_s": [0.0, 1.0]}, "queue_depth")).all()
    assert column({"t_s": [0.0, 1.0], "a": [None, 2.0]}, "a").tolist()[1] == 2.0


def test_sparse_samples_are_joined_but_not_over_a_hole() -> None:
    t = np.arange(100, dtype=float)
    y = np.full(100, np.nan)
    y[0:40:4] = 1.0
    y[80:100:4] = 2.0
    times, joined = bridge(t, y)
    assert np.isnan(joined).sum() == 1
    assert np.isfinite(joined).sum() == 15
    assert (np.diff(times) >= 0).all()


@pytest.mark.parametrize(
    ("largest", "suffix"), [(2e-4, "us"), (0.2, "ms"), (12.0, "s"), (4000.0, " min"), (90_000.0, " h")]
)
def test_the_unit_fits_the_largest_value(largest: float, suffix: str) -> None:
    assert time_scale(largest).suffix == suffix


def test_the_clock_never_writes_a_moment_that_could_be_read_as_a_year() -> None:
    axis = TimeAxis(36_000.0)
    places = axis.places(np.array([1.0, 3.0, 9.999]))
    assert all(len(str(int(place))) > 4 for place in places)
    assert places[1] - places[0] == 2000
    assert TimeAxis(16.0).places(np.array([0.25])) == [0.25]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 9), st.sampled_from([1.0, 5.0])), min_size=2, max_size=400))
def test_an_outline_keeps_what_a_picture_shows(values: list[float | None]) -> None:
    y = np.array([np.nan if v is None else v for v in values])
    t = np.arange(len(y)) * 0.5
    columns = 20
    kept_t, kept_y = outline(t, y, columns)
    where = np.searchsorted(t, kept_t)
    assert np.array_equal(y[where], kept_y, equal_nan=True)
    assert len(kept_t) <= 4 * (columns + 1) + np.isnan(y).sum()
    assert (kept_t[0], kept_t[-1]) == (t[0], t[-1])
    held = y[where][np.searchsorted(kept_t, t, side="right") - 1]
    for stripe in range(columns):
        inside = np.floor(t / t[-1] * columns) == stripe
        drawn = inside & np.isin(t, kept_t)
        if np.isfinite(y[inside]).any() and drawn.any():
            assert np.nanmax(y[inside]) <= max(np.nanmax(y[drawn], initial=0), np.nanmax(held[inside], initial=0))


def test_the_edges_of_a_burst_stay_upright() -> None:
    y = np.where((np.arange(36_000) // 900) % 8 == 0, 450.0, 50.0)
    t, kept = outline(np.arange(36_000.0), y, 250)
    jumps = np.flatnonzero(np.diff(kept))
    assert len(jumps) == 10 - 1
    assert set(np.diff(t)[jumps]) == {1.0}
