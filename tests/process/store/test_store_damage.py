"""What a store stands: killed writers, full disks, locks, old and later forms, servers that go, damaged files."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from support.postgres import Postgres
from support.stores import DOCUMENT, KEYS, Clock, draft

from plg.store import engine, journal
from plg.store.base import Query, Run, RunQuery
from plg.store.engine import Database, postgres_engine, sqlite_engine
from plg.store.errors import StoreError, TooOld, Unavailable
from plg.store.journal import Journal
from plg.store.migrate import HEAD, migrate
from plg.store.open import open_store
from plg.store.sql import SqlBackend
from plg.store.store import Store

SAVER = Path(__file__).with_name("saver.py")
SPELLED = "k1:" + "1f" * 32


@pytest.fixture(params=["sqlite", "folder", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a store of each kind."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.fresh()
    return f"sqlite:///{tmp_path / 'plg.sqlite3'}" if request.param == "sqlite" else f"folder:{tmp_path / 'profiles'}"


def opened(url: str) -> Store:
    return open_store(Path("unused"), url, {"PLG_KEYS": SPELLED})


@contextmanager
def saver(url: str, id: str, name: str, count: int, limit: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that saves; it is ready."""
    given = {**os.environ, "PLG_KEYS": SPELLED, "LIMIT": limit, "PYTHONPATH": str(SAVER.parents[2])}
    with subprocess.Popen([sys.executable, str(SAVER), url, id, name, str(count)], env=given, stdout=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def whole(store: Store, id: str, least: int) -> int:
    """The newest version, where all from the first are there and can be opened, and ``least`` is one of them."""
    versions = store.versions(id)
    assert [each.version for each in versions] == list(range(len(versions), 0, -1))
    assert len(versions) >= least
    for each in versions:
        assert store.opened(id, each.version).scenario == DOCUMENT
    newest = store.profile(id)
    assert newest == versions[0]
    [listed] = store.find(Query(name="sale")).items
    assert (listed.version, listed.description) == (newest.version, newest.description)
    return newest.version


@pytest.mark.slow
def test_kill_9_in_the_midst_of_a_save_loses_nothing(url: str) -> None:
    chance = random.Random(4)
    with opened(url) as store:
        id, last = store.create(draft(), "ann").id, 1
    for _ in range(3):
        with saver(url, id, "w", 100_000) as process:
            assert process.stdout is not None
            confirmed = [process.stdout.readline()]
            time.sleep(chance.uniform(0, 0.15))
            process.kill()
            confirmed += process.stdout.readlines()
        told = [int(line.split()[1]) for line in confirmed if line.endswith("\n")]
        assert told == list(range(last + 1, last + 1 + len(told)))
        with opened(url) as store:
            now = whole(store, id, told[-1])
            assert now in (told[-1], told[-1] + 1), "at most the one that was being saved"
            assert store.save(id, draft(), "ann").version == now + 1
            last = now + 1


@pytest.mark.slow
def test_two_processes_save_at_once(url: str) -> None:
    with opened(url) as store:
        id = store.create(draft(), "ann").id
    with saver(url, id, "one", 15) as one, saver(url, id, "two", 15) as two:
        said = [process.communicate()[0] for process in (one, two)]
        assert [one.returncode, two.returncode] == [0, 0], said
    with opened(url) as store:
        assert whole(store, id, 31) == 31
        texts = [each.description for each in reversed(store.versions(id))][1:]
        for name in ("one", "two"):
            assert [text for text in texts if text.startswith(name)] == [f"{name} {number}" for number in range(15)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "folder"])
def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path, kind: str) -> None:
    url = f"sqlite:///{tmp_path / 'plg.sqlite3'}" if kind == "sqlite" else f"folder:{tmp_path / 'profiles'}"
    with opened(url) as store:
        id = store.create(draft(), "ann").id
    with saver(url, id, "w", 1000, limit="300000" if kind == "sqlite" else "10000") as process:
        said = process.communicate()[0].splitlines()
        assert process.returncode == 3, said
    assert "cannot be written" in said[-1]
    assert "CANARY" not in said[-1]
    with opened(url) as store:
        kept = whole(store, id, len(said))
        assert kept == len(said), "those that were told, and the first"
        assert store.save(id, draft(), "ann").version == kept + 1


