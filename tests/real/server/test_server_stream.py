"""The stream tells a test from its first message to its last, whenever one begins to listen."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from support.plg_server import BASE, SOUND, Server, document
from websockets.exceptions import ConnectionClosed, InvalidStatus


def heard(socket: Any, most: int | None = None) -> list[dict[str, Any]]:
    """All messages until it is closed, or so many."""
    found: list[dict[str, Any]] = []
    try:
        while most is None or len(found) < most:
            text = socket.recv(timeout=30)
            assert len(text.encode()) < 1024
            found.append(json.loads(text))
    except ConnectionClosed:
        pass
    return found


@pytest.fixture(scope="module")
def whole(plg_server: Server, redis_server: Any) -> tuple[str, list[dict[str, Any]], list[float]]:
    """A test that was heard from its beginning to its end, and when each message came."""
    guardrails = {"max_rate": 80, "max_total_jobs": 5000, "max_duration": "1m"}
    test_id = plg_server.start_test(document(redis_server, "whole", guardrails=guardrails))
    with plg_server.stream(test_id) as socket:
        messages, came = [], []
        try:
            while True:
                messages.append(json.loads(socket.recv(timeout=30)))
                came.append(time.monotonic())
        except ConnectionClosed:
            pass
        assert socket.close_code == 1000
    return test_id, messages, came


def test_it_ends_with_the_completion(plg_server: Server, whole: tuple[str, list[dict[str, Any]], list[float]]) -> None:
    test_id, messages, _ = whole
    status = plg_server.status(test_id)
    assert [m["type"] for m in messages].count("completion") == 1
    assert messages[-1]["type"] == "completion"
    assert messages[-1]["status"] == "completed"
    assert {name: messages[-1][name] for name in ("status", "verdict", "exit_code", "reason")} == {
        name: status[name] for name in ("status", "verdict", "exit_code", "reason")
    }
    assert status["verdict"] in SOUND


def test_each_kind_has_its_fields(whole: tuple[str, list[dict[str, Any]], list[float]]) -> None:
    fields = {
        "rate_update": {"target", "allowed", "actual"},
        "metrics_update": {
            "cpu_percent", "memory_mb", "queue_depth", "queue_age_s", "errors", "lag_p99_s", "latency",
        },
        "violation": {"guardrail", "action", "requested", "allowed"},
        "expectation": {"text", "verdict", "observed", "margin"},
        "completion": {"status", "verdict", "exit_code", "reason"},
    }  # fmt: skip
    _, messages, _ = whole
    assert {m["type"] for m in messages} == set(fields)
    for message in messages:
        assert {"seq", "t", *fields[message["type"]]} <= set(message), message
    violation = next(m for m in messages if m["type"] == "violation")
    assert (violation["guardrail"], violation["requested"], violation["allowed"]) == ("max_rate", 100.0, 80.0)


def test_numbers_ascend_and_none_is_missing(whole: tuple[str, list[dict[str, Any]], list[float]]) -> None:
    _, messages, _ = whole
    assert [m["seq"] for m in messages] == list(range(1, len(messages) + 1))


def test_there_are_never_more_than_a_hundred_a_second(
    plg_server: Server, whole: tuple[str, list[dict[str, Any]], list[float]]
) -> None:
    test_id, messages, _ = whole
    with plg_server.stream(test_id, "?since=0") as socket:
        began = time.monotonic()
        again = heard(socket)
        took = time.monotonic() - began
    assert again == messages
    assert took >= (len(messages) - 100) / 100


@pytest.mark.parametrize("since", [0, 5, 17])
def test_who_comes_back_gets_what_it_missed(
    plg_server: Server, whole: tuple[str, list[dict[str, Any]], list[float]], since: int
) -> None:
    test_id, messages, _ = whole
    with plg_server.stream(test_id, f"?since={since}") as socket:
        assert heard(socket) == messages[since:]


def test_a_connection_that_is_dropped_in_the_middle_loses_nothing(plg_server: Server, redis_server: Any) -> None:
    test_id = plg_server.start_test(document(redis_server, "dropped"))
    with plg_server.stream(test_id) as socket:
        first = heard(socket, 8)
        socket.socket.close()
    with plg_server.stream(test_id, f"?since={first[-1]['seq']}") as socket:
        rest = heard(socket)
    assert [m["seq"] for m in first + rest] == list(range(1, len(first) + len(rest) + 1))
    assert rest[-1]["type"] == "completion"


def test_an_unknown_test_is_said_so(plg_server: Server) -> None:
    with plg_server.stream("none") as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        assert socket.close_code == 4404


def test_a_page_of_another_site_cannot_listen(plg_server: Server, whole: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        plg_server.stream(whole[0], additional_headers={"Origin": "http://evil.example"})
    assert refused.value.response.status_code == 403
    with plg_server.stream(whole[0], additional_headers={"Origin": f"http://127.0.0.1:{plg_server.port}"}) as socket:
        assert heard(socket)


def test_a_client_that_floods_moves_no_test(plg_server: Server, redis_server: Any) -> None:
    test_id = plg_server.start_test(document(redis_server, "flood"))
    with plg_server.stream(test_id) as socket:
        try:
            for _ in range(2000):
                socket.send("x" * 1000)
            socket.send("x" * 2**20)
        except ConnectionClosed:
            pass
    found = plg_server.ended(test_id)
    assert (found["status"], found["ledger"]["acked"] + found["ledger"]["late"]) == ("completed", 300), found
    assert plg_server.ask("GET", f"{BASE}/patterns").status == 200
