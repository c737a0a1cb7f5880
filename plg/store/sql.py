"""Profiles and runs in a database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from plg.store.base import FILTERS, Backend, Grant, Page, Profile, Query, Reader, Run, RunQuery, Summary
from plg.store.cursors import page_size, read_cursor, write_cursor
from plg.store.engine import Database
from plg.store.errors import changed, name_taken, no_profile, no_run, no_version
from plg.store.migrate import migrate
from plg.store.tables import GRANTS, OUTCOMES, PROFILES, RUNS, SETTINGS, TAGS, VERSIONS

_BODY = ("scenario", "tags", "metadata", "files", "secret")
_RUN = tuple(each.name for each in fields(Run))
_AT_ONCE = 500
"""Runs that are forgotten in one transaction."""
ENDED = RUNS.c.status.not_in(("queued", "running", "draining"))


class SqlBackend(Backend):
    """See `Backend`. The database is brought to this plg's form when it is opened."""

    def __init__(self, database: Database) -> None:
        self._database, self.place = database, database.place
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise

    # Profiles --------------------

    def add(self, profile: Profile) -> None:
        """See `Backend.add`."""
        with self._database.writing() as db:
            _refuse_taken(db, profile)
            with _named_once(profile):
                db.execute(insert(PROFILES).values(_head(profile)))
            _put_version(db, profile)

    def append(self, profile: Profile, after: str) -> None:
        """See `Backend.append`."""
        with self._database.writing() as db:
            present = _locked(db, profile.id)
            if present.etag != after:
                raise changed(present.name)
            _refuse_taken(db, profile)
            head = _head(profile)
            kept = {name: head[name] for name in ("name", "version", "environment")}
            with _named_once(profile):
                db.execute(update(PROFILES).where(PROFILES.c.id == profile.id).values(kept))
            _put_version(db, profile)

    def replace(self, profile: Profile) -> None:
        """See `Backend.replace`."""
        with self._database.writing() as db:
            done = db.execute(
                update(VERSIONS)
                .where(VERSIONS.c.profile_id == profile.id, VERSIONS.c.version == profile.version)
                .values(body=_body(profile), description=profile.description)
            )
            if not done.rowcount:
                raise no_version(profile.id, profile.version)

    def profile(self, id: str, version: int | None = None) -> Profile:
        """See `Backend.profile`."""
        with self._database.reading() as db:
            return _present(db, id, version)

    def named(self, name: str) -> Profile:
        """See `Backend.named`."""
        with self._database.reading() as db:
            id = db.execute(select(PROFILES.c.id).where(PROFILES.c.name == name)).scalar()
            if id is None:
                raise no_profile(name)
            return _present(db, id)

    def versions(self, id: str) -> Sequence[Profile]:
        """See `Backend.versions`."""
        with self._database.reading() as db:
            rows = db.execute(_versions_of(id).order_by(VERSIONS.c.version.desc())).mappings().all()
            if not rows:
                raise no_profile(id)
            grants = _grants(db, id)
            return [_profile(row, grants) for row in rows]

    def remove(self, id: str, etag: str | None = None) -> None:
        """See `Backend.remove`."""
        with self._database.writing() as db:
            present = _locked(db, id)
            if etag is not None and present.etag != etag:
                raise changed(present.name)
            db.execute(delete(PROFILES).where(PROFILES.c.id == id))

    def share(self, id: str, private: bool, grants: Sequence[Grant]) -> Profile:
        """See `Backend.share`."""
        with self._database.writing() as db:
            done = db.execute(update(PROFILES).where(PROFILES.c.id == id).values(private=private))
            if not done.rowcount:
                raise no_profile(id)
            db.execute(delete(GRANTS).where(GRANTS.c.profile_id == id))
            for grant in grants:
                db.execute(insert(GRANTS).values(profile_id=id, kind=grant.kind, name=grant.name, may=grant.may))
            return _present(db, id)

    def find(self, query: Query) -> Page[Summary]:
        """See `Backend.find`."""
        size = page_size(query.limit)
        wanted = select(PROFILES, VERSIONS.c.description, VERSIONS.c.saved_at, VERSIONS.c.body).join(
            VERSIONS, and_(VERSIONS.c.profile_id == PROFILES.c.id, VERSIONS.c.version == PROFILES.c.version)
        )
        for tag in query.tags:
            wanted = wanted.where(PROFILES.c.id.in_(select(TAGS.c.profile_id).where(TAGS.c.tag == tag)))
        if query.name:
            wanted = wanted.where(func.lower(PROFILES.c.name).contains(query.name.lower(), autoescape=True))
        if query.environment:
            wanted = wanted.where(PROFILES.c.environment == query.environment)
        if not query.reader.everything:
            wanted = wanted.where(_seen_by(query.reader))
        name = PROFILES.c.name
        if query.cursor:
            wanted = wanted.where(name > read_cursor(query.cursor, 1)[0])
        with self._database.reading() as db:
            rows = db.execute(wanted.order_by(name).limit(size + 1)).mappings().all()
        items = [_summary(row) for row in rows[:size]]
        return Page(items, write_cursor((items[-1].name,)) if len(rows) > size else "")

    # Runs --------------------

    def put_run(self, run: Run, outcome: bytes | None = None) -> None:
        """See `Backend.put_run`."""
        values = asdict(run)
        with self._database.writing() as db:
            _put(db, RUNS, "id", values, kept=() if run.starred else ("starred",))
            if outcome is not None:
                _put(db, OUTCOMES, "run_id", {"run_id": run.id, "body": outcome})

    def run(self, id: str) -> Run:
        """See `Backend.run`."""
        with self._database.reading() as db:
            row = db.execute(select(RUNS).where(RUNS.c.id == id)).mappings().first()
        if row is None:
            raise no_run(id)
        return _run(row)

    def outcome(self, id: str) -> bytes | None:
        """See `Backend.outcome`."""
        with self._database.reading() as db:
            row = db.execute(
                select(RUNS.c.id, OUTCOMES.c.body)
                .outerjoin(OUTCOMES, OUTCOMES.c.run_id == RUNS.c.id)
                .where(RUNS.c.id == id)
            ).first()
        if row is None:
            raise no_run(id)
        return None if row[1] is None else bytes(row[1])

    def runs(self, query: RunQuery) -> Page[Run]:
        """See `Backend.runs`."""
        size = page_size(query.limit)
        wanted = select(RUNS).where(*(RUNS.c[name] == getattr(query, name) for name in FILTERS if getattr(query, name)))
        if query.starred is not None:
            wanted = wanted.where(RUNS.c.starred == query.starred)
        if query.cursor:
            wanted = wanted.where(tuple_(RUNS.c.started_at, RUNS.c.id) < tuple_(*read_cursor(query.cursor, 2)))
        with self._database.reading() as db:
            newest = wanted.order_by(RUNS.c.started_at.desc(), RUNS.c.id.desc()).limit(size + 1)
            rows = db.execute(newest).mappings().all()
        items = [_run(row) for row in rows[:size]]
        return Page(items, write_cursor((items[-1].started_at, items[-1].id)) if len(rows) > size else "")

    def star(self, id: str, starred: bool) -> None:
        """See `Backend.star`."""
        with self._database.writing() as db:
            if not db.execute(update(RUNS).where(RUNS.c.id == id).values(starred=starred)).rowcount:
                raise no_run(id)

    def prune(self, count: int | None, before: str | None) -> int:
        """See `Backend.prune`."""
        mortal = and_(RUNS.c.starred.is_(False), ENDED)
        newest = select(RUNS.c.id).where(mortal).order_by(RUNS.c.started_at.desc(), RUNS.c.id.desc()).limit(_AT_ONCE)
        wanted = [] if count is None else [newest.offset(count)]
        wanted += [] if before is None else [newest.where(RUNS.c.started_at < before)]
        forgotten = 0
        for doomed in wanted:
            while True:
                # Looked for without the lock: mostly there is nothing to forget.
                with self._database.reading() as db:
                    ids = db.execute(doomed).scalars().all()
                if not ids:
                    break
                with self._database.writing() as db:
                    forgotten += db.execute(delete(RUNS).where(RUNS.c.id.in_(ids), mortal)).rowcount
        return forgotten

    def setting(self, name: str) -> str | None:
        """See `Backend.setting`."""
        with self._database.reading() as db:
            found: str | None = db.execute(select(SETTINGS.c.value).where(SETTINGS.c.name == name)).scalar()
            return found

    def set(self, name: str, value: str) -> None:
        """See `Backend.set`."""
        with self._database.writing() as db:
            _put(db, SETTINGS, "name", {"name": name, "value": value})

    def close(self) -> None:
        """See `Backend.close`."""
        self._database.close()


