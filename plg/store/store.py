"""What programs use: profiles with their secrets sealed, and the history of runs, in whatever place they are kept."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import PurePath

from plg.redaction import HIDDEN
from plg.store.base import MAY, Backend, Draft, Grant, Page, Profile, Query, Retention, Run, RunQuery, Summary
from plg.store.errors import BadValue, Changed, NotFound, changed
from plg.store.keys import Keys
from plg.store.sealing import carried_over, hidden, is_sealed, open_sealed, resealed, seal, takes_from_before

NAME = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
"""What no database takes."""
_MOST_TAGS = 100
_TRIES = 20
"""Times that a save without an ETag is tried again because others save the profile as well."""


def moment(seconds: float) -> str:
    """A moment in seconds since the Unix epoch as UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """Profiles and runs in a ``backend``. ``clock`` gives seconds since the Unix epoch.

    Profiles are handed out with ``***`` for their secrets, but for `opened`. Raises `StoreError`.
    """

    def __init__(self, backend: Backend, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self.backend, self.keys, self._clock = backend, keys, clock

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.backend.place

    # Profiles --------------------

    def create(self, draft: Draft, who: str, *, private: bool = False) -> Profile:
        """Keep a new profile. Raises `NameTaken`, `NoKey`, `BadValue`."""
        now = moment(self._clock())
        made = _checked(_of(draft, secrets.token_hex(8), 1, now, who, now, who))
        made = carried_over(replace(made, private=private), None)
        self.backend.add(seal(made, self.keys))
        return hidden(made)

    def save(self, id: str, draft: Draft, who: str, etag: str | None = None) -> Profile:
        """Keep a new version; where ``etag`` is given, only over the version that has it. ``***`` keeps a secret.

        Raises `Changed`, `NotFound`, `NameTaken`, `NoKey`, `BadValue`.
        """
        for attempt in range(_TRIES):
            before = self.backend.profile(id)
            if etag is not None and before.etag != etag:
                raise changed(before.name)
            now = moment(self._clock())
            made = _of(draft, id, before.version + 1, before.created_at, before.created_by, now, who)
            made = _checked(replace(made, private=before.private, grants=before.grants))
            made = carried_over(made, open_sealed(before, self.keys) if takes_from_before(made) else None)
            try:
                self.backend.append(seal(made, self.keys), before.etag)
            except Changed:
                if etag is not None or attempt == _TRIES - 1:
                    raise
            else:
                return hidden(made)
        raise AssertionError("the last attempt returns or raises")

    def profile(self, id: str, version: int | None = None) -> Profile:
        """One version, the present one by default. Raises `NotFound`."""
        return hidden(self.backend.profile(id, version))

    def look_up(self, word: str, version: int | None = None) -> Profile:
        """As `profile`, by name or by id."""
        try:
            found = self.backend.named(word)
        except NotFound:
            with suppress(NotFound):
                return self.profile(word, version)
            if version is not None:
                self.backend.profile(word)
                raise
            raise
        return hidden(found) if version is None else self.profile(found.id, version)

    def opened(self, id: str, version: int | None = None) -> Profile:
        """One version with its secrets, to run it. Raises `NotFound`, `NoKey`, `Unsealable`."""
        return open_sealed(self.backend.profile(id, version), self.keys)

    def versions(self, id: str) -> Sequence[Profile]:
        """All versions, newest first. Raises `NotFound`."""
        return [hidden(each) for each in self.backend.versions(id)]

    def delete(self, id: str, etag: str | None = None) -> None:
        """Forget a profile, its versions and its secrets. Raises `NotFound`, `Changed`."""
        self.backend.remove(id, etag)

    def share(self, id: str, *, private: bool, grants: Sequence[Grant]) -> Profile:
        """Set who may see and change a profile. Raises `NotFound`, `BadValue`."""
        for grant in grants:
            if grant.kind not in ("user", "role") or grant.may not in MAY or not NAME.fullmatch(grant.name):
                raise BadValue("a profile is shared with a user or a role, to read or to write")
        unique = {(grant.kind, grant.name): grant for grant in grants}
        return hidden(self.backend.share(id, private, list(unique.values())))

    def find(self, query: Query) -> Page[Summary]:
        """Profiles by name."""
        page = self.backend.find(query)
        shown = [replace(each, description=HIDDEN) if is_sealed(each.description) else each for each in page.items]
        return Page(shown, page.next)

    def rekey(self) -> int:
        """Seal all secrets of all versions with the first key; how many versions were sealed by another one."""
        self.keys.sealing("rekey")
        count, query = 0, Query(limit=100)
        while True:
            page = self.backend.find(query)
            for each in page.items:
                with suppress(NotFound):  # deleted meanwhile
                    for version in self.backend.versions(each.id):
                        other = resealed(version, self.keys)
                        if other is not None:
                            self.backend.replace(other)
                            count += 1
            if not page.next:
                return count
            query = replace(query, cursor=page.next)

    # Runs --------------------

    def record(self, run: Run, outcome: bytes | None = None) -> None:
        """Keep a run, or what has become of it since, and forget what the retention no longer keeps."""
        words = {each.name: getattr(run, each.name) for each in fields(run)}
        clean = {name: _NO_TEXT.sub("\ufffd", text) for name, text in words.items() if isinstance(text, str)}
        self.backend.put_run(replace(run, **clean), outcome)  # type: ignore[arg-type]  # fields of text alone
        self.prune()

    def run(self, id: str) -> Run:
        """One run. Raises `NotFound`."""
        return self.backend.run(id)

    def outcome(self, id: str) -> bytes | None:
        """What was kept of its outcome. Raises `NotFound`."""
        return self.backend.outcome(id)

    def runs(self, query: RunQuery) -> Page[Run]:
        """Runs, newest first."""
        return self.backend.runs(query)

    def star(self, id: str, starred: bool = True) -> None:
        """Keep a run for ever, or no longer. Raises `NotFound`."""
        self.backend.star(id, starred)

    @property
    def retention(self) -> Retention:
        """Which runs are kept."""
        count, age = self.backend.setting("keep_count"), self.backend.setting("keep_age_s")
        usual = Retention()
        return Retention(
            usual.count if count is None else int(count) if count else None,
            usual.age_s if age is None else float(age) if age else None,
        )

    def keep(self, retention: Retention) -> int:
        """Set which runs are kept, and forget the others; how many were forgotten."""
        self.backend.set("keep_count", "" if retention.count is None else str(retention.count))
        self.backend.set("keep_age_s", "" if retention.age_s is None else repr(retention.age_s))
        return self.prune()

    def prune(self) -> int:
        """Forget the runs that the retention does not keep; how many."""
        kept = self.retention
        before = None if kept.age_s is None else moment(self._clock() - kept.age_s)
        return self.backend.prune(kept.count, before)

    def close(self) -> None:
        """Let go of files and connections."""
        self.backend.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()


def _of(
    draft: Draft, id: str, version: int, created_at: str, created_by: str, updated_at: str, updated_by: str
) -> Profile:
    return Profile(
        id, version, draft.name, draft.scenario, created_at, created_by, updated_at, updated_by, draft.description,
        tuple(dict.fromkeys(draft.tags)), draft.metadata, draft.files, draft.secret,
    )  # fmt: skip


def _checked(profile: Profile) -> Profile:
    if not NAME.fullmatch(profile.name):
        raise BadValue("the name of a profile has 1 to 200 characters, none of them a control character")
    if len(profile.tags) > _MOST_TAGS or not all(NAME.fullmatch(tag) for tag in profile.tags):
        raise BadValue(f"a profile has at most {_MOST_TAGS} tags of 1 to 200 characters")
    if _NO_TEXT.search(profile.description):
        raise BadValue("the description of a profile is text")
    for name in profile.files:
        if not NAME.fullmatch(name) or PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise BadValue(f"a profile cannot bring a file that is called {name!r}")
    if len(profile.environment) > 200 or _NO_TEXT.search(profile.environment):
        raise BadValue("the name of an environment is text of at most 200 characters")
    return profile
