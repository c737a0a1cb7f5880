"""How many jobs wait and how old the oldest is, asked of the server over a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from plg.targets.address import Address
from plg.targets.base import Depth
from plg.targets.client import Client, Command
from plg.targets.faults import explain
from plg.targets.queues import Queue
from plg.targets.stamp import enqueued_at

_CONNECT_TIMEOUT = 0.4
_ANSWER_TIMEOUT = 0.5


@dataclass(frozen=True, slots=True)
class Sight:
    """One queue as seen: ``waiting`` jobs, and when the oldest was put there (s, by the clock that stamped it)."""

    waiting: int
    since: float | None


class RedisProbe:
    """`plg.targets.base.QueueProbe` for lists and streams.

    A list holds what waits (LLEN), its oldest job at the right end. A stream without consumer groups holds XLEN; with
    groups, each group has ``lag`` entries not yet delivered and ``pending`` ones delivered but not acknowledged, and
    the furthest behind counts. One round trip a look for lists; two more while streams hold entries.
    """

    def __init__(self, address: Address, queues: Sequence[Queue], *, clock: Callable[[], float] = time.time) -> None:
        self._client = Client(address, connect_timeout=_CONNECT_TIMEOUT, answer_timeout=_ANSWER_TIMEOUT)
        self._queues = queues
        self._clock = clock

    def look(self) -> Depth:
        """See `plg.targets.base.QueueProbe.look`; a server that is paused costs at most a second."""
        lists = [queue for queue in self._queues if queue.kind == "list"]
        streams = [queue for queue in self._queues if queue.kind == "stream"]
        answers = iter(self._ask([*_list_questions(lists), *_stream_questions(streams)]))
        now = self._clock()
        seen = [(_list_sight(next(answers), next(answers), now), now) for _ in lists]
        if streams:
            server_now = _seconds(next(answers))
            ends = [StreamEnds.read(queue.key, *(next(answers) for _ in range(3))) for queue in streams]
            seen += [(sight, server_now) for sight in self._stream_sights([end for end in ends if end.length])]
        return _sum(seen)

    def _stream_sights(self, streams: Sequence[StreamEnds]) -> list[Sight]:
        """Streams that hold something are asked for their groups, and the groups for what they have yet to do."""
        groups = [_groups(answer) for answer in self._ask([("XINFO", "GROUPS", stream.key) for stream in streams])]
        pairs = list(zip(streams, groups, strict=True))
        answers = iter(self._ask([question for stream, own in pairs for question in _group_questions(stream, own)]))
        return [_stream_sight(stream, own, [(next(answers), next(answers)) for _ in own]) for stream, own in pairs]

    def _ask(self, commands: list[Command]) -> list[Any]:
        if not commands:
            return []
        answers = self._client.ask(commands)
        for answer in answers:
            if isinstance(answer, Exception) and not _is_absence(answer):
                raise explain(answer, f"{self._client.address.shown}, looking at the queues,")
        return answers

    def close(self) -> None:
        self._client.close()


def _is_absence(answer: Exception) -> bool:
    return "no such key" in str(answer).lower()


def _sum(seen: Iterable[tuple[Sight, float]]) -> Depth:
    """Depth over all queues. With nothing waiting the age is 0; where no waiting job is dated it is None."""
    waiting = 0
    ages = []
    for sight, now in seen:
        waiting += sight.waiting
        if sight.waiting and sight.since is not None:
            ages.append(max(0.0, now - sight.since))
    return Depth(waiting, max(ages) if ages else None if waiting else 0.0)


def _list_questions(queues: Iterable[Queue]) -> list[Command]:
    # The undated are asked too, at the left end of nothing: one shape of answer for all is worth an empty reply.
    return [
        question
        for queue in queues
        for question in (("LLEN", queue.key), ("LRANGE", queue.key, -1, -1 if queue.dated else -2))
    ]


def _list_sight(length: int, tail: list[bytes], now: float) -> Sight:
    return Sight(length, enqueued_at(tail[0], now) if tail else None)


def _stream_questions(queues: Sequence[Queue]) -> list[Command]:
    questions: list[Command] = [("TIME",)] if queues else []
    for queue in queues:
        questions += [
            ("XLEN", queue.key),
            ("XRANGE", queue.key, "-", "+", "COUNT", 1),
            ("XREVRANGE", queue.key, "+", "-", "COUNT", 1),
        ]
    return questions


def _seconds(time_answer: Sequence[bytes]) -> float:
    return int(time_answer[0]) + int(time_answer[1]) / 1e6


Id = tuple[int, int]
"""Of a stream's entry: milliseconds by the server's clock, and a number among those of the same millisecond."""


def _id(text: bytes) -> Id:
    milliseconds, _, sequence = text.decode().partition("-")
    return int(milliseconds), int(sequence or 0)


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
        return StreamEnds(key, length, _id(first[0][0]) if first else (0, 0), _id(last[0][0]) if last else (0, 0))


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group: the last id delivered to it, deliveries it has not acknowledged, entries it has yet to get.

    ``lag`` is None where the server does not know it (entries deleted in the middle, or Redis before 7).
    """

    name: bytes
    delivered: Id
    pending: int
    lag: int | None

    def behind(self, stream: StreamEnds) -> int:
        """Entries the group has not dealt with; the length of the stream where the server cannot say."""
        if self.delivered >= stream.last:
            return self.pending
        return stream.length if self.lag is None else self.lag + self.pending


def _groups(answer: Any) -> tuple[Group, ...]:
    """From the answer to XINFO GROUPS; none where the stream went away since."""
    if isinstance(answer, Exception):
        return ()
    found = [dict(zip(fields[::2], fields[1::2], strict=True)) for fields in answer]
    return tuple(Group(f[b"name"], _id(f[b"last-delivered-id"]), f[b"pending"], f.get(b"lag")) for f in found)


def _group_questions(stream: StreamEnds, groups: Iterable[Group]) -> list[Command]:
    """For each group: its deliveries in sum, and the first entry it has not been given."""
    questions: list[Command] = []
    for group in groups:
        milliseconds, sequence = group.delivered
        # The next id rather than an open interval, which Redis knows since 6.2.
        after = f"{milliseconds}-{sequence + 1}" if sequence < 2**64 - 1 else f"{milliseconds + 1}-0"
        questions += [("XPENDING", stream.key, group.name), ("XRANGE", stream.key, after, "+", "COUNT", 1)]
    return questions


def _stream_sight(stream: StreamEnds, groups: Sequence[Group], answers: Sequence[tuple[Any, Any]]) -> Sight:
    """``answers`` are those to `_group_questions`, two a group."""
    if not groups:
        return Sight(stream.length, stream.first[0] / 1e3)
    oldest = []
    for pending, undelivered in answers:
        if not isinstance(pending, Exception) and pending[0]:
            oldest.append(_id(pending[1]))
        if not isinstance(undelivered, Exception) and undelivered:
            oldest.append(_id(undelivered[0][0]))
    return Sight(max(group.behind(stream) for group in groups), min(oldest)[0] / 1e3 if oldest else None)