def _refuse_taken(db: Connection, profile: Profile) -> None:
    taken = select(PROFILES.c.id).where(PROFILES.c.name == profile.name, PROFILES.c.id != profile.id)
    if db.execute(taken).first() is not None:
        raise name_taken(profile.name)


@contextmanager
def _named_once(profile: Profile) -> Iterator[None]:
    """The name may have been given while this was on its way, where writers do not wait for each other."""
    try:
        yield
    except IntegrityError:
        raise name_taken(profile.name) from None


def _locked(db: Connection, id: str) -> Profile:
    """The present version, which nobody else changes before this transaction ends."""
    db.execute(select(PROFILES.c.id).where(PROFILES.c.id == id).with_for_update())
    return _present(db, id)


def _put(db: Connection, table: Table, key: str, values: Mapping[str, Any], kept: Sequence[str] = ()) -> None:
    """A row in place of the one with the same ``key``, whose columns ``kept`` stay."""
    row = (postgresql if db.dialect.name == "postgresql" else sqlite).insert(table).values(values)
    others = {name: row.excluded[name] for name in values if name != key and name not in kept}
    db.execute(row.on_conflict_do_update(index_elements=[key], set_=others))


def _head(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id, "name": profile.name, "version": profile.version, "environment": profile.environment,
        "private": profile.private, "created_at": profile.created_at, "created_by": profile.created_by,
    }  # fmt: skip


