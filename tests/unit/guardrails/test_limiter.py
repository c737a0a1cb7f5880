"""The limiter against a server that executes each job at any moment between its sending and its answer."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plg.guardrails.limiter import RateLimiter, whole_jobs


@given(
    st.floats(0.5, 300),
    st.floats(0.05, 2),
    st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 50), st.floats(0, 0.5), st.floats(0, 1)), max_size=60),
)
def test_no_window_of_the_server_ever_holds_more_than_the_limit(max_rate, window, steps):
    limiter = RateLimiter(max_rate, window)
    now, answer_at, flights, executed = 0.0, 0.0, [], []
    for pause, wanted, delay, where in steps:
        now += pause
        while flights and flights[0][1] <= now:
            jobs, at = flights.pop(0)
            limiter.answered(jobs, at)
        jobs = min(wanted, limiter.allowance(now))
        if jobs > 0:
            limiter.leave(jobs)
            answer_at = max(answer_at, now + delay)
            flights.append((jobs, answer_at))
            executed += [now + where * (answer_at - now)] * jobs
    executed.sort()
    capacity = math.ceil(max_rate * window - 1e-6)
    width = max(window, capacity / max_rate)
    for i, start in enumerate(executed):
        inside = bisect_left(executed, start + width - 1e-9) - i
        assert inside <= capacity


def test_the_whole_allowance_is_given_when_nothing_left_recently():
    limiter = RateLimiter(100, 1.0)
    assert limiter.allowance(0.0) == 100
    limiter.leave(100)
    assert limiter.allowance(0.5) == 0
    limiter.answered(100, 0.6)
    assert limiter.allowance(1.59) == 0
    assert limiter.next_release() == 1.6
    assert limiter.allowance(1.6) == 100


@pytest.mark.parametrize(
    ("max_rate", "window", "jobs", "seconds"),
    [
        (15, 0.1, 2, 2 / 15), (10, 0.1, 1, 0.1), (0.25, 1.0, 1, 4.0), (500, 1.0, 500, 1.0), (0.3, 10.0, 3, 10.0),
        (1e9, 1.0, 10**9, 1.0), (1e9 / 3, 3.0, 10**9, 3.0), (0, 1.0, 0, math.inf),
    ],
)  # fmt: skip
def test_a_window_holds_whole_jobs(max_rate, window, jobs, seconds):
    assert whole_jobs(max_rate, window) == (jobs, pytest.approx(seconds, rel=1e-9))


def test_below_one_job_a_window_jobs_still_leave_one_by_one():
    limiter = RateLimiter(0.25, 1.0)
    assert limiter.allowance(0.0) == 1
    limiter.leave(1)
    limiter.answered(1, 0.0)
    assert limiter.allowance(3.9) == 0
    assert limiter.allowance(4.0) == 1


def test_a_limit_of_zero_lets_nothing_leave():
    assert RateLimiter(0, 1.0).allowance(1e9) == 0


@given(st.floats(0.5, 300), st.floats(0.05, 2), st.floats(0, 1e4))
def test_whoever_wakes_at_the_promised_moment_finds_room(max_rate, window, now):
    limiter = RateLimiter(max_rate, window)
    jobs = limiter.allowance(now)
    limiter.leave(jobs)
    limiter.answered(jobs, now)
    release = limiter.next_release()
    assert release is not None
    assert limiter.allowance(release) == jobs
