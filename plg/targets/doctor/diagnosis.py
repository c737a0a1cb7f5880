"""What an examination found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from plg.dataclass import dataclass
from plg.queues.base import Sight
from plg.queues.use import QueueInUse

Mode = Literal["alone", "cluster", "sentinel"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that would surprise: a ``code`` for programs and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FoundQueue:
    """A queue and what was seen in it; ``why`` says why nothing was. ``workers`` are those alive; None: not told."""

    queue: QueueInUse
    sight: Sight | None = None
    workers: int | None = None
    why: str = ""

    @property
    def kind(self) -> str:
        return self.queue.format.name

    @property
    def name(self) -> str:
        return self.queue.jobs[0].queue.name

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.queue.jobs[0].queue.settings

    def document(self) -> dict[str, Any]:
        """As JSON; a count that the format cannot tell is null."""
        seen = self.sight
        return {
            "kind": self.kind,
            "name": self.name,
            "waiting": seen and seen.waiting,
            "in_flight": seen and seen.in_flight,
            "delayed": seen and seen.delayed,
            "dead": seen and seen.dead,
            "oldest_age_s": seen.oldest_age if seen and seen.waiting else None,
            "workers": self.workers,
            "key": self.queue.key,
            "settings": dict(self.settings),
            "shared": sorted(self.queue.format.shared),
        }


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the server says of itself. Sizes in bytes, ``answer`` and ``clock_offset`` in s; None: it does not say.

    ``clock_offset`` is how far its clock is ahead of this machine's, known to within ``clock_error``. ``persistence``
    names what it keeps on disk: ``rdb``, ``aof``, ``rdb+aof`` or ``none``.
    """

    name: str
    version: str
    mode: Mode
    nodes: int = 1
    role: str | None = None
    memory: int | None = None
    memory_limit: int | None = None
    memory_policy: str | None = None
    persistence: str | None = None
    answer: float | None = None
    clock_offset: float | None = None
    clock_error: float | None = None

    def document(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "nodes": self.nodes,
            "role": self.role,
            "memory": {"used_bytes": self.memory, "limit_bytes": self.memory_limit, "policy": self.memory_policy},
            "persistence": self.persistence,
            "answer_s": self.answer,
            "clock_offset_s": self.clock_offset,
            "clock_error_s": self.clock_error,
        }


@dataclass(frozen=True, slots=True)
class Writing:
    """Whether plg may write there; None where that is not known. ``how`` it is known, or why it is not."""

    allowed: bool | None
    how: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What the look cost: ``commands`` given, ``keys`` whose names were seen of ``of`` there are."""

    commands: int
    keys: int
    of: int | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that an examination found at ``target``, a URL without its password."""

    target: str
    server: ServerFacts
    writing: Writing
    queues: tuple[FoundQueue, ...] = ()
    warnings: tuple[Remark, ...] = ()
    looked: Looked = field(default=Looked(0, 0, None))

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "server": self.server.name,
            "version": self.server.version,
            "warnings": [{"code": each.code, "message": each.message} for each in self.warnings],
            "queues": [each.document() for each in self.queues],
            "target": self.target,
            **self.server.document(),
            "may_write": {"allowed": self.writing.allowed, "how": self.writing.how},
            "looked": {
                "commands": self.looked.commands, "keys": self.looked.keys, "keys_there": self.looked.of,
            },
        }  # fmt: skip
