"""The profiles of a server: `plg.store` asked beside the thread that serves, with its errors as answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from plg.access.roles import Account
from plg.server.posted import read_posted
from plg.server.problems import Problem, diagnostic_fault
from plg.store.base import Draft, Grant, Profile, Reader
from plg.store.errors import BadValue, Changed, NameTaken, NoKey, NotFound, StoreError, Unsealable
from plg.store.store import Store

if TYPE_CHECKING:
    from plg.runs.order import Order

T = TypeVar("T")
_STATUS: Mapping[type[StoreError], int] = {
    NotFound: 404, NameTaken: 409, Changed: 412, BadValue: 422, NoKey: 422, Unsealable: 409,
}  # fmt: skip
_DOCUMENT = ("pattern", "guardrails", "job_config", "jobs", "expect", "target")
"""Fields of a scenario that may stand at the top of a body in its place."""
_FIELDS: Mapping[str, type] = {
    "name": str, "description": str, "tags": list, "scenario": dict, "metadata": dict, "secret": list, "files": dict,
    "private": bool,
}  # fmt: skip


class Profiles:
    """Opens the store when it is first asked for; ``database`` as `plg.store.open.open_store` has it."""

    def __init__(self, data: Path, database: str | None) -> None:
        self._data, self._database = data, database
        self._store: Store | None = None
        self._opening = asyncio.Lock()

    async def do(self, what: Callable[[Store], T]) -> T:
        """What a function of the store gives. Raises `Problem`."""
        try:
            async with self._opening:
                if self._store is None:
                    self._store = await asyncio.to_thread(self._open)
            return await asyncio.to_thread(what, self._store)
        except StoreError as error:
            status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 503)
            faults = [diagnostic_fault(each) for each in error.diagnostics]
            raise Problem(status, error.code, error.message, faults=faults) from None

    def _open(self) -> Store:
        from plg.store.open import open_store

        return open_store(self._data, self._database)

    async def close(self) -> None:
        """Let go of the database."""
        store, self._store = self._store, None
        if store is not None:
            await asyncio.to_thread(store.close)


def reader_of(account: Account) -> Reader:
    """The account as the store knows it."""
    return Reader(account.name, account.role, everything=account.role == "admin")


def seen(store: Store, profile_id: str, account: Account, version: int | None = None) -> Profile:
    """A profile that the account may look at. Raises `NotFound` also where it may not."""
    profile = store.profile(profile_id, version)
    if not profile.seen_by(reader_of(account)):
        raise NotFound(f"there is no profile {profile_id[:64]!r}")
    return profile


def changeable(store: Store, profile_id: str, account: Account, *, keeping: bool = False) -> Profile:
    """A profile that the account may change, or with ``keeping`` delete and share. Raises `Problem` 403."""
    profile = seen(store, profile_id, account)
    reader = reader_of(account)
    if not (profile.kept_by(reader) if keeping else profile.changed_by(reader)):
        raise Problem(403, "forbidden", f"the profile {profile.name} is not yours to change")
    return profile


def kept(store: Store, draft: Draft, account: Account) -> Profile:
    """The profile of this name with the draft as its newest version, or a new one. Raises as `changeable`."""
    try:
        present = store.look_up(draft.name)
    except NotFound:
        return store.create(draft, account.name)
    changeable(store, present.id, account)
    return store.save(present.id, draft, account.name)


def shown(profile: Profile) -> dict[str, Any]:
    """The profile as it is answered."""
    document = asdict(profile)
    for name in ("files", "edited", "sealed_as"):
        document.pop(name, None)
    return {**document, "files": sorted(profile.files), "etag": profile.etag}


def draft_in(body: Mapping[str, Any]) -> Draft:
    """The profile in a body. Raises `Problem` 422."""
    for field, value in body.items():
        kind = _FIELDS.get(field)
        if kind is None and field not in _DOCUMENT:
            raise Problem(422, "unknown-key", f"there is no field {field!r} in a profile")
        if kind is not None and not isinstance(value, kind):
            raise Problem(422, "wrong-type", f"`{field}` must be a {kind.__name__}")
    for field in ("tags", "secret"):
        if not all(isinstance(each, str) for each in body.get(field, [])):
            raise Problem(422, "wrong-type", f"`{field}` must hold texts")
    above = {field: body[field] for field in _DOCUMENT if field in body}
    if ("scenario" in body) == bool(above):
        words = "a profile has a `scenario`, or its `pattern`, `guardrails` and jobs in its place"
        raise Problem(422, "bad-body", words)
    name: Any = body.get("name") or body.get("scenario", {}).get("name")
    if not isinstance(name, str):
        raise Problem(422, "missing-key", "a profile needs a `name`")
    scenario = dict(body["scenario"]) if "scenario" in body else above
    scenario.setdefault("name", name)
    posted = read_posted({"scenario": scenario, "files": body.get("files", {})}, (), "", "")
    return Draft(
        name, scenario, body.get("description", str(scenario.get("description", ""))),
        tuple(body.get("tags", scenario.get("tags", ()))), body.get("metadata", {}), posted.order.files,
        tuple(body.get("secret", ())),
    )  # fmt: skip


def grants_in(body: Mapping[str, Any]) -> tuple[bool, list[Grant]]:
    """Whether a profile is private, and with whom it is shared. Raises `Problem` 422."""
    private, grants = body.get("private", True), body.get("grants", [])
    known = set(body) <= {"private", "grants"} and isinstance(private, bool) and isinstance(grants, list)
    whole = known and all(
        isinstance(each, dict) and set(each) <= {"kind", "name", "may"} and {"kind", "name"} <= set(each)
        and all(isinstance(value, str) for value in each.values())
        for each in grants
    )  # fmt: skip
    if not whole:
        raise Problem(422, "bad-body", "a share is {private, grants: [{kind: user or role, name, may: read or write}]}")
    return private, [Grant(**each) for each in grants]


def order_of(profile: Profile, overrides: Mapping[str, str], target: str | None) -> Order:
    """The order for an opened profile, which sees nothing of the server either. Raises `ScenarioError`."""
    from plg.prepare import Request
    from plg.runs.profiles import order_of_profile

    order = order_of_profile(profile, Request(dict(overrides), target), {})
    return replace(order, folder=None, source=None)
