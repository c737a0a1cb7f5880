"""Opens the store that a data folder or a URL stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plg.redaction import redact
from plg.store.base import Backend
from plg.store.errors import BadValue
from plg.store.keys import Keys
from plg.store.store import Store

DATABASE = "plg.sqlite3"
"""The file in a data folder."""


def open_store(data: Path, url: str | None = None, environ: Mapping[str, str] | None = None) -> Store:
    """The store in the folder ``data``, or where ``url`` says: ``sqlite:///FILE``, ``postgresql://…``,
    ``folder:DIR``. ``environ`` (the process's by default) has the keys. Raises `StoreError`."""
    return Store(_backend(data, url), Keys.of_environment(environ))


def _backend(data: Path, url: str | None) -> Backend:
    scheme, _, rest = (url or "").partition(":")
    if scheme == "folder":
        from plg.store.folder import FolderBackend

        return FolderBackend(Path(rest).expanduser())
    if url and scheme not in ("sqlite", "postgresql", "postgres"):
        raise BadValue(
            f"{redact(url)} is no database", "known: sqlite:///FILE, postgresql://USER@HOST/NAME, folder:DIR"
        )
    try:
        from plg.store.engine import Database, postgres_engine, sqlite_engine
        from plg.store.sql import SqlBackend
    except ImportError:
        raise BadValue(
            "profiles and the history of runs need libraries that are not installed",
            "pip install 'patterned-load[store]'",
        ) from None
    if url and scheme != "sqlite":
        return SqlBackend(Database(postgres_engine(url.replace("postgres:", "postgresql:", 1)), redact(url)))
    file = Path(rest.removeprefix("//").removeprefix("/")) if url else data / DATABASE
    return SqlBackend(Database(sqlite_engine(file), str(file)))
