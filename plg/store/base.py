"""What is kept, and what a store must be able to do. Each implementation is one subclass of `Backend`.

A backend never sees a secret: documents come to it sealed (see `plg.store.sealing`), and leave it so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Generic, Literal, TypeVar

from plg.dataclass import dataclass

Document = dict[str, Any]
MAY = ("read", "write")
"""What a share grants. Whoever may write may read."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A profile shared with a ``kind`` of holder, by ``name``: that one may read it, or write it as well."""

    kind: Literal["user", "role"]
    name: str
    may: Literal["read", "write"] = "read"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: an account and its role. ``everything``: an administrator, or whoever has the data folder itself."""

    user: str = ""
    role: str = ""
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A profile as it is to be saved.

    ``scenario`` is a document as it stands in a file, params and ``env`` unresolved; ``files`` are the tables and
    recordings that it reads (base64, by name). ``secret`` names further fields to seal, as ``params.token``,
    ``scenario.description`` or ``metadata.custom_fields.owner``.
    """

    name: str
    scenario: Document
    description: str = ""
    tags: tuple[str, ...] = ()
    metadata: Document = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    secret: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """One version of a profile. Moments are UTC, ISO 8601; ``etag`` changes with every change of what it holds.

    A ``private`` one is seen by who made it, by administrators, and by whom it is shared with.
    """

    id: str
    version: int
    name: str
    scenario: Document
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    description: str = ""
    tags: tuple[str, ...] = ()
    metadata: Document = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    private: bool = False
    grants: tuple[Grant, ...] = ()
    edited: str = ""
    """Of a file that was changed by hand since its last version: what tells this text from others."""
    sealed_as: int | None = None
    """The version that its secrets were sealed for, where that is another one: a file keeps them when it is edited."""

    @property
    def etag(self) -> str:
        """As HTTP spells it."""
        return f'"{self.id}.{self.version}{"+" * bool(self.edited)}{self.edited}"'

    @property
    def environment(self) -> str:
        """What the profile is for, by its metadata."""
        found = self.metadata.get("environment")
        return found if isinstance(found, str) else ""

    def seen_by(self, reader: Reader) -> bool:
        """Whether ``reader`` may look at it."""
        return not self.private or self.kept_by(reader) or any(_holds(grant, reader) for grant in self.grants)

    def kept_by(self, reader: Reader) -> bool:
        """Whether it is the reader's own to share and delete."""
        return reader.everything or reader.user == self.created_by

    def changed_by(self, reader: Reader) -> bool:
        """Whether ``reader`` may save a new version, where the role allows it at all."""
        return self.kept_by(reader) or any(grant.may == "write" and _holds(grant, reader) for grant in self.grants)


def _holds(grant: Grant, reader: Reader) -> bool:
    return grant.name == (reader.user if grant.kind == "user" else reader.role)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list shows of a profile; nothing in it is sealed."""

    id: str
    version: int
    name: str
    description: str
    tags: tuple[str, ...]
    environment: str
    created_at: str
    created_by: str
    updated_at: str
    private: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which profiles: with all of the ``tags``, ``name`` in their name (in any case), for one ``environment``."""

    tags: tuple[str, ...] = ()
    name: str = ""
    environment: str = ""
    reader: Reader = Reader(everything=True)
    limit: int = 50
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what was run, where, by whom, from which commit, and what came of it.

    ``plan_digest`` tells runs of one plan from others. ``target`` has no password. Moments are UTC, ISO 8601.
    """

    id: str
    name: str
    status: str = "completed"
    verdict: str = ""
    exit_code: int | None = None
    reason: str = ""
    started_at: str = ""
    duration_s: float = 0.0
    target: str = ""
    server: str = ""
    machine: str = ""
    commit: str = ""
    branch: str = ""
    who: str = ""
    environment: str = ""
    plan_digest: str = ""
    scenario_hash: str = ""
    profile_id: str = ""
    profile_version: int | None = None
    planned: int | None = None
    acked: int | None = None
    starred: bool = False


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs; newest first. An empty value asks for any."""

    name: str = ""
    status: str = ""
    verdict: str = ""
    branch: str = ""
    commit: str = ""
    profile_id: str = ""
    plan_digest: str = ""
    who: str = ""
    starred: bool | None = None
    limit: int = 50
    cursor: str = ""


FILTERS = ("name", "status", "verdict", "branch", "commit", "profile_id", "plan_digest", "who")
"""Fields of a run that a query compares as they are."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many ended runs are kept, and how long (s); None sets no bound. Starred and unended ones are always kept."""

    count: int | None = 10_000
    age_s: float | None = None


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A stretch of a list; ``next`` is the cursor of what follows, empty at the end."""

    items: Sequence[T]
    next: str = ""


class Backend(ABC):
    """Where profiles and runs are kept. All methods may be called from several threads and processes at once.

    What has returned is kept, also where the process is killed the moment after; what has not is there as a whole or
    not at all. Raises `plg.store.errors.StoreError`.
    """

    place: str
    """Where it is, without a password: for people."""

    @abstractmethod
    def add(self, profile: Profile) -> None:
        """Keep a new profile. Raises `NameTaken`."""

    @abstractmethod
    def append(self, profile: Profile, after: str) -> None:
        """Keep a new version over the one with the ETag ``after``. Raises `Changed`, `NotFound`, `NameTaken`."""

    @abstractmethod
    def replace(self, profile: Profile) -> None:
        """Put a version in place of itself, sealed otherwise. Raises `NotFound`."""

    @abstractmethod
    def profile(self, id: str, version: int | None = None) -> Profile:
        """One version, the present one by default. Raises `NotFound`."""

    @abstractmethod
    def named(self, name: str) -> Profile:
        """The profile with this name. Raises `NotFound`."""

    @abstractmethod
    def versions(self, id: str) -> Sequence[Profile]:
        """All versions, newest first. Raises `NotFound`."""

    @abstractmethod
    def remove(self, id: str, etag: str | None = None) -> None:
        """Forget a profile and its versions. Raises `NotFound`, `Changed`."""

    @abstractmethod
    def share(self, id: str, private: bool, grants: Sequence[Grant]) -> Profile:
        """Set who may see and change it; no new version. Raises `NotFound`."""

    @abstractmethod
    def find(self, query: Query) -> Page[Summary]:
        """Profiles by name. Raises `BadValue` for a cursor of another list."""

    @abstractmethod
    def put_run(self, run: Run, outcome: bytes | None = None) -> None:
        """Keep a run, or what has become of it since; a star stays. ``outcome`` None leaves what is there."""

    @abstractmethod
    def run(self, id: str) -> Run:
        """One run. Raises `NotFound`."""

    @abstractmethod
    def outcome(self, id: str) -> bytes | None:
        """What was kept of its outcome. Raises `NotFound`."""

    @abstractmethod
    def runs(self, query: RunQuery) -> Page[Run]:
        """Runs, newest first."""

    @abstractmethod
    def star(self, id: str, starred: bool) -> None:
        """Keep a run for ever, or no longer. Raises `NotFound`."""

    @abstractmethod
    def prune(self, count: int | None, before: str | None) -> int:
        """Forget ended runs without a star: all but the ``count`` newest, and those that started ``before``; how many
        were forgotten."""

    @abstractmethod
    def setting(self, name: str) -> str | None:
        """A setting of the store."""

    @abstractmethod
    def set(self, name: str, value: str) -> None:
        """Change a setting of the store."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
