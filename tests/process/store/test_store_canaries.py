"""Secrets of profiles reach the jobs and nothing else: canaries in every secret place, every command, every file."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from support.postgres import Postgres
from support.real_servers import RealServer, Scripted, launcher, server_programs

from plg.store import store as facade
from plg.store.open import open_store

SCENARIO = """scenario "sale" {
  description "CANARY-description"
  param token = "CANARY-param-value"
  target "redis://app:CANARY-pass@127.0.0.1:1/0"
  data users "users.csv"
  job a weight 2 {
    queue "orders"
    payload { card: "CANARY-payload-${seq}", deep: [{ k: "CANARY-nested" }], who: "${users.email}", t: token }
  }
  job b { queue rq "mail" call "app.send" args ["CANARY-argument", "${seq}"] kwargs { key: "CANARY-keyword" } }
  traffic { steady 30/s over 200ms }
  max_lag 30s
  guardrails { max_rate 500/s max_total_jobs 1_000 max_duration 1m }
  expect { errors == 0 warn acked == 0 }
}
"""
PLACE = {
    "sqlite": ("--data", "kept"),
    "folder": ("--database", "folder:kept"),
    "postgresql": ("--database", "env WHERE"),
}
JSON = ("--reports", "json,junit,markdown")


def spellings() -> list[bytes]:
    """The canary as it is, and as programs spell what is not text, at each place of three bytes."""
    plain = b"CANARY-"
    coded = [base64.b64encode(b"x" * shift + plain)[4 * bool(shift) : -4] for shift in range(3)]
    return [plain, plain.hex().encode(), plain.hex().upper().encode(), *coded, plain.decode().encode("utf-16-le")]


def leaks(folders: list[Path], said: str) -> list[str]:
    """Where a canary is found."""
    words = spellings()
    found = [f"said: {line}" for line in said.splitlines() if any(word in line.encode() for word in words)]
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(OSError):
                if path.is_file() and any(word in path.read_bytes() for word in words):
                    found.append(str(path))
    return found


@pytest.fixture
def redis() -> Iterator[RealServer]:
    """A server to send to."""
    program = next(path for path in server_programs().values() if path)
    for start in launcher():
        yield start(program)


@pytest.fixture
def planted(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario with a canary in every secret place, in a folder that is looked at by no test."""
    monkeypatch.setenv("PLG_PASSPHRASE", "a long passphrase")
    (here / "own").mkdir()
    (here / "own/sale.plg").write_text(SCENARIO)
    (here / "own/users.csv").write_text("email\nCANARY-table@example.org\n")
    return here


SAVE = ("profile", "save", "own/sale.plg", "--secret", "params.token", "--secret", "description")


