"""Curves at several resolutions and messages by number, both bounded."""

from __future__ import annotations

import json
import math

import pytest

from plg.server.history import COLUMNS, MOST_BYTES, Curves, Messages, fitted


def row(t: float, target: float = 1.0) -> list[float]:
    return [t, target, *[math.nan] * (len(COLUMNS) - 2)]


def curves(seconds: int) -> Curves:
    """Ten rows a second; the rate is that of the second, but for one peak in each."""
    made = Curves()
    for number in range(seconds * 10):
        made.add(number + 1, row(number / 10, 99.0 if number % 10 == 3 else number // 10))
    return made


def test_ten_minutes_are_kept_as_they_came() -> None:
    made = curves(700)
    found = made.document(0, 0.1)["series"]
    assert (len(found["t"]), found["t"][0], found["t"][-1]) == (6000, 100.0, 699.9)
    assert made.fitting() == 1.0


def test_a_second_has_its_least_largest_and_last_value() -> None:
    found = curves(700).document(0, 1.0)
    assert len(found["series"]["t"]) == 700
    assert found["series"]["target"][50] == 50
    assert (found["min"]["target"][50], found["max"]["target"][50]) == (50, 99)
    assert found["max"]["cpu_percent"][50] is None, "what was never known is not made up"
    assert found["max"]["target"][-1] == 699, "the second that goes on is there too"


@pytest.mark.parametrize("resolution", [0.1, 1.0, 10.0])
def test_only_what_came_after_a_message_is_told_again(resolution: float) -> None:
    made = curves(60)
    assert made.document(600, resolution)["series"]["t"] == []
    found = made.document(580, resolution)["series"]["t"]
    assert found
    assert found[-1] == 59.9


def test_memory_is_bounded_over_a_day() -> None:
    made = Curves()
    for number in range(200_000):
        made.add(number + 1, row(float(number)))
    assert [len(made.document(0, step)["series"]["t"]) for step in (0.1, 1.0)] == [6000, 7201]
    assert len(made.document(0, 10.0)["series"]["t"]) == 8641


def test_messages_that_matter_outlive_all_updates() -> None:
    messages = Messages()
    messages.add("violation", 0.0, {"guardrail": "max_cpu"})
    for number in range(30_000):
        messages.add("rate_update", number / 10, {"target": 1.0})
    messages.add("completion", 3000.0, {})
    kept = messages.after(0)
    assert (kept[0].kind, kept[-1].kind) == ("violation", "completion")
    assert 12_000 <= len(kept) <= 13_600
    assert [message.seq for message in kept] == sorted(message.seq for message in kept)
    assert kept[-1].seq == messages.seq == 30_002
    assert [message.seq for message in messages.after(29_999, 2)] == [30_000, 30_001]


@pytest.mark.parametrize("text", ["x" * 5000, "ü" * 3000, '"' * 2000, "\U0001f600" * 900])
def test_no_message_is_larger_than_it_may_be(text: str) -> None:
    made = fitted({"type": "expectation", "seq": 1, "t": 0.0, "text": text, "verdict": "pass"})
    assert len(made.encode()) <= MOST_BYTES
    found = json.loads(made)
    assert found["verdict"] == "pass"
    assert found["text"].endswith("…")
    assert text.startswith(found["text"].rstrip("…"))
