"""One stream and its consumer groups, as seen at one moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from plg.dataclass import dataclass
from plg.queues.base import Question

Id = tuple[int, int]
"""Of a stream's entry: milliseconds by the server's clock, and a number among those of the same millisecond."""


def id_of(text: bytes) -> Id:
    milliseconds, _, sequence = text.decode().partition("-")
    return int(milliseconds), int(sequence or 0)


def _id_in(answer: Any) -> Id | None:
    return id_of(answer) if isinstance(answer, bytes) and re.fullmatch(rb"\d{1,20}-\d{1,20}", answer) else None


@dataclass(frozen=True, slots=True)
class StreamEnds:
    """One stream: its length and the ids of its first and last entry, (0, 0) where it is empty."""

    key: str
    length: int
    first: Id
    last: Id

    @staticmethod
    def read(key: str, length: int, first: list[Any], last: list[Any]) -> StreamEnds:
        """From the answers to XLEN, XRANGE and XREVRANGE."""
        return StreamEnds(key, length, id_of(first[0][0]) if first else (0, 0), id_of(last[0][0]) if last else (0, 0))


@dataclass(frozen=True, slots=True)
class Book:
    """What a stream knows of its past: ``made`` is False where there is none. ``last`` is the id last added, there or
    not. ``added`` entries in all, and the greatest id that was ``deleted`` one by one: None before Redis 7. All of them
    are None where it may not be asked."""

    made: bool | None
    last: Id | None = None
    added: int | None = None
    deleted: Id | None = None

    @staticmethod
    def read(answer: Any) -> Book:
        """From the answer to XINFO STREAM, which may be an error."""
        if isinstance(answer, Exception) and "no such key" in str(answer).lower():
            return Book(False)
        if not isinstance(answer, list) or len(answer) % 2 or not all(isinstance(name, bytes) for name in answer[::2]):
            return Book(None)
        told = dict(zip(answer[::2], answer[1::2], strict=True))
        added = told.get(b"entries-added")
        last, deleted = (_id_in(told.get(name)) for name in (b"last-generated-id", b"max-deleted-entry-id"))
        return Book(True, last, added if isinstance(added, int) else None, deleted)


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group: the last id delivered to it, deliveries it has not acknowledged, entries it has yet to get.

    ``lag`` is None where the server does not know it (entries deleted in the middle, or Redis before 7). ``read``
    counts what it was given or has skipped; None where it was put to its place without reading, and where ``counts`` is
    not set, as before Redis 7.
    """

    name: bytes
    delivered: Id
    pending: int
    lag: int | None
    read: int | None = None
    counts: bool = False
    consumers: int = 0

    @staticmethod
    def all_of(answer: Any) -> tuple[Group, ...]:
        """From the answer to XINFO GROUPS; none where there is no stream."""
        if isinstance(answer, Exception):
            return ()
        found = [dict(zip(fields[::2], fields[1::2], strict=True)) for fields in answer]
        return tuple(
            Group(
                f[b"name"], id_of(f[b"last-delivered-id"]), f[b"pending"], f.get(b"lag"), f.get(b"entries-read"),
                b"entries-read" in f, f.get(b"consumers", 0),
            )
            for f in found
        )  # fmt: skip

    def behind(self, stream: StreamEnds) -> int:
        """Entries the group has not dealt with; the length of the stream where the server cannot say."""
        if self.delivered >= stream.last:
            return self.pending
        return stream.length if self.lag is None else min(self.lag, stream.length) + self.pending

    def not_given(self, stream: StreamEnds) -> int:
        """Entries that are there and that the group has not been given. Where the server cannot say, 0 if it has been
        given any of those that are there."""
        if self.delivered >= stream.last:
            return 0
        if self.lag is None:
            return 0 if self.delivered >= stream.first else stream.length
        return min(self.lag, stream.length)

    def missed(self, stream: StreamEnds, book: Book) -> int:
        """Entries that are gone and that the group was never given, as far as that can be told."""
        read = 0 if self.delivered == (0, 0) else self.read
        if book.added is None or book.last is None or read is None:
            return 0
        if self.delivered >= (stream.first if stream.length else book.last):
            return 0
        return max(0, book.added - read - stream.length)


def group_questions(stream: StreamEnds, group: Group) -> tuple[Question, Question]:
    """Its deliveries in sum, and the first entry it has not been given."""
    milliseconds, sequence = group.delivered
    # The next id rather than an open interval, which Redis knows since 6.2.
    after = f"{milliseconds}-{sequence + 1}" if sequence < 2**64 - 1 else f"{milliseconds + 1}-0"
    return ("XPENDING", stream.key, group.name), ("XRANGE", stream.key, after, "+", "COUNT", 1)


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream, its groups, and of each group by name the first entry it has not acknowledged (``held``) and the first
    it has not been given (``ahead``); what is not there is left out."""

    ends: StreamEnds
    book: Book
    groups: Sequence[Group] = ()
    held: Mapping[bytes, Id] = field(default_factory=dict)
    ahead: Mapping[bytes, Id] = field(default_factory=dict)

    def group(self, name: bytes) -> Group | None:
        return next((group for group in self.groups if group.name == name), None)

    @property
    def waiting(self) -> int:
        """Entries that wait, or are with a consumer, by the group that is furthest behind."""
        return max((group.behind(self.ends) for group in self.groups), default=self.ends.length)