@pytest.mark.parametrize("kind", ["sqlite", "folder", "postgresql"])
def test_no_command_and_no_file_tells(
    run: Any,
    planted: Path,
    kind: str,
    redis: RealServer,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, folders, said = PLACE[kind], [planted / "kept", planted / "plg-report", planted / "made"], []
    target = ("--target", f"redis://127.0.0.1:{redis.port}/0")
    server: Postgres | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    if server is not None:
        monkeypatch.setenv("WHERE", server.fresh())
        folders.append(server.data)
    (planted / "made").mkdir()
    # In a file nobody has marked anything: its payload is a secret, its description is none.
    (planted / "own/plain.plg").write_text(SCENARIO.replace('  description "CANARY-description"\n', ""))

    def done(*arguments: str, code: int = 0) -> None:
        each = run(*arguments, *place)
        # Whether a busy machine held the schedule is not what is asked here.
        assert each.code in ((0, 5) if code == 0 else (code,)), each.said
        said.append(each.said)

    with ExitStack() as stack:
        if kind == "sqlite":
            # Somebody who has it open keeps the journals from being taken in and removed.
            stack.enter_context(open_store(planted / "kept")).find(facade.Query())
        done(*SAVE)
        done(*SAVE, "--environment", "staging")
        done("profile", "run", "sale", *target, *JSON, "--record", "--run-id", "r1")
        sent = redis.ask("LRANGE", "orders", "0", "-1")
        for word in (b"CANARY-payload-0", b"CANARY-nested", b"CANARY-table@example.org", b"CANARY-param-value"):
            assert word in sent, "the jobs have what nothing else has"
        done("profile", "run", "sale", *JSON, "--record", code=6)
        done("profile", "run", "sale", "--version", "1", "--set", "token=CANARY-set", *target, *JSON)
        for more in (("--to", "plg"), ("--to", "yaml"), ("--to", "json"), ("--json",), ("--version", "1")):
            done("profile", "show", "sale", *more)
        for command in (("list",), ("list", "--json"), ("history", "sale"), ("history", "sale", "--json")):
            done("profile", *command)
        done("profile", "export", "sale", "--out", "made/open.json")
        done("profile", "export", "sale", "--secrets", "--out", "made/sealed.json")
        done("profile", "import", "made/sealed.json", "--name", "other")
        done("profile", "share", "other", "--private", "--user", "bob")
        done("check", "own/plain.plg", *target, *JSON, "--record", "--run-id", "r2", "--out", "own/report")
        said[-1] = said[-1].replace("own/sale.plg", "")
        for command in ((), ("--json",), ("r1",), ("r1", "--json"), ("r1", "--outcome", "made/r1.json"),
                        ("r2", "--outcome", "made/r2.json")):  # fmt: skip
            done("history", *command)
        old = os.environ["PLG_KEYS"]
        monkeypatch.setenv("PLG_KEYS", "k2:" + "5c" * 32 + "," + old)
        done("profile", "rekey")
        for keys in ("k1:" + "77" * 32 + ",k2:" + "77" * 32, "k9:" + "77" * 32, ""):
            monkeypatch.setenv("PLG_KEYS", keys)
            done("profile", "run", "sale", *target, *JSON, code=2)
            done("profile", "export", "sale", "--secrets", code=2)
        done(*SAVE, code=2)
        assert leaks(folders, "".join(said)) == []
        assert (planted / "made/r2.json").read_text().count("***") > 1
        monkeypatch.setenv("PLG_KEYS", old)
        done("profile", "delete", "other")
        if server is not None:
            server.checkpoint()
        assert leaks(folders, "".join(said)) == []
        if kind == "sqlite":
            assert (planted / "kept/plg.sqlite3-wal").stat().st_size > 0, "the journal was looked at too"


def test_what_servers_repeat_and_faults_that_quote_do_not_tell(
    run: Any, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repeat(connection: Any) -> None:
        while data := connection.recv(65536):
            words = b" ".join(data.split())[:2000]
            connection.sendall(b"-ERR unknown command with args " + words + b" CANARY-nested CANARY-keyword\r\n")

    assert run(*SAVE).code == 0
    server = Scripted(repeat)
    try:
        said = run("profile", "run", "sale", *JSON, "--record", "--target", server.url).said
    finally:
        server.close()
    assert "***" in said
    said += run("profile", "run", "sale", *JSON, "--set", "tokn=CANARY-set").said
    said += run("profile", "run", "sale", *JSON, "--target", "redis://u:CANARY-pass@h:99999/0").said

    def broken(*arguments: object, **more: object) -> None:
        raise RuntimeError("cannot do with CANARY-payload- and CANARY-param-value, CANARY-nested")

    monkeypatch.setattr("plg.prepare.make_plan", broken)
    said += run("profile", "run", "sale", *JSON).said
    assert "cannot do with" in said
    assert leaks([planted / "data", planted / "plg-report"], said) == []


def test_a_damaged_or_locked_database_does_not_tell(run: Any, planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(*SAVE).code == 0
    file = planted / "data/plg.sqlite3"
    monkeypatch.setattr("plg.store.engine.BUSY", 0.1)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    locked = run(*SAVE)
    other.close()
    assert (locked.code, "is locked" in locked.err) == (2, True)
    with sqlite3.connect(file) as db:
        db.execute("DROP TABLE profile_tags")
    broken = run(*SAVE)
    assert broken.code == 2
    file.write_bytes(file.read_bytes()[:8192])
    damaged = run(*SAVE)
    assert damaged.code == 2
    assert leaks([planted / "data"], locked.said + broken.said + damaged.said) == []


@pytest.mark.slow
def test_no_process_has_a_secret_on_its_command_line(planted: Path, run: Any) -> None:
    text = SCENARIO.replace("200ms", "1500ms").replace("redis://app:CANARY-pass@127.0.0.1:1/0", "embedded")
    (planted / "own/sale.plg").write_text(text)
    assert run(*SAVE).code == 0
    lines = set()
    command = [sys.executable, "-m", "plg", "profile", "run", "sale", "--launch", "local:2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while process.poll() is None:
            for each in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    lines.add(each.read_bytes())
            time.sleep(0.05)
        assert process.stdout is not None
        said = process.stdout.read()
    assert any(b"plg.runs.child" in line for line in lines), said
    assert [line for line in lines if b"CANARY" in line] == []
    assert leaks([planted / "data", planted / "plg-report"], said) == []


def test_a_store_that_does_not_seal_is_found(run: Any, planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facade, "seal", lambda profile, keys: profile)
    assert run(*SAVE).code == 0
    assert leaks([planted / "data"], "") != []


def test_a_run_that_shows_its_document_is_found(run: Any, planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(*SAVE).code == 0
    monkeypatch.setattr("plg.prepare.veiled", lambda scenario: scenario)
    assert run("profile", "run", "sale", *JSON, "--target", "fake").code in (0, 5)
    assert leaks([planted / "plg-report"], "") != []
    assert json.loads((planted / "plg-report/sale.outcome.json").read_text())["scenario"]["jobs"][0]["payload"] != "***"
