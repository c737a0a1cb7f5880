"""Clocks that jump: the wall clock is told on jobs and steers nothing; a generator that slept says so."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.live import adds_up, agrees, drive, jobs_in, seqs_in, steady
from support.virtual_runs import simulate

from plg.clock import MonotonicClock
from plg.judge import decide
from plg.pacing import PACINGS
from plg.runner.observer import Hooks
from plg.testing import Server, VirtualClock


class Stepped(MonotonicClock):
    """The machine's clock, its wall stepped by somebody."""

    offset = 0.0

    def wall(self) -> float:
        return time.time() + self.offset


def test_a_wall_clock_stepped_back_and_forth(server):
    clock = Stepped()
    happen = [
        (0.5, lambda: setattr(clock, "offset", -3600.0)),
        (1.0, lambda: setattr(clock, "offset", 86_400.0)),
    ]
    begin = time.time()
    ran = drive(server.url(), steady(400, 1.5), clock=clock, happen=happen)
    agrees(ran, seqs_in(server))
    assert ran.total("acked") == ran.plan.planned == 600
    assert ran.total("held") == 0
    assert ran.recording.histograms["latency"].over(ran.recording.whole()).max < 0.5
    assert ran.recording.ended_s == pytest.approx(1.5, abs=0.05)
    stamps = np.array([json.loads(job)["enqueued_at"] for job in jobs_in(server)]) - begin
    for offset, share in ((0.0, 1 / 3), (-3600.0, 1 / 3), (86_400.0, 1 / 3)):
        # Jobs are made up to two stretches ahead, by the clock as it was then.
        ahead = 2 * PACINGS["economical"].ahead / 1.5
        assert np.mean(np.abs(stamps - offset) < 30) == pytest.approx(share, abs=ahead + 0.02)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 2.5), st.floats(0.3, 90), st.floats(50, 2000), st.floats(0.05, 5))
def test_a_generator_that_slept_is_invalid_and_sends_no_burst(asleep_at, seconds, rate, max_lag):
    """The machine is suspended, a debugger holds the process, the container is frozen: all look like this."""
    clock = VirtualClock()
    server = Server(clock)
    slept = []

    def sleep_once():
        if not slept and clock.now() >= asleep_at:
            slept.append(True)
            clock.advance(seconds)

    recording, server, plan = simulate(
        steady(rate, 3), server=server, hooks=Hooks(interrupted=sleep_once), max_lag=max_lag
    )
    adds_up(recording)
    assert recording.total("planned") == plan.planned
    missed = min(seconds, 3 - asleep_at)
    # All that was due in the sleep, but for the last moments before waking, plg itself held up.
    assert recording.total("held") >= (missed - 0.16) * rate - 2
    assert recording.total("late") >= (min(missed, seconds - max_lag) - 0.16) * rate - 2
    verdict = decide((), recording)
    if (missed - 0.16) * rate - 2 > 0.011 * plan.planned:
        assert (verdict.verdict, verdict.exit_code) == ("invalid", 5)
