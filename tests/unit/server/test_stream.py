"""A slow client loses updates that a newer one replaces, and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from plg.server import stream as streams
from plg.server.history import Message
from plg.server.load_test import LoadTest
from plg.server.stream import Dropped, newest, stream, thinned

PLANNED: dict[str, Any] = {
    "name": "x", "target": "fake", "type": "steady", "limits": {}, "warnings": [], "expectations": [], "document": {},
    "plan": {"duration_s": 1.0, "planned": 10, "peak_rate": 1.0, "phases": []},
}  # fmt: skip


class Socket:
    """A client that takes a message only when it is let."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.closed: int | None = None
        self.reading = asyncio.Event()

    async def send_text(self, text: str) -> None:
        await self.reading.wait()
        self.taken.append(json.loads(text))

    async def close(self, code: int, reason: str = "") -> None:
        self.closed = code

    async def receive(self) -> Any:
        await asyncio.Event().wait()


def messages(kinds: str) -> list[Message]:
    names = {"r": "rate_update", "m": "metrics_update", "v": "violation", "c": "completion"}
    return [Message(number, names[kind], "{}") for number, kind in enumerate(kinds, 1)]


def test_of_updates_the_newest_of_each_kind_stays() -> None:
    assert [each.seq for each in newest(messages("rmrvrrmrvr"))] == [4, 7, 9, 10]


def test_the_past_is_thinned_but_for_what_matters() -> None:
    found = thinned(messages("r" * 5000 + "v" + "r" * 5000 + "mc"))
    assert [each.kind for each in found].count("violation") == 1
    assert [each.kind for each in found[-2:]] == ["metrics_update", "completion"]
    assert 90 <= len(found) <= 110
    assert [each.seq for each in found] == sorted(each.seq for each in found)


def test_a_client_that_stalls_misses_updates_and_no_violation() -> None:
    async def run() -> tuple[Socket, Dropped]:
        test, socket, dropped = LoadTest("a", PLANNED, "ann", "now"), Socket(), Dropped()
        task = asyncio.create_task(stream(socket, test, None, dropped))  # type: ignore[arg-type]  # all that is used of one
        await asyncio.sleep(0)
        test.messages.add("rate_update", 0.0, {})
        test._wake()
        await asyncio.sleep(0.01)
        for number in range(1000):
            test.messages.add("violation" if number % 250 == 0 else "rate_update", number / 10, {"number": number})
        test.messages.add("completion", 100.0, {})
        test.status = "completed"
        test._wake()
        socket.reading.set()
        await asyncio.wait_for(task, 20)
        return socket, dropped

    socket, dropped = asyncio.run(run())
    assert [each["number"] for each in socket.taken if each["type"] == "violation"] == [0, 250, 500, 750]
    assert (socket.taken[-1]["type"], socket.closed) == ("completion", 1000)
    assert dropped.count > 900
    assert len(socket.taken) < 20


def test_a_client_that_never_reads_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.05)

    async def run() -> Socket:
        test, socket = LoadTest("a", PLANNED, "ann", "now"), Socket()
        test.messages.add("rate_update", 0.0, {})
        await asyncio.wait_for(stream(socket, test, 0, Dropped()), 20)  # type: ignore[arg-type]  # all that is used of one
        return socket

    assert asyncio.run(run()).closed == streams.TOO_SLOW
