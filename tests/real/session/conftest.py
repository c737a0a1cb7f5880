"""Servers to look at from outside, and scenarios run against them in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from support.machine import late_runs
from support.session_runs import Played

from plg import session
from plg.outcome_io import from_json, to_json
from plg.prepare import Request, prepare


@pytest.fixture
def client(server):
    """An independent client of `server`."""
    with redis.Redis(unix_socket_path=str(server.path), socket_timeout=10) as connection:
        yield connection


@pytest.fixture
def play(server, client, tmp_path):
    """Runs a scenario text to its end, outcome saved and read back: ``play(text)``."""

    def start(text: str, *, name: str = "scenario.plg", observer=None, **asked) -> Played:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        asked.setdefault("overrides", {})
        asked.setdefault("target", f"unix://{server.path}")
        prepared = prepare(file, Request(**asked))
        outcome = session.run(prepared, observer or session.Observer())
        if outcome.exit_code == 5 or any(result.invalid for result in outcome.expectations):
            late_runs.append(outcome.reason)
        saved = from_json(to_json(outcome))
        assert to_json(saved) == to_json(outcome)
        return Played(outcome, client)

    return start


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
