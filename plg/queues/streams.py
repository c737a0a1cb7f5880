"""A plain Redis stream: XADD with one field ``job``; workers read by consumer groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plg.queues.base import Job, Question, Sight, Survey
from plg.queues.envelope import envelope
from plg.queues.recipe import Recipe, constant


class StreamFormat:
    """See the top of the file. ``max_len`` trims the stream to exactly that length at each XADD."""

    name = "stream"
    meaning = "a plain stream: XADD, and workers in consumer groups"
    settings: Mapping[str, str] = {"max_len": "the length the stream is trimmed to"}
    expresses = frozenset({"payload", "encoding", "priority", "timeout", "retry", "enqueued_at"})
    taken = "group"

    def faults(self, queue: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return ()

    def keys(self, job: Job) -> Mapping[str, str]:
        return {job.queue.name: "stream"}

    def announcement(self, job: Job) -> Sequence[Question]:
        return ()

    def recipe(self, job: Job, run_id: str) -> Recipe:
        longest = job.queue.settings.get("max_len")
        trim = () if longest is None else ("MAXLEN", "=", str(longest))
        words = tuple(map(constant, ("XADD", job.queue.name, *trim, "*", "job")))
        return Recipe(((*words, envelope(job, run_id)),))

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """Without consumer groups a stream holds XLEN. With groups, each has ``lag`` entries not yet delivered and
        ``pending`` ones delivered but not acknowledged, and the furthest behind counts. Ages are by the server's clock.
        """
        key = jobs[0].queue.name

        def ends(answers: Sequence[Any], now: float) -> Sight | Survey:
            server_now, *found = answers
            stream = StreamEnds.read(key, *found)
            if not stream.length:
                return Sight(0, 0.0)
            return _groups_of(stream, int(server_now[0]) + int(server_now[1]) / 1e6)

        return Survey(
            (
                ("TIME",),
                ("XLEN", key),
                ("XRANGE", key, "-", "+", "COUNT", 1),
                ("XREVRANGE", key, "+", "-", "COUNT", 1),
            ),
            ends,
            (("XINFO", "GROUPS", key), ("XPENDING", key, "plg")),
            frozenset({"XPENDING"}),
        )


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

    def not_given(self, stream: StreamEnds) -> int:
        """Entries that are there and that the group has not been given. Where the server cannot say, 0 if it has been
        given any of those that are there."""
        if self.delivered >= stream.last:
            return 0
        if self.lag is None:
            return 0 if self.delivered >= stream.first else stream.length
        return self.lag


def _groups_of(stream: StreamEnds, now: float) -> Survey:
    """A stream that holds something is asked for its groups, and the groups for what they have yet to do."""

    def read(answers: Sequence[Any], _: float) -> Sight | Survey:
        groups = _groups(answers[0])
        if not groups:
            return Sight(stream.length, max(0.0, now - stream.first[0] / 1e3))
        questions = [question for group in groups for question in _group_questions(stream, group)]
        return Survey(questions, lambda found, _: _sight(stream, groups, found, now))

    return Survey((("XINFO", "GROUPS", stream.key),), read)


def _groups(answer: Any) -> tuple[Group, ...]:
    """From the answer to XINFO GROUPS; none where the stream went away since."""
    if isinstance(answer, Exception):
        return ()
    found = [dict(zip(fields[::2], fields[1::2], strict=True)) for fields in answer]
    return tuple(Group(f[b"name"], _id(f[b"last-delivered-id"]), f[b"pending"], f.get(b"lag")) for f in found)


def _group_questions(stream: StreamEnds, group: Group) -> tuple[Question, Question]:
    """Its deliveries in sum, and the first entry it has not been given."""
    milliseconds, sequence = group.delivered
    # The next id rather than an open interval, which Redis knows since 6.2.
    after = f"{milliseconds}-{sequence + 1}" if sequence < 2**64 - 1 else f"{milliseconds + 1}-0"
    return ("XPENDING", stream.key, group.name), ("XRANGE", stream.key, after, "+", "COUNT", 1)


def _sight(stream: StreamEnds, groups: Sequence[Group], answers: Sequence[Any], now: float) -> Sight:
    """``answers`` are those to `_group_questions`, two a group."""
    oldest, hidden = [], False
    for group, pending, undelivered in zip(groups, answers[::2], answers[1::2], strict=True):
        if isinstance(pending, Exception):
            # Who has jobs to acknowledge may have the oldest of them.
            hidden = hidden or group.pending > 0
        elif pending[0]:
            oldest.append(_id(pending[1]))
        if not isinstance(undelivered, Exception) and undelivered:
            oldest.append(_id(undelivered[0][0]))
    waiting = max(group.behind(stream) for group in groups)
    # What was there when the groups were asked for and is not now has been dealt with: nothing waits.
    if not waiting or not (oldest or hidden):
        return Sight(0, 0.0)
    # Among several groups a job is taken as soon as one of them has it.
    untaken = min(waiting, *(group.not_given(stream) for group in groups))
    return Sight(waiting, None if hidden else max(0.0, now - min(oldest)[0] / 1e3), untaken=untaken)
