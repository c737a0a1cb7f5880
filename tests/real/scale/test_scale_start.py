"""A common moment to start at."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plg.runner.start import Start, read_start, utc, wait_until
from plg.stop import Stop
from plg.testing import VirtualClock

NOON = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def clock() -> VirtualClock:
    return VirtualClock(start=50.0, wall=NOON)


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("+5s", 5.0),
        ("+1m30s", 90.0),
        ("+250ms", 0.25),
        ("2027-01-15T08:00:10Z", 10.0),
        ("2027-01-15T08:00:10.250Z", 10.25),
        ("2027-01-15T08:00:10", 10.0),
        ("2027-01-15 08:00:10", 10.0),
        ("2027-01-15T10:00:10+02:00", 10.0),
        ("2027-01-15T07:59:59.500Z", -0.5),
    ],
)
def test_a_moment_is_on_both_clocks(text: str, ahead: float) -> None:
    start = read_start(text, clock())
    assert start.wall == pytest.approx(NOON + ahead)
    assert start.at == pytest.approx(50.0 + ahead)


@pytest.mark.parametrize(
    "text", ["", "soon", "+", "+5", "+5 fortnights", "5s", "12:30", "2027-13-01T00:00:00Z", "+-5s"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time to start at"):
        read_start(text, clock())


def test_the_past_is_refused_beyond_a_second() -> None:
    with pytest.raises(ValueError, match=r"is 1\.5s in the past"):
        read_start("2027-01-15T07:59:58.500Z", clock())


@settings(max_examples=60)
@given(st.integers(0, 10_000_000))
def test_the_moment_as_it_is_told_is_the_moment(ahead_ms: int) -> None:
    start = read_start(f"+{ahead_ms}ms", clock())
    again = read_start(start.text(), clock())
    assert again.wall == pytest.approx(start.wall, abs=0.0011)
    assert start.text() == utc(start.wall)


def test_a_wait_ends_at_the_moment_and_not_before() -> None:
    c = clock()
    assert wait_until(Start(NOON + 7, 57.0).at, c, lambda: None) is None
    assert c.now() == pytest.approx(57.0)


def test_a_wait_is_ended_by_an_interruption_at_once() -> None:
    c = clock()
    assert wait_until(1e6, c, lambda: Stop.signal("SIGINT") if c.now() > 52 else None) == Stop("signal", "SIGINT")
    assert 52 < c.now() < 52.2
    assert wait_until(0.0, c, lambda: Stop.signal("SIGTERM")) == Stop("signal", "SIGTERM"), (
        "also where there is nothing to wait for"
    )


def test_a_wall_clock_that_is_set_meanwhile_moves_nothing() -> None:
    c = clock()
    start = read_start("2027-01-15T08:00:10Z", c)
    c._wall_offset += 3600
    assert wait_until(start.at, c, lambda: None) is None
    assert c.now() == pytest.approx(60.0)
