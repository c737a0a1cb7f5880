"""Which link of a scale-up was slow, by looks at a queue and its workers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.judged import Glance, acked, record, steady

from plg.judge import bottleneck
from plg.judge.scaling import fit, scale_up, told
from plg.runner.recording import Recording


def ran(depth: Any, workers: Any, in_flight: Any = None, until: float = 30.0) -> Recording:
    """A run whose queue is looked at ten times a second, and whose workers twice."""
    held = in_flight or (lambda t: math.nan)
    glances = [
        Glance(t, queue_depth=depth(t), in_flight=held(t), workers=workers(t) if k % 5 == 0 else math.nan)
        for k in range(1, round(until * 10) + 1)
        for t in [round(k / 10, 6)]
    ]
    return record(steady(10), glances, start_depth=0, last_send_s=9.95)


def rise(peak: float, height: float = 100, start: float = 4.0, over: float = 5.0) -> Any:
    """A backlog from ``start`` on that is deepest at ``peak`` and gone ``over`` seconds later."""

    def depth(t: float) -> float:
        if t < start or t > peak + over:
            return 0.0
        return height * (t - start) / (peak - start) if t <= peak else height * (1 - (t - peak) / over)

    return depth


def test_a_late_decision_is_named() -> None:
    """Nobody came for ten seconds; the new workers took jobs at once."""
    found = scale_up(ran(rise(14.2), lambda t: 1 if t < 14 else 4, lambda t: 1 if t < 14.2 else 4))
    assert found is not None
    assert (found.slowest, found.before, found.most, found.deepest) == ("decision", 1, 4, 100)
    assert found.backlog_s == pytest.approx(4.1, abs=0.11)
    assert found.registered_s == pytest.approx(14.0, abs=0.11)
    assert found.first_job_s == pytest.approx(14.2, abs=0.11)
    assert found.drained_s == pytest.approx(19.2, abs=0.2)
    assert "the first new worker registered 9.8s later and had a job 200ms after that" in told(found)
    assert told(found).startswith("scaled up from 1 to 4 workers: a backlog began at 4.2s")
    assert "the slowest link was the decision" in told(found)


def test_workers_that_register_and_take_nothing_are_a_slow_start() -> None:
    found = scale_up(ran(rise(12.0), lambda t: 0 if t < 6 else 2, lambda t: 0 if t < 12 else 2))
    assert found is not None
    assert found.slowest == "start"
    assert found.first_job_s == pytest.approx(12.0, abs=0.11)


def test_too_few_workers_are_a_lack_of_capacity() -> None:
    """Both are there after a second and busy, and the backlog grows for ten more."""
    found = scale_up(ran(rise(15.0), lambda t: 0 if t < 5 else 2, lambda t: 0 if t < 5.2 else 2))
    assert found is not None
    assert found.slowest == "capacity"
    assert found.growing_s == pytest.approx(9.8, abs=0.3)
    assert "the backlog still grew for 9.8s" in told(found)


def test_without_jobs_in_flight_a_queue_that_shrinks_tells_of_the_first_job() -> None:
    found = scale_up(ran(rise(9.0), lambda t: 0 if t < 8 else 2))
    assert found is not None
    assert found.first_job_s == pytest.approx(9.1, abs=0.11)
    # Where others worked before, nobody can tell who took it.
    other = scale_up(ran(rise(9.0), lambda t: 1 if t < 8 else 2))
    assert other is not None
    assert other.first_job_s is None


def test_without_a_backlog_or_workers_there_is_nothing_to_say() -> None:
    assert scale_up(ran(lambda t: 1, lambda t: 1 if t < 8 else 2)) is None
    assert scale_up(ran(rise(9.0), lambda t: 2)) is None
    assert scale_up(ran(rise(9.0), lambda t: math.nan)) is None
    assert scale_up(record(steady(10))) is None


def test_a_fit_is_that_of_least_squares() -> None:
    t, y = np.array([0.0, 1.0, 2.0, 5.0]), np.array([1.0, 3.0, 5.0, 99.0])
    line = fit(t, y, 0.0, 3.0)
    assert line is not None
    assert line[2] == pytest.approx(2.0)
    assert line[1].tolist() == pytest.approx([1.0, 5.0])
    assert fit(t, y, 4.0, 9.0) is None


@pytest.mark.parametrize(
    ("wait", "run", "says"), [(0.004, 0.011, "keeping up"), (1.2, 0.011, "queue-bound"), (1.2, 0.2, "service-bound")]
)
def test_what_grew_is_named(wait: float, run: float, says: str) -> None:
    """By what the workers recorded of 100 jobs before the stampede and 100 in it; made of latencies here."""

    def times(calm: float, rush: float) -> Any:
        jobs = [acked(k / 25, service=calm) for k in range(100)] + [acked(6 + k / 50, service=rush) for k in range(100)]
        return record(jobs).histograms["latency"]

    base = record(steady(10))
    base.histograms["queue_wait_least"], base.histograms["run_time"] = times(0.003, wait), times(0.01, run)  # type: ignore[index]
    said = bottleneck.sentence(base)
    assert said.startswith(says)
    assert "in doors, " in said
    assert bottleneck.sentence(record(steady(10))) == ""
