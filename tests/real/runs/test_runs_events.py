"""Events are plain data, and reach a listener by a thread that sends no jobs."""

from __future__ import annotations

import json
import threading
import time

import pytest

from plg.diagnostics import Diagnostic, ScenarioError
from plg.guardrails import guard
from plg.outcome import ExpectationResult
from plg.runner.observer import Progress
from plg.runs.events import (
    Event,
    Finished,
    Hit,
    Judged,
    Ready,
    Refused,
    Stopping,
    Waiting,
    Windows,
    event_from,
    event_to,
)  # fmt: skip
from plg.runs.relay import Relay
from plg.stop import Stop

EVENTS: list[Event] = [
    Ready("s", "r", "d", {"planned": 3}, ("a note",), {"max_rate": 5.0}), Waiting("waiting for x"),
    Windows(({"t": 1.0, "queue_depth": None}, {"t": 2.0, "queue_depth": 3})),
    Hit("max_cpu", "stop", 1.5, 0.9, 0.8), Judged("errors == 0", "expect", "fail", 2.0, 0.0, "jobs", "=="),
    Stopping("user", "enough", "ann"), Finished("pass", 0, "all held"),
    Refused.of(ScenarioError([Diagnostic("usage", "words", "f")]), 2),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_travels_as_json(event: Event) -> None:
    text = json.dumps(event_to(event))
    again = event_from(json.loads(text))
    assert again is not None
    assert json.dumps(event_to(again)) == text
    assert json.loads(text)["event"] == event.kind


def test_an_event_of_a_later_plg_is_passed_over() -> None:
    assert event_from({"event": "weather", "rain": True}) is None
    assert event_from({}) is None


def row(t: float) -> Progress:
    return Progress(t, 9.0, 1.0, 1.0, 0.0, float("nan"), 1, 1, 0, 0, 0, "sending")


def test_rows_that_come_while_the_listener_is_busy_arrive_together_and_in_order() -> None:
    heard: list[Event] = []
    free = threading.Event()

    def listen(event: Event) -> None:
        heard.append(event)
        free.wait(10)

    relay = Relay(listen)
    relay.put(Waiting("first"))
    while not heard:
        time.sleep(0.001)
    begin = time.monotonic()
    for t in range(5000):
        relay.put(row(t))
    relay.put(Stop("user", "", "ann"))
    assert time.monotonic() - begin < 1.0, "nobody waits for the listener"
    free.set()
    relay.close()
    first, rows, last = heard
    assert isinstance(rows, Windows)
    assert [each["t"] for each in rows.rows] == list(range(5000 - 4096, 5000)), "of very many the latest"
    assert rows.rows[0]["queue_depth"] is None
    assert (first, last) == (Waiting("first"), Stopping("user", "", "ann"))


def test_what_the_run_says_in_its_own_words_becomes_events() -> None:
    heard: list[Event] = []
    relay = Relay(heard.append)
    relay.put(guard.Hit("max_cpu", 1.0, 1.2, 0.9, 0.8, "stop"))
    relay.put(ExpectationResult("errors == 0", "expect", "fail", 1.0, 0.0, "jobs", "=="))
    relay.close()
    assert heard == [
        Hit("max_cpu", "stop", 1.0, 0.9, 0.8),
        Judged("errors == 0", "expect", "fail", 1.0, 0.0, "jobs", "=="),
    ]


def test_a_listener_that_raises_ends_no_run_and_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda what: told.append(str(what.exc_value)))

    def listen(event: Event) -> None:
        raise ValueError("planted")

    relay = Relay(listen)
    relay.put(Waiting("a"))
    relay.put(Waiting("b"))
    relay.close()
    assert told == ["planted"]
