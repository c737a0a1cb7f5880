"""Where jobs of a run may lie in Redis, and how they are told from all others there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from plg.dataclass import dataclass
from plg.queues.base import Job, Question
from plg.queues.messages import fields
from plg.queues.recipe import Slot

Kind = Literal["list", "zset", "hash", "set", "stream"]
Mine = Callable[[bytes, bytes], int | None]
"""The number in its run of the job that an element is of, or None where it is not one of the run: by the element (of a
hash the field, of a stream the id of the entry) and what it holds (the value of a field or entry, the message of an
id; else the element itself)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A key that holds jobs of many runs, and which of them are this run's.

    ``held``: its jobs are with a worker. ``worker`` is the end of a list that workers take from. ``messages`` is a hash
    with a message for each id that stands here: the run's are told by the message, which goes with the id. ``beside``
    are further keys, each with the command that takes the element out of it; ``keys`` are what stands before the
    element in the names of keys that go with it.
    """

    key: str
    kind: Kind
    mine: Mine
    held: bool = False
    worker: Literal["left", "right"] = "right"
    messages: str | None = None
    beside: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()

    def companions(self, element: bytes) -> list[Question]:
        """The commands that remove what goes with an element."""
        beside = (*self.beside, *((("HDEL", self.messages),) if self.messages else ()))
        return [
            *((command, key, element) for command, key in beside),
            *(("UNLINK", start.encode() + element) for start in self.keys),
        ]


@dataclass(frozen=True, slots=True)
class Own:
    """A key for each job of the run: ``head``, the number of the job in twelve hexadecimal digits, ``tail``; or what
    ``named`` makes of the number. A job whose key is ``held`` is with a worker."""

    head: str
    tail: str = ""
    held: bool = False
    named: Callable[[int], str] | None = None

    def key(self, seq: int) -> str:
        return f"{self.head}{seq:012x}{self.tail}" if self.named is None else self.named(seq)

    @property
    def shown(self) -> str:
        """All of these keys, for people; of ``named`` ones what they are."""
        return f"{self.head}*{self.tail}"


@dataclass(frozen=True, slots=True)
class Made:
    """What a run makes beside its jobs where it is not there before: a ``member`` of the set ``key``, or a key that
    stays when nothing is left in it (None). It goes with the run's last job, unless one of the keys ``unless`` is
    there. A key goes only while it is of this ``kind``: under another one it is somebody else's. Entries of a stream,
    or members of a sorted set, that are one of ``nothing`` are nothing that is left in it.
    """

    key: str
    member: str | None = None
    unless: tuple[str, ...] = ()
    nothing: frozenset[bytes] = frozenset()
    kind: Literal["stream", "zset"] = "stream"


@dataclass(frozen=True, slots=True)
class Traces:
    """All that a run may leave in one queue. ``blind`` says in words what of it cannot be told from other jobs.

    ``further``: a question, and the places that its answer names.
    """

    places: Sequence[Place]
    own: Sequence[Own] = ()
    made: Sequence[Made] = ()
    blind: str = ""
    further: tuple[Question, Callable[[Any], Sequence[Place]]] | None = None


_DIGITS = re.compile(rb"[0-9a-f]{12}")


class Ids:
    """The ids that jobs of a run have, each a ``head`` and twelve hexadecimal digits, the number of the job."""

    def __init__(self, heads: Iterable[bytes]) -> None:
        self.heads = tuple(heads)
        self._lengths = sorted({len(head) for head in self.heads})
        self._heads = frozenset(self.heads)

    @staticmethod
    def of(pieces: Iterable[tuple[bytes, Slot]]) -> Ids:
        """Those that `plg.queues.recipe.unique_id` gave the pieces of."""
        return Ids(head for head, _ in pieces)

    def seq(self, text: bytes | str) -> int | None:
        """The number of the job whose id ``text`` is."""
        raw = text.encode() if isinstance(text, str) else text
        for length in self._lengths:
            if len(raw) == length + 12 and raw[:length] in self._heads and _DIGITS.fullmatch(raw, length):
                return int(raw[length:], 16)
        return None

    def among(self, text: bytes) -> bool:
        """Whether one of the ids may stand somewhere in ``text``."""
        return any(head in text for head in self.heads)

    def in_field(self, name: str) -> Mine:
        """`Mine` where the value is a JSON object with the id in the field ``name``."""

        def mine(element: bytes, value: bytes) -> int | None:
            return self.seq(str(fields(value).get(name))) if self.among(value) else None

        return mine

    def element(self, element: bytes, value: bytes) -> int | None:
        """`Mine` where the element is an id."""
        return self.seq(element)

    def after(self, start: bytes) -> Mine:
        """`Mine` where the element is an id with ``start`` before it."""
        return lambda element, value: self.seq(element[len(start) :]) if element.startswith(start) else None

    def before(self, end: bytes) -> Mine:
        """`Mine` where the element is an id, perhaps with ``end`` and more after it."""
        return lambda element, value: self.seq(element.partition(end)[0])


def by_job(jobs: Iterable[Job]) -> list[Job]:
    """One job of each name and call: those whose ids, and keys of results, may differ."""
    return list({(job.name, job.call): job for job in jobs}.values())
