"""Brings a database to the form that this plg knows, one step after the other, or refuses a later one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from plg.store.engine import Database
from plg.store.errors import TooOld

HEAD = "0003"
"""The newest form, by its revision in `plg.store.migrations.versions`."""
_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x706C67
"""Held by whoever migrates a PostgreSQL."""


def migrate(database: Database, to: str = HEAD) -> None:
    """Bring ``database`` to the form ``to``. Two processes that open it at once do so one after the other.

    Raises `TooOld` where a later plg has written it: this one would not know what it breaks.
    """
    with database.reading() as connection:
        if _form(connection) == to:
            return
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        form = _form(connection)
        if form == to:
            return
        if form is not None and form > HEAD:
            raise TooOld(
                f"{database.place} was written by a later plg (form {form}, this one knows {HEAD})",
                "install the newer plg again",
            )
        _upgrade(connection, to)


def _form(connection: Connection) -> str | None:
    """The revision that the database is at; None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(connection: Connection, to: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