def test_a_locked_database_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY", 0.2)
    with opened(f"sqlite:///{tmp_path / 'plg.sqlite3'}") as store:
        made = store.create(draft(), "ann")
        other = sqlite3.connect(tmp_path / "plg.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="is locked by another process"):
            store.save(made.id, draft(), "ann")
        assert store.profile(made.id) == made, "who reads does not wait"
        other.execute("ROLLBACK")
        other.close()
        assert store.save(made.id, draft(), "ann").version == 2


def test_a_locked_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BUSY", 0.2)
    with opened(f"folder:{tmp_path / 'p'}") as store:
        made = store.create(draft(), "ann")
        with (
            Journal(tmp_path / "p", tmp_path / "p" / ".plg-store").writing(),
            pytest.raises(Unavailable, match="is locked"),
        ):
            store.save(made.id, draft(), "ann")
        assert store.save(made.id, draft(), "ann").version == 2


def test_a_locked_row_of_a_server_is_told(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setattr(engine, "_PATIENCE", "-c lock_timeout=200ms")
    url = postgres.fresh()
    with opened(url) as store:
        made = store.create(draft(), "ann")
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM profiles FOR UPDATE")
            with pytest.raises(Unavailable, match="is locked by another process"):
                store.save(made.id, draft(), "ann")
            assert store.profile(made.id) == made
        assert store.save(made.id, draft(), "ann").version == 2


def test_a_server_that_goes_and_comes_back(postgres: Postgres) -> None:
    with opened(postgres.fresh()) as store:
        made = store.create(draft(), "ann")
        postgres.stop()
        try:
            for attempt in (lambda: store.save(made.id, draft(), "ann"), lambda: store.profile(made.id)):
                with pytest.raises(Unavailable, match="does not answer"):
                    attempt()
        finally:
            postgres.start()
        assert store.profile(made.id) == made
        assert store.save(made.id, draft(), "ann").version == 2


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_old_database_is_brought_up_with_all_that_is_in_it(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    if kind == "sqlite":
        database = Database(sqlite_engine(tmp_path / "plg.sqlite3"), "old")
    else:
        database = Database(postgres_engine(request.getfixturevalue("postgres").fresh()), "old")
    migrate(database, "0001")
    run = Run("r1", "sale", started_at="2026-01-01T00:00:00Z", starred=True, branch="main")
    # The first form has all tables that there are now: what writes to it is what reads it afterwards.
    store = Store(SqlBackend.__new__(SqlBackend), KEYS, Clock())
    backend = store.backend
    assert isinstance(backend, SqlBackend)
    backend._database, backend.place = database, "old"
    made = store.create(draft(), "ann")
    store.save(made.id, draft(), "ann")
    store.record(run, b"outcome")
    with Store(SqlBackend(database), KEYS, Clock()) as again:
        with database.reading() as db:
            assert db.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar() == HEAD
            assert "runs_by_branch" in {each["name"] for each in sqlalchemy.inspect(db).get_indexes("runs")}
        assert whole(again, made.id, 2) == 2
        assert again.run("r1") == run
        assert again.outcome("r1") == b"outcome"
        long = Run("r" * 64 + ".123-of-456", "sale", started_at="2026-01-02T00:00:00Z", branch="main")
        again.record(long, b"x")
        assert [each.id for each in again.runs(RunQuery(branch="main")).items] == [long.id, "r1"]


def test_the_tables_are_those_that_the_steps_lead_to(postgres: Postgres) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from plg.store.tables import META

    database = Database(postgres_engine(postgres.fresh()), "new")
    migrate(database)
    with database.reading() as db:
        assert compare_metadata(MigrationContext.configure(db), META) == []
    database.close()


def test_a_later_form_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "plg.sqlite3"
    opened(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(TooOld, match="was written by a later plg"):
        opened(f"sqlite:///{file}")
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


@pytest.mark.slow
def test_what_opens_first_makes_the_tables_once(tmp_path: Path) -> None:
    code = "from pathlib import Path; from plg.store.open import open_store; open_store(Path('.')).runs; print('ok')"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True) for _ in range(3)
    ]  # fmt: skip
    assert [process.communicate()[0] for process in processes] == ["ok\n"] * 3


@pytest.mark.parametrize("damage", ["no database", "in the middle", "empty"])
def test_a_damaged_file_is_told(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "plg.sqlite3"
    with opened(f"sqlite:///{file}") as store:
        made = store.create(draft(), "ann")
    if damage == "no database":
        file.write_bytes(b"no database at all, " * 1000)
    elif damage == "in the middle":
        data = file.read_bytes()
        file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    else:
        file.write_bytes(b"")
    if damage == "empty":
        with opened(f"sqlite:///{file}") as store:
            assert store.find(Query()).items == []
        return
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"is damaged|is not a database of plg"), opened(f"sqlite:///{file}") as store:
        store.profile(made.id)
    assert file.read_bytes() == before


def test_a_disk_that_refuses_wal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As network disks do: here by a way of locking files that leaves no room for it."""
    create = sqlalchemy.create_engine

    def other(url: str, **more: object) -> object:
        return create(f"sqlite:///file:{url.removeprefix('sqlite:///')}?vfs=unix-dotfile&uri=true", **more)

    monkeypatch.setattr(sqlalchemy, "create_engine", other)
    with pytest.raises(Unavailable, match="SQLite answers journal_mode=delete where WAL is asked for"):
        opened(f"sqlite:///{tmp_path / 'plg.sqlite3'}")


def test_a_change_of_a_folder_that_was_cut_off_is_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step of it: before it counts as made there is nothing of it, from there on all."""
    with opened(f"folder:{tmp_path / 'p'}") as store:
        id = store.create(draft(), "ann").id
        write, count = journal._write, 0
        for stop in range(6):
            count = 0

            def cut(path: Path, data: bytes, *, lasting: bool = False, at: int = stop) -> None:
                nonlocal count
                if count == at:
                    raise KeyboardInterrupt
                count += 1
                write(path, data, lasting=lasting)

            before = store.profile(id).version
            monkeypatch.setattr(journal, "_write", cut)
            try:
                store.save(id, draft(), "ann")
                done = True
            except KeyboardInterrupt:
                done = False
            monkeypatch.setattr(journal, "_write", write)
            with opened(f"folder:{tmp_path / 'p'}") as again:
                assert whole(again, id, before) == before + (1 if stop or done else 0)
        assert done, "the last one was not cut off"
