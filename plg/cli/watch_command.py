"""``plg watch``: follow a test of a server to its end, and exit by its verdict."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from plg.cli.console import Console
from plg.cli.live_view import Curves, drawn
from plg.cli.server_client import ServerClient
from plg.escaping import one_line
from plg.outcome import Ledger
from plg.reports import terminal

_APART = 1.0
"""Seconds of the run between two lines where nothing can be redrawn."""


def run(options: argparse.Namespace, console: Console) -> int:
    """The exit code is that of the test."""
    return watch(ServerClient.of(), options.test, console, as_json=options.json)


def watch(client: ServerClient, test_id: str, console: Console, *, as_json: bool = False) -> int:
    """Follow one test; its messages as they are with ``as_json``."""
    if as_json:
        code = 0
        for message in client.messages(test_id):
            console.raw(json.dumps(message) + "\n")
            code = _code(message, code)
        return code
    status = client.ask("GET", f"patterns/{test_id}/status")
    if status["status"] in ("completed", "stopped", "failed", "interrupted"):
        return _tell_end(console, status)
    view = _Watched(console, status)
    for message in client.messages(test_id):
        if message["type"] == "completion":
            console.clear()
            return _tell_end(console, message)
        view.take(message)
    return 0


def _code(message: Mapping[str, Any], otherwise: int) -> int:
    found = message.get("exit_code")
    return found if message["type"] == "completion" and isinstance(found, int) else otherwise


def _tell_end(console: Console, found: Mapping[str, Any]) -> int:
    code = found["exit_code"]
    if code is None:
        console.print(f"{found['status']}: {one_line(found['reason'])}")
        return 1
    console.print(terminal.last_line(code, found["reason"], colour=console.colour))
    return int(code)


class _Watched:
    """A test on a console: curves where they can be redrawn, lines elsewhere."""

    def __init__(self, console: Console, status: Mapping[str, Any]) -> None:
        self._console, self._status = console, status
        self._duration = float(status["planned_duration_s"])
        self._ledger = dict(status["ledger"])
        self._curves = Curves(self._duration)
        self._next_line = 0.0

    def take(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "metrics_update":
            self._ledger = message["ledger"]
        elif kind == "violation":
            self._console.print(f"{message['guardrail']} ({message['action']}) at {message['t']:.1f}s")
        elif kind == "expectation":
            self._console.print(f"{message['verdict']}: {one_line(message['text'])}")
        elif kind == "rate_update":
            self._rate(message)

    def _rate(self, message: Mapping[str, Any]) -> None:
        t, depth = message["t"], message.get("queue_depth")
        self._curves.add(t, message["target"], message["actual"], depth)
        ledger = Ledger(**{**self._ledger, "sent": message["sent"], "acked": message["acked"]})
        facts: dict[str, Any] = {
            "target": message["target"] or 0.0, "actual": message["actual"] or 0.0, "ledger": ledger,
            "depth": None if depth is None else int(depth), "ascii_only": self._console.ascii,
        }  # fmt: skip
        if self._console.live:
            c = self._console
            line = terminal.live_line(t, self._duration, width=c.width - 1, colour=c.colour, **facts)
            c.redraw("\n".join([*drawn(self._curves, c.width - 1, ascii_only=c.ascii, colour=c.colour), line]))
        elif t >= self._next_line:
            self._next_line = t + max(_APART, t / 20)
            self._console.print(terminal.progress_line(t, self._duration, **facts))
