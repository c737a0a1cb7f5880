"""Stores for tests: one of each kind, with keys and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plg.store.base import Backend, Draft
from plg.store.engine import Database, postgres_engine, sqlite_engine
from plg.store.folder import FolderBackend
from plg.store.keys import Keys
from plg.store.sql import SqlBackend
from plg.store.store import Store
from support.postgres import Postgres

KINDS = ("sqlite", "folder", "postgresql")
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
  max_lag 30s
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


def opener(kind: str, folder: Path, server: Postgres | None) -> Callable[[], Backend]:
    """Opens a store of this kind; each call opens the same one once more."""
    if kind == "folder":
        return lambda: FolderBackend(folder / "profiles")
    if kind == "sqlite":
        return lambda: SqlBackend(Database(sqlite_engine(folder / "plg.sqlite3"), str(folder / "plg.sqlite3")))
    assert server is not None
    url = server.fresh()
    return lambda: SqlBackend(Database(postgres_engine(url), url))


class Opened:
    """One place, opened as often as a test likes."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack, server: Postgres | None) -> None:
        self.kind, self.folder, self._stack = kind, folder, stack
        self._open = opener(kind, folder, server)
        self.clock = Clock()

    def __call__(self, keys: Keys = KEYS) -> Store:
        return self._stack.enter_context(Store(self._open(), keys, self.clock))


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """A place for a store, of each kind."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with ExitStack() as stack:
        yield Opened(request.param, tmp_path, stack, server)