def _body(profile: Profile) -> str:
    return json.dumps({name: getattr(profile, name) for name in _BODY}, separators=(",", ":"))


def _put_version(db: Connection, profile: Profile) -> None:
    db.execute(insert(VERSIONS).values(
        profile_id=profile.id, version=profile.version, name=profile.name, description=profile.description,
        saved_at=profile.updated_at, saved_by=profile.updated_by, body=_body(profile),
    ))  # fmt: skip
    db.execute(delete(TAGS).where(TAGS.c.profile_id == profile.id))
    if profile.tags:
        db.execute(insert(TAGS), [{"profile_id": profile.id, "tag": tag} for tag in dict.fromkeys(profile.tags)])


def _versions_of(id: str) -> Select[Any]:
    return select(
        VERSIONS, PROFILES.c.created_at, PROFILES.c.created_by, PROFILES.c.private
    ).join(PROFILES, PROFILES.c.id == VERSIONS.c.profile_id).where(PROFILES.c.id == id)  # fmt: skip


def _present(db: Connection, id: str, version: int | None = None) -> Profile:
    wanted = PROFILES.c.version if version is None else version
    row = db.execute(_versions_of(id).where(VERSIONS.c.version == wanted)).mappings().first()
    if row is None:
        known = version is not None and db.execute(_versions_of(id)).first() is not None
        raise no_version(id, version) if known else no_profile(id)
    return _profile(row, _grants(db, id))


def _grants(db: Connection, id: str) -> tuple[Grant, ...]:
    held = select(GRANTS.c.kind, GRANTS.c.name, GRANTS.c.may).where(GRANTS.c.profile_id == id)
    return tuple(Grant(*row) for row in db.execute(held.order_by(GRANTS.c.kind, GRANTS.c.name)))


def _profile(row: Any, grants: Iterable[Grant]) -> Profile:
    body = json.loads(row["body"])
    return Profile(
        id=row["profile_id"], version=row["version"], name=row["name"], scenario=body["scenario"],
        created_at=row["created_at"], created_by=row["created_by"], updated_at=row["saved_at"],
        updated_by=row["saved_by"], description=row["description"], tags=tuple(body["tags"]),
        metadata=body["metadata"], files=body["files"], secret=tuple(body["secret"]), private=row["private"],
        grants=tuple(grants),
    )  # fmt: skip


def _summary(row: Any) -> Summary:
    return Summary(
        row["id"], row["version"], row["name"], row["description"], tuple(json.loads(row["body"])["tags"]),
        row["environment"], row["created_at"], row["created_by"], row["saved_at"], row["private"],
    )  # fmt: skip


def _seen_by(reader: Reader) -> ColumnElement[bool]:
    holds = or_(
        and_(GRANTS.c.kind == "user", GRANTS.c.name == reader.user),
        and_(GRANTS.c.kind == "role", GRANTS.c.name == reader.role),
    )
    shared = select(GRANTS.c.profile_id).where(holds)
    return or_(PROFILES.c.private.is_(False), PROFILES.c.created_by == reader.user, PROFILES.c.id.in_(shared))


def _run(row: Any) -> Run:
    return Run(**{name: row[name] for name in _RUN})
