"""The figures of the benchmark: what the server saw against a schedule, by schedules whose error is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arrivals import arrival_times, fit, hold, ramp, steady, window_errors
from bench.server import QUEUE, Counter, Monitor, command, private_server


def test_the_monitor_shows_every_value_with_its_moment():
    values = [b'{"a":"b","c":"\\" \\""}', b"x y", b'""', b"\r\n\x00\xff"]
    with private_server() as server:
        with Monitor(server) as monitor:
            server.ask(b"LPUSH", QUEUE.encode(), *values)
            server.ask(b"GET", b"LPUSH")
            for value in values:
                server.ask(b"rpush", QUEUE.encode(), value)
        times = arrival_times(monitor.text())
        length = int(server.ask(b"LLEN", QUEUE.encode())[1:-2])
        now = [int(word) for word in server.ask(b"TIME").split(b"\r\n")[2:5:2]]
    assert len(times) == length == 8
    assert len(set(times[:4])) == 1
    assert np.all(np.diff(times) >= 0)
    assert 0 <= now[0] + now[1] / 1e6 - times[-1] < 10


def test_the_counter_sees_the_queue_grow():
    with private_server() as server:
        with server.connect() as connection, Counter(server, every=0.02) as counter:
            while len(counter.moments) < 4:
                connection.sendall(command(b"LPUSH", QUEUE.encode(), b"x"))
                connection.recv(64)
        assert server.cpu_s() > 0
    lengths = [length for _, length in counter.moments]
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]


@given(st.floats(10, 5000), st.floats(1, 20))
def test_the_ramp_is_due_where_its_area_says(peak, duration):
    shape = ramp(peak, duration)
    k = np.arange(0, shape.jobs, max(1, shape.jobs // 50), dtype=np.float64)
    assert shape.count(shape.due(k)) == pytest.approx(k + 0.5, rel=1e-6)
    assert float(shape.count(np.array([duration]))[0]) == pytest.approx(peak * duration / 2)


@given(st.sampled_from([steady(1000, 2), ramp(1000, 4), steady(50, 3)]), st.floats(0, 0.02), st.floats(0, 1e9))
def test_a_constant_delay_is_an_error_only_for_who_said_when_it_began(shape, delay, origin):
    times = origin + shape.due(np.arange(shape.jobs, dtype=np.float64)) + delay
    held = fit(times, shape, begun=origin)
    assert held.p50_ms == pytest.approx(delay * 1000, abs=1e-3)
    assert held.max_ms == pytest.approx(delay * 1000, abs=1e-3)
    loose = fit(times, shape)
    assert loose.max_ms == pytest.approx(0, abs=1e-3)
    assert loose.deviation == pytest.approx(0, abs=1.5 / shape.jobs)


def test_bursts_show_as_half_their_distance():
    shape = steady(1000, 10)
    due = shape.due(np.arange(10_000, dtype=np.float64))
    seen = fit(np.floor(due / 0.02) * 0.02, shape)
    assert seen.p50_ms == pytest.approx(5, abs=0.6)
    assert seen.p99_ms == pytest.approx(10, abs=0.6)
    assert seen.deviation == 0
    assert seen.window_deviation == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("share", [0.9, 0.99])
def test_jobs_that_never_came_are_a_deviation(share):
    shape = steady(1000, 10)
    due = shape.due(np.arange(10_000, dtype=np.float64))
    seen = fit(due[: int(10_000 * share)], shape, begun=0.0)
    assert seen.deviation == pytest.approx(share - 1, abs=1e-6)
    assert seen.windows_off == pytest.approx(1 - share, abs=0.011)


def test_too_slow_and_too_fast_are_a_deviation():
    shape = steady(1000, 10)
    k = np.arange(12_000, dtype=np.float64)
    for begun in (0.0, None):
        for rate in (1020, 950, 800):
            seen = fit((k + 0.5) / rate, shape, begun=begun)
            assert seen.deviation == pytest.approx(rate / 1000 - 1, abs=0.003)
            assert seen.window_deviation == pytest.approx(abs(rate / 1000 - 1), abs=0.02)


def test_no_arrival_is_no_fit():
    with pytest.raises(ValueError, match="nothing"):
        fit(arrival_times(b"+OK\r\n"), steady(10, 1))


def test_one_job_is_forgiven_in_a_small_window_only():
    off = window_errors(np.array([49.0, 48.0, 999.0, 0.0]), np.array([50.0, 50.0, 1000.0, 0.0]))
    assert off == pytest.approx([0, 0.02, 0.001, 0])


@given(st.floats(-0.2, 0.2), st.floats(1e3, 2e6))
def test_a_held_rate_is_read_from_counts(error, rate):
    at = 100 + np.arange(40) * 0.1
    rising = np.clip(at - 100.5, 0, 3) * rate * (1 + error)
    seen = hold(list(zip(at.tolist(), rising.tolist(), strict=True)), rate, 0.1, 0.95)
    assert seen["deviation"] == pytest.approx(error, abs=1e-6)
    assert seen["window_deviation"] == pytest.approx(abs(error), abs=1e-6)
    assert seen["windows_off"] == (1.0 if abs(error) > 0.0101 else pytest.approx(seen["windows_off"]))


def test_too_few_looks_are_no_rate():
    with pytest.raises(ValueError, match="few"):
        hold([(1.0, 0.0), (1.1, 5.0), (1.2, 9.0)], 50, 0, 1)
