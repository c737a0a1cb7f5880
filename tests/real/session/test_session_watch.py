"""What real runs say of the queue after the last send: ages and depths of their own jobs, and what nobody saw."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from support.session_runs import scenario

from plg import session
from plg.stop import Stop
from plg.targets.worker import ReferenceWorkers

MADE = 'payload { n: "${seq}", meta: { made: "${now_ms}" } }'


def results(played) -> dict[str, tuple[str, float | None]]:
    return {result.text: (result.verdict, result.observed) for result in played.outcome.expectations}


def test_jobs_that_wait_after_the_last_send_are_judged(play):
    """100 jobs in a second, 50 a second taken: the last waits a second for its turn."""
    traffic = "calm: steady 5/s over 200ms then rush: steady 100/s over 1s"
    lines = (
        "queue_age < 300ms during rush  queue_age < 300ms  queue_age < 300ms during calm  queue_depth < 10 during rush"
    )
    played = play(scenario(traffic, "workers 1 each 20ms", f"expect {{ {lines} drain_time < 5s }}"))
    found = results(played)
    for line in ("queue_age < 300ms during rush", "queue_age < 300ms"):
        verdict, observed = found[line]
        assert (verdict, observed) == ("fail", pytest.approx(1.0, abs=0.35))
    assert found["queue_age < 300ms during calm"][0] == "pass"
    assert found["drain_time < 5s"][1] == pytest.approx(1.0, abs=0.3)
    assert played.outcome.queue.said == ""


@pytest.mark.parametrize("where", ['queue "q"', 'stream "s"'])
def test_raw_jobs_have_their_true_age(play, where):
    job = f"job raw {{ {where} encoding raw enqueued_at payload.meta.made {MADE} }}"
    played = play(scenario("steady 100/s over 1s", "workers 1 each 20ms", "expect { queue_age < 10s }", jobs=job))
    verdict, observed = results(played)["queue_age < 10s"]
    assert (verdict, observed) == ("pass", pytest.approx(1.0, abs=0.35))
    assert played.outcome.workers.wait_s["max"] == pytest.approx(1.0, abs=0.35)


def test_raw_jobs_that_do_not_tell_their_age_have_none(play):
    job = 'job raw { queue "q" encoding raw payload { n: "${seq}" } }'
    played = play(scenario("steady 100/s over 1s", "workers 1 each 20ms", "expect { queue_age < 10s }", jobs=job))
    assert results(played)["queue_age < 10s"] == ("no_data", None)
    assert played.outcome.exit_code == 3


def test_the_drain_is_seen_in_the_pause_at_the_end(play):
    played = play(
        scenario("steady 50/s over 500ms then pause 1500ms", "workers 2 each 1ms", "expect { drain_time < 500ms }")
    )
    played.kept()
    assert played.outcome.duration_s == 2


def test_nobody_worked_and_the_run_is_no_longer_for_it(play):
    begin = time.monotonic()
    played = play(scenario("steady 100/s over 1s", "expect { errors == 0 }"))
    assert time.monotonic() - begin < 1.5
    outcome = played.outcome
    assert (outcome.queue.nobody_worked, outcome.queue.end) == (True, 100)
    assert outcome.queue.said.startswith("no job was taken from the queue: 100 jobs still wait, the oldest ")
    assert outcome.queue.oldest_s == pytest.approx(1.0, abs=0.2)


def test_what_was_there_before_is_not_of_the_run(play, client):
    client.lpush("q", *["old"] * 30)
    outcome = play(scenario("steady 100/s over 300ms", "expect { queue_depth < 100 }")).outcome
    assert outcome.queue.nobody_worked
    assert "60 jobs still wait (30 from before the run)" in outcome.queue.said
    client.rpop("q", 5)
    outcome = play(
        scenario("steady 100/s over 300ms", "workers 1 each 50ms", "expect { queue_depth < 500 }"), force=True
    ).outcome
    assert not outcome.queue.nobody_worked
    assert outcome.queue.said.startswith("still waiting: ")


def test_a_drain_that_nobody_may_watch_has_no_data(play, client, server):
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all")
    timer = threading.Timer(0.6, client.execute_command, ("ACL", "SETUSER", "app", "-llen"))
    timer.start()
    try:
        lines = "expect { drain_time < 1s  queue_depth < 200  queue_depth < 200 during calm }"
        played = play(
            scenario("calm: steady 100/s over 300ms then steady 100/s over 2s", lines),
            target=f"redis://app:pw@127.0.0.1:{server.port}/0",
        )
    finally:
        timer.join()
    verdicts = {text: verdict for text, (verdict, _) in results(played).items()}
    # The jobs of the calm may have waited on: nobody saw that either.
    assert set(verdicts.values()) == {"no_data"}
    assert played.outcome.queue.said == "the queue could not be looked at after the last send"


def test_an_interrupt_ends_the_watch(play):
    begin = time.monotonic()
    observer = session.Observer(interrupted=lambda: Stop.signal("SIGTERM") if time.monotonic() - begin > 1.5 else None)
    outcome = play(
        scenario("steady 100/s over 300ms", "watch 60s", "expect { drain_time < 9s }"), observer=observer
    ).outcome
    assert time.monotonic() - begin < 2.5
    assert (outcome.verdict, outcome.exit_code) == ("interrupted", 143)
    assert outcome.queue.end == 30


@pytest.mark.parametrize("acknowledged", [0, 30])
def test_jobs_of_a_stream_that_were_taken_and_not_acknowledged_are_not_untaken(play, client, acknowledged):
    """A worker that read all it could and acknowledged few: the jobs still wait, but somebody took them."""
    client.xgroup_create("s", "theirs", "0", mkstream=True)

    def work() -> None:
        given = 0
        while given < 50:
            for _, entries in client.xreadgroup("theirs", "w", {"s": ">"}, count=10, block=100) or ():
                for entry, _ in entries:
                    given += 1
                    if given <= acknowledged:
                        client.xack("s", "theirs", entry)

    worker = threading.Thread(target=work)
    worker.start()
    stream = 'job job { stream "s" payload { n: "${seq}" } }'
    traffic = "steady 100/s over 500ms then pause 300ms"
    outcome = play(scenario(traffic, "expect { queue_depth < 500 }", jobs=stream)).outcome
    worker.join(10)
    assert not outcome.queue.nobody_worked
    left = 50 - acknowledged
    assert outcome.queue.said.startswith(f"still waiting: {left} jobs, the oldest ")
    assert outcome.queue.said.endswith(f", {left} of them taken and not acknowledged")


def test_jobs_of_a_stream_that_a_dead_worker_left_behind_do_not_hide_that_nobody_works(play, client):
    client.xgroup_create("s", "theirs", "0", mkstream=True)
    for _ in range(5):
        client.xadd("s", {"job": "x"})
    client.xreadgroup("theirs", "gone", {"s": ">"}, count=5)
    stream = 'job job { stream "s" payload { n: "${seq}" } }'
    outcome = play(scenario("steady 100/s over 500ms", "expect { queue_depth < 500 }", jobs=stream)).outcome
    assert outcome.queue.nobody_worked
    assert outcome.queue.said.startswith("no job was taken from the queue: 55 jobs still wait (5 from before the run)")


@pytest.mark.parametrize(
    ("number", "back"),
    [(signal.SIGSTOP, True), (signal.SIGSTOP, False), (signal.SIGKILL, False)],
    ids=["stopped for a while", "stopped for good", "killed"],
)
def test_plgs_own_workers_that_stand_still_or_die_are_no_fault_of_the_target(play, monkeypatch, number, back):
    start, timers = ReferenceWorkers.start, []

    def struck(self):
        start(self)
        timers.append(threading.Timer(0.7, os.kill, (self.pid, number)))
        if back:
            timers.append(threading.Timer(1.9, os.kill, (self.pid, signal.SIGCONT)))
        for timer in timers:
            timer.start()

    monkeypatch.setattr(ReferenceWorkers, "start", struck)
    lines = "expect { queue_depth < 30  queue_age < 500ms  drain_time < 500ms  errors == 0 }"
    outcome = play(scenario("steady 100/s over 2s", "workers 4 each 1ms", lines, "watch 2s")).outcome
    for timer in timers:
        timer.join()
    [stall] = [stall for stall in outcome.stalls if stall.workers]
    assert stall.start_s == pytest.approx(0.6, abs=0.3)
    if back:
        assert stall.length_s == pytest.approx(1.2, abs=0.3)
    else:
        assert stall.end_s > 3.5
        assert any(words.startswith("what the reference workers did is not known: they ") for words in outcome.warnings)
    verdicts = [(result.verdict, result.invalid) for result in outcome.expectations]
    assert verdicts == [("no_data", True)] * 3 + [("pass", False)]
    assert (outcome.exit_code, outcome.verdict) == (5, "invalid")
    assert "plg's own reference workers took no jobs for " in outcome.reason
