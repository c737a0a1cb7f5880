"""What a recogniser of one framework's queues says, and helpers for those whose names are parts of keys."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from plg.dataclass import dataclass
from plg.queues.base import Question


@dataclass(frozen=True, slots=True)
class Spelling:
    """A queue as scenarios name it: the format, the name and settings of the format."""

    format: str
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        settings = ", ".join(f"{name}: {json.dumps(value)}" for name, value in self.settings.items())
        return f"queue {self.format} {json.dumps(self.name)}" + (f" {{ {settings} }}" if settings else "")


@dataclass(frozen=True, slots=True)
class Mark:
    """``how`` a queue was recognised, where the mark also tells how a scenario writes it, or that none can."""

    how: str
    spelling: Spelling | None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Marks may stand where nobody looked; ``why`` is a clause for the user."""

    why: str


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Questions to ask of the server, and what their answers mean. None of them writes.

    ``read`` gets one answer a question; what was refused is None, as is what does not exist. It returns how the queue
    was recognised (words), None where it was not, or how to go on, in one direction or several. Questions that name no
    key are asked ``everywhere``: of each node of a cluster, and what follows on them of the same node.
    """

    questions: Sequence[Question]
    read: Callable[[Sequence[Any]], Finding]
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Roll:
    """Questions whose answers name queues, and how: none of them writes. What was refused is answered by None."""

    questions: Sequence[Question]
    read: Callable[[Sequence[Any]], tuple[Spelling | Roll, ...]]


Finding = str | Mark | Unseen | Inquiry | tuple[Unseen | Inquiry, ...] | None


class Owner(Protocol):
    """One framework. ``kinds`` are the queue formats of plg that write its jobs, ``name`` is what people call it, and
    ``harm`` what comes of jobs in another form in its queues. ``prefetches``: workers take jobs long before.
    ``usual`` is the name of a key that its queue has by default, though any program may use it. ``registers`` are sets,
    by their names, that name queues. ``surprises`` are what its users should know of it: a code and a sentence each.
    """

    kinds: frozenset[str]
    name: str
    harm: str
    prefetches: bool
    usual: str
    registers: tuple[str, ...]
    surprises: Mapping[str, str]

    def by_key(self, key: str) -> str | None:
        """How ``key`` alone gives the queue away: only where no other use of such a name is likely."""

    def by_value(self, value: bytes) -> str | None:
        """How a job that waits gives the queue away: an element of a list, or a field of a stream's entry."""

    def alien(self, value: bytes) -> bool:
        """Whether what waits in a queue of the framework can be none of its jobs."""

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        """What to ask about the marks that the framework sets beside a queue whose value is of type ``kind``."""

    def spelling(self, key: str, kind: str) -> Spelling | None:
        """How a scenario writes this queue, whose value is of type ``kind``, in the framework's own form."""

    def named(self, key: str) -> Spelling | None:
        """The queue that a key of this name is a part of, where the name alone tells."""

    def suspected(self, key: str) -> str | None:
        """The key of a queue that there may be, since one of the name ``key`` is there."""

    def is_register(self, key: str) -> bool:
        """Whether a set of this name, one of ``registers`` or like them, names queues."""

    def member(self, register: str, member: str) -> Spelling | None:
        """The queue that a ``member`` of such a set names; None where it is none."""

    def roll(self) -> Roll | None:
        """Who else names queues: living workers, and jobs that wait for their time."""


def another(owner: Owner) -> Owner:
    """Whoever wrote jobs that are none of ``owner``'s into a queue of it."""
    found = Unmarked()
    found.name, found.harm = "another program", owner.harm
    return found


class Unmarked:
    """What most recognisers have nothing to say to."""

    kinds: frozenset[str] = frozenset()
    name = ""
    harm = ""
    prefetches = False
    usual = ""
    registers: tuple[str, ...] = ()
    surprises: Mapping[str, str] = {}

    def by_key(self, key: str) -> str | None:
        return None

    def by_value(self, value: bytes) -> str | None:
        return None

    def alien(self, value: bytes) -> bool:
        return False

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        return None

    def spelling(self, key: str, kind: str) -> Spelling | None:
        return None

    def named(self, key: str) -> Spelling | None:
        return None

    def suspected(self, key: str) -> str | None:
        return None

    def is_register(self, key: str) -> bool:
        return key in self.registers

    def member(self, register: str, member: str) -> Spelling | None:
        return None

    def roll(self) -> Roll | None:
        return None


def default_name(name: str) -> str:
    """How a queue that nothing in Redis marks is recognised by the name that its framework gives to it by default."""
    return f"{name} is the name of its queue unless told otherwise, also before a worker has left a mark"


def splits(key: str, separators: str) -> Iterator[tuple[str, str]]:
    """``key`` as (prefix with its separator, rest), at each of its separators."""
    for at, letter in enumerate(key):
        if letter in separators:
            yield key[: at + 1], key[at + 1 :]


def text(value: Any) -> str:
    """An answer as text; "" for one that was refused or is not there."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def number(value: Any) -> int:
    """An answer as a number; 0 for one that was refused or is not there."""
    return value if isinstance(value, int) else 0


def literal(pattern: str) -> str:
    """As a pattern of Redis that only this text fits."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", pattern)


def fields(value: bytes) -> dict[str, Any]:
    """The fields of a JSON object; none where ``value`` is no such thing."""
    if not value.startswith(b"{"):
        return {}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
