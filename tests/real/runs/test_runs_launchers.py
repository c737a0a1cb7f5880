"""An order run in this process, in a child and several at once: events, stops, and what a slow listener costs."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from plg.runs.events import Event, Finished, Ready, Refused, Stopping, Windows, event_to
from plg.runs.inline import Inline
from plg.runs.launcher import Launcher, NoOutcome, launcher_for
from plg.runs.process import ProcessLauncher
from plg.stop import Stop


@pytest.fixture(params=["inline", "process"])
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Launcher:
    return Inline(every=0.1) if request.param == "inline" else ProcessLauncher(tmp_path)


def await_event(heard: list[Event], kind: type[Event]) -> Event:
    until = time.monotonic() + 20
    while True:
        for event in list(heard):
            if isinstance(event, kind):
                return event
        assert time.monotonic() < until, heard
        time.sleep(0.01)


def test_a_run_tells_how_it_goes_in_order_and_on_no_thread_that_sends(launcher, order_for, server):
    heard: list[Event] = []
    threads = set()

    def listen(event: Event) -> None:
        heard.append(event)
        threads.add(threading.current_thread().name)

    handle = launcher.launch(order_for("steady 200/s over 1200ms", "errors == 0 acked == 1"), listen)
    ready = await_event(heard, Ready)
    assert (ready.name, ready.plan["planned"], len(ready.digest)) == ("s", 240, 16)
    time.sleep(0.2)
    assert server.number("EXISTS", "q") == 0, "nothing leaves before it is let begin"
    handle.begin()
    outcome = handle.outcome()
    await_event(heard, Finished)
    assert outcome.ledger.acked == server.number("LLEN", "q") == 240
    kinds = [event.kind for event in heard]
    assert kinds[0] == "ready"
    assert kinds[-3:] == ["judged", "judged", "finished"]
    assert set(kinds[1:-3]) == {"windows"}
    rows = [each for event in heard if isinstance(event, Windows) for each in event.rows]
    assert [each["t"] for each in rows] == sorted(each["t"] for each in rows)
    assert rows[-1]["planned" if "planned" in rows[-1] else "duration"] == 1.2
    assert heard[-1] == Finished(outcome.verdict, outcome.exit_code, outcome.reason)
    assert not threads & {"MainThread", "plg-run"}
    for event in heard:
        json.dumps(event_to(event))


def test_who_stops_a_run_stands_in_its_outcome(launcher, order_for, server):
    heard: list[Event] = []
    handle = launcher.launch(order_for("steady 100/s over 30s"), heard.append)
    await_event(heard, Ready)
    handle.begin()
    await_event(heard, Windows)
    begin = time.monotonic()
    handle.stop(Stop("user", "enough seen", "ann@example.org"))
    handle.stop(Stop("user", "", "another"))
    outcome = handle.outcome()
    assert time.monotonic() - begin < 3
    assert outcome.stop is not None
    assert (outcome.stop.name, outcome.stop.by) == ("user", "ann@example.org")
    assert (outcome.verdict, outcome.exit_code) == ("interrupted", 130)
    assert outcome.reason.startswith("stopped by ann@example.org at ")
    assert outcome.ledger.acked == server.number("LLEN", "q") > 0
    assert await_event(heard, Stopping) == Stopping("user", "enough seen", "ann@example.org")


def test_a_guardrail_is_told_when_it_acts(launcher, order_for, server):
    heard: list[Event] = []
    handle = launcher.launch(order_for("steady 100/s over 20s", limits="max_queue_depth 50"), heard.append)
    handle.begin()
    outcome = handle.outcome()
    await_event(heard, Finished)
    assert (outcome.verdict, outcome.stop.name, outcome.stop.by) == ("stopped", "guardrail", "max_queue_depth")
    told = [(e.kind, getattr(e, "action", "")) for e in heard if e.kind in ("hit", "stopping")]
    assert told[-2:] == [("hit", "stop"), ("stopping", "")], told


def test_an_expectation_that_ends_the_run_is_told_before_the_end(launcher, order_for):
    heard: list[Event] = []
    handle = launcher.launch(order_for("steady 200/s over 20s", "acked < 50 or stop"), heard.append)
    handle.begin()
    outcome = handle.outcome()
    await_event(heard, Finished)
    assert (outcome.exit_code, outcome.stop.name, outcome.stop.detail) == (3, "expectation", "acked < 50 or stop")
    kinds = [event.kind for event in heard if event.kind in ("judged", "stopping", "finished")]
    assert kinds == ["judged", "stopping", "judged", "finished"]


def test_a_run_that_is_refused_says_why(launcher, order_for):
    heard: list[Event] = []
    handle = launcher.launch(order_for("steady 100/s over 1s", "erors == 0"), heard.append)
    with pytest.raises(NoOutcome) as refused:
        handle.outcome()
    assert refused.value.code == 2
    assert any("erors" in fault.message for fault in refused.value.diagnostics)
    told = await_event(heard, Refused)
    assert told.exit_code == 2
    assert heard == [told]


def test_a_stop_before_the_begin_sends_nothing(launcher, order_for, server):
    heard: list[Event] = []
    handle = launcher.launch(order_for("steady 100/s over 1s"), heard.append)
    await_event(heard, Ready)
    handle.stop(Stop("user", "", "ann"))
    assert handle.outcome().verdict == "interrupted"
    assert server.number("EXISTS", "q") == 0


def test_a_run_begins_at_the_moment_it_is_told(launcher, order_for):
    heard: list[Event] = []
    handle = launcher.launch(order_for("steady 100/s over 200ms"), heard.append)
    await_event(heard, Ready)
    at = time.time() + 1.0
    handle.begin(at)
    outcome = handle.outcome()
    assert datetime.fromisoformat(outcome.started_at).timestamp() == pytest.approx(at, abs=0.02)


def lateness(order_for, listen) -> np.ndarray:
    """By how much each job of a run was sent late (s), as far as its own histogram tells: the cells' bounds."""
    handle = Inline(every=0.05).launch(order_for("steady 2000/s over 3s"), listen)
    handle.begin()
    recording = handle.outcome().recording
    lag = recording.histograms["lag"].over(recording.whole())
    assert recording.total("acked") == 6000
    return np.array([lag.quantile(q) for q in (0.5, 0.9, 0.99)] + [lag.max])


def test_a_listener_that_blocks_for_a_second_moves_no_job(order_for):
    """The schedule with a listener that sleeps in each call, against the one without."""
    calls = []

    def block(event: Event) -> None:
        calls.append(event)
        if len(calls) < 4:
            time.sleep(1.0)

    quiet, blocked = np.full(4, np.inf), np.full(4, np.inf)
    for _ in range(3):  # in turn: the machine may be busy with other things
        quiet = np.minimum(quiet, lateness(order_for, lambda event: None))
        calls.clear()
        blocked = np.minimum(blocked, lateness(order_for, block))
    assert any(isinstance(event, Windows) and len(event.rows) > 5 for event in calls), "what came meanwhile is not lost"
    # A listener on the sending thread would hold up a second's worth of jobs: a third of them all.
    assert np.all(blocked < quiet + 0.05), (quiet, blocked)


def test_no_launcher_of_that_name(order_for):
    with pytest.raises(Exception, match="no launcher is called 'moon'"):
        launcher_for("moon:4")
