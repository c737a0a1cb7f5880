"""Stores for tests: one of each kind, with keys and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plg.store.base import Backend, Draft
from plg.store.engine import Database, sqlite_engine
from plg.store.keys import Keys
from plg.store.sql import SqlBackend
from plg.store.store import Store

KIND = ("sqlite",)
KEYS = Keys.read("k1:" + "1f" * 32)
OTHER = Keys.read("k1:" + "2e" * 32)
DOCUMENT = {
    "name": "sale",
    "target": "redis://user:CANARYtarget@redis.example:6379/0",
    "params": {"token": "CANARYparam", "peak": "400/s"},
    "jobs": [
        {"name": "a", "queue": "orders", "payload": {"card": "CANARYpayload", "n": ["${seq}", 1, None, True]}},
        {"name": "b", "queue": {"kind": "celery", "name": "c"}, "call": "t", "args": ["CANARYargs"],
         "kwargs": {"k": "CANARYkwargs"}},
    ],
    "pattern": {"type": "steady", "base_rate": "10/s", "duration": "1s"},
    "guardrails": {"max_rate": 100, "max_total_jobs": 100, "max_duration": "1m",
                   "emergency": {"webhook": {"url": "https://hooks.example/CANARYwebhook"}}},
}  # fmt: skip
"""A canary in every place of a scenario that is secret, or marked so by `draft`."""

SCENARIO = """scenario "sale" {
  description "doors open"
  tags "shop"
  param token = "CANARYparam"
  target "fake"
  job a { queue "orders" payload { card: "CANARYpayload-${seq}", token: token } }
  traffic { steady 50/s over 200ms }
  guardrails { max_rate 500/s max_total_jobs 1_000 max_duration 1m }
  expect { errors == 0 warn acked == 0 }
}
"""


def draft(name: str = "sale", **changed: object) -> Draft:
    """A profile with a canary in every secret place."""
    given: dict[str, object] = {
        "scenario": DOCUMENT, "tags": ("shop", "sale"), "description": "doors open",
        "metadata": {"environment": "staging", "custom_fields": {"owner": "CANARYowner"}},
        "files": {"users.csv": "Q0FOQVJZZmlsZQ=="}, "secret": ("params.token", "metadata.custom_fields.owner"),
    }  # fmt: skip
    return Draft(name, **{**given, **changed})  # type: ignore[arg-type]


class Clock:
    """Seconds since the Unix epoch that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def opener(kind: str, folder: Path) -> Callable[[], Backend]:
    """Opens a store of this kind; each call opens the same one once more."""
    assert kind == "sqlite"
    return lambda: SqlBackend(Database(sqlite_engine(folder / "plg.sqlite3"), str(folder / "plg.sqlite3")))


class Opened:
    """One place, opened as often as a test likes."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.kind, self.folder, self._stack = kind, folder, stack
        self._open = opener(kind, folder)
        self.clock = Clock()

    def __call__(self, keys: Keys = KEYS) -> Store:
        return self._stack.enter_context(Store(self._open(), keys, self.clock))


def opened(kind: str, folder: Path) -> Iterator[Opened]:
    """For a fixture."""
    with ExitStack() as stack:
        yield Opened(kind, folder, stack)


@pytest.fixture(params=KIND)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """A place for a store, of each kind."""
    yield from opened(request.param, tmp_path)
