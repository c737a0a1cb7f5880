"""The queue after the last send, on a virtual clock: what is looked at, for how long, and what is made of it."""

from __future__ import annotations

import math

import pytest
from support.virtual_runs import simulate

from plg.runner.observer import Hooks
from plg.runner.watch import LOOK_PATIENCE, Watch
from plg.stop import Stop
from plg.testing import Gauges, Server, VirtualClock, sample

STEADY = {"type": "steady", "base_rate": 100, "duration": 2}
THEN_PAUSE = {"type": "custom", "phases": [STEADY, {"type": "steady", "base_rate": 0, "duration": 3}]}


def depth(of):
    """Gauges that read ``of`` the moment, or fail where that is None."""
    return Gauges(lambda t: sample(t, math.nan if of(t) is None else float(of(t)), 0.0, 0.1, 1e6, asked=t))


def drains_at(moment, left=50):
    return depth(lambda t: 0 if t >= moment else left)


def test_the_queue_may_drain_while_the_plan_still_pauses():
    recording, _, _ = simulate(THEN_PAUSE, gauges=drains_at(2.3), watch=Watch(0, 10))
    assert recording.last_send_s == pytest.approx(1.995, abs=0.002)
    assert recording.drain_s == pytest.approx(0.305, abs=0.11)
    assert recording.ended_s == 5.0
    assert recording.sample_times[-1] < 5.1, "nothing is left to watch for"


def test_the_watch_lasts_until_the_queue_is_back_or_it_is_over():
    recording, _, _ = simulate(STEADY, gauges=drains_at(7.0), watch=Watch(0, 30))
    assert (recording.drain_s, recording.end_depth) == (pytest.approx(5.0, abs=0.15), 0)
    recording, _, _ = simulate(STEADY, gauges=drains_at(1e9), watch=Watch(0, 3))
    assert (recording.drain_s, recording.end_depth) == (None, 50)
    assert recording.drain_waited_s == pytest.approx(3.0, abs=0.15)
    recording, _, _ = simulate(STEADY, gauges=drains_at(1e9), watch=Watch(50, 3))
    assert recording.drain_s == pytest.approx(0.0, abs=0.05), "as deep as at the start"


def test_without_anything_to_wait_for_there_is_one_look_after_the_last_answer():
    recording, _, _ = simulate(STEADY, gauges=drains_at(1e9), watch=Watch(0, 0))
    assert recording.end_depth == 50
    assert recording.last_send_s < recording.sample_times[-1] < 2.05


def test_looks_that_fail_do_not_say_that_jobs_waited():
    recording, _, _ = simulate(STEADY, gauges=depth(lambda t: None if t > 1 else 5), watch=Watch(0, 3))
    assert (recording.drain_s, recording.drain_waited_s, recording.end_depth) == (None, None, None)
    assert recording.last_send_s is not None
    recording, _, _ = simulate(STEADY, gauges=depth(lambda t: None if t > 3 else 5), watch=Watch(0, 6))
    assert recording.drain_waited_s == pytest.approx(1.0, abs=0.1)


def test_a_look_that_never_ends_is_given_up():
    class Silent(Gauges):
        def poll(self, now):
            return []

        def hurry(self):
            pass

    clock = VirtualClock()
    simulate(STEADY, server=Server(clock), gauges=Silent(), watch=Watch(0, 0))
    assert clock.now() <= 2 + LOOK_PATIENCE + 0.1


@pytest.mark.parametrize("when", [1.0, 4.0])
def test_a_signal_ends_the_watch(when):
    clock = VirtualClock()
    hooks = Hooks(interrupted=lambda: Stop.signal("SIGINT") if clock.now() > when else None)
    recording, _, _ = simulate(STEADY, server=Server(clock), gauges=drains_at(1e9), watch=Watch(0, 60), hooks=hooks)
    assert recording.stop == "signal"
    assert clock.now() < when + 1.0
    assert recording.end_depth == 50, "what was left is known all the same"


def test_a_line_that_may_stop_the_run_holds_during_the_watch():
    asked = []

    def breach(live):
        asked.append(live.now)
        return "queue_age < 3s" if live.now > 4 else None

    clock = VirtualClock()
    recording, _, _ = simulate(
        STEADY, server=Server(clock), gauges=drains_at(1e9), watch=Watch(0, 60), hooks=Hooks(watch=breach)
    )
    assert (recording.stop, recording.stop_detail) == ("expectation", "queue_age < 3s")
    assert 4 < clock.now() < 4.5
    assert recording.total("cancelled") == 0
