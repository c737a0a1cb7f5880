"""The connection to the database: SQLite in a file, or PostgreSQL by URL; brought to this plg's form when opened."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from plg.redaction import redact
from plg.store.errors import BadValue, StoreError, Unavailable

BUSY = 5.0
"""Seconds that a writer waits for another one, and for a server to answer."""
_WRITES = "plg_writes"
_PATIENCE = f"-c lock_timeout={BUSY:g}s -c statement_timeout=30s"
"""What a PostgreSQL is told, unless the URL has options of its own."""


def sqlite_engine(file: Path) -> Engine:
    """SQLite in ``file``, which is made where it is not there. Raises `Unavailable` where it cannot keep a promise."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            file.touch(mode=0o600)
    except OSError as fault:
        raise Unavailable(f"{file} cannot be opened: {(fault.strerror or str(fault)).lower()}") from None
    engine = sqlalchemy.create_engine(f"sqlite:///{file}", connect_args={"timeout": BUSY})

    @event.listens_for(engine, "connect")
    def configure(raw: Any, record: Any) -> None:
        # Transactions are begun below: the driver would begin a writer's as a reader's, which then fails at once
        # where somebody else has written meanwhile.
        raw.isolation_level = None
        mode = raw.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise Unavailable(
                f"{file} cannot be kept safely: SQLite answers journal_mode={mode} where WAL is asked for",
                "put the data folder on a disk of this machine, or name a PostgreSQL with --database",
            )
        # FULL: what was said to be saved is still there when the power goes. Deleted secrets are overwritten.
        for setting in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "journal_size_limit=16777216"):
            raw.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def postgres_engine(url: str) -> Engine:
    """PostgreSQL by ``url``. Raises `BadValue` where it cannot be read or its driver is missing."""
    try:
        found = make_url(url).set(drivername="postgresql+psycopg")
        return sqlalchemy.create_engine(
            found, connect_args={"connect_timeout": int(BUSY), "options": _PATIENCE, **dict(found.query)},
            pool_pre_ping=True, pool_size=4, max_overflow=4, pool_timeout=BUSY,
        )  # fmt: skip
    except (ArgumentError, ValueError):
        raise BadValue(f"{redact(url)} is no URL of a database", "postgresql://USER:PASSWORD@HOST:5432/NAME") from None
    except ImportError:
        raise BadValue("PostgreSQL needs a driver that is not installed", "pip install 'psycopg[binary]'") from None


class Database:
    """An engine whose transactions raise `StoreError` alone."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine, self.place = engine, place
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent look."""
        with self._told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One change, kept as a whole when the block ends. The threads of a process take turns."""
        with (
            self._lock,
            self._told(),
            self.engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except SQLAlchemyError as fault:
            raise self._in_words(fault) from None

    def _in_words(self, fault: SQLAlchemyError) -> StoreError:
        """What the database said. Never its own words as a whole: they repeat statements and values."""
        cause = fault.orig if isinstance(fault, DBAPIError) else fault
        said = str(cause).lower()
        for word, told, help in _SAID:
            if word in said:
                return Unavailable(f"{self.place} {told}", help)
        return Unavailable(f"{self.place} cannot be used: {type(cause).__name__}")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


_SAID = (
    ("lock timeout", f"is locked by another process for more than {BUSY:g} s; nothing was changed", ""),
    ("statement timeout", "is too slow: a statement took more than 30 s; nothing was changed", ""),
    ("database is locked", f"is locked by another process for more than {BUSY:g} s; nothing was changed", ""),
    ("disk is full", "cannot be written: no space left on the disk; nothing was changed", "make room, then try again"),
    ("disk i/o error", "cannot be written: its disk fails or is full; nothing was changed", "make room"),
    ("no space left", "cannot be written: no space left on its disk; nothing was changed", "make room, then try again"),
    ("malformed", "is damaged", "restore it from a copy; the damaged file is left as it is"),
    ("not a database", "is not a database of plg", "name another folder with --data"),
    ("readonly", "cannot be written: it is read-only", "see the rights of the file and its folder"),
    ("unable to open", "cannot be opened", "see the rights of the folder"),
    ("connection refused", "does not answer: the connection was refused", "see that the server runs"),
    ("no such file or directory", "does not answer: there is no server", "see that the server runs"),
    ("authentication failed", "does not let plg in: the password is wrong", ""),
    ("no password supplied", "does not let plg in: it asks for a password", ""),
    ("does not exist", "is not there, or is no database of plg", "createdb NAME makes one"),
    ("timeout", "does not answer in time", "try again"),
    ("connection", "does not answer: the connection was lost; what was not confirmed is not kept", "try again"),
)  # fmt: skip
"""Words of SQLite and PostgreSQL, what is said of them, and what to do."""
