"""A plain Redis stream: XADD with one field ``job``; workers read by consumer groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from plg.queues.base import Change, Job, Sight, Survey, Usual
from plg.queues.envelope import UNNAMED, envelope, number_in, number_of
from plg.queues.recipe import Recipe, constant
from plg.queues.stream_account import StreamAccount
from plg.queues.stream_state import Book, Group, StreamEnds, StreamState, group_questions, id_of
from plg.queues.traces import Made, Place, Traces
from plg.queues.tracing import Tracing


class StreamFormat(Usual):
    """See the top of the file. ``max_len`` trims the stream to exactly that length at each XADD."""

    name = "stream"
    meaning = "a plain stream: XADD, and workers in consumer groups"
    settings: Mapping[str, str] = {"max_len": "the length the stream is trimmed to"}
    expresses = frozenset({"payload", "encoding", "priority", "timeout", "retry", "enqueued_at"})
    taken = "group"
    gauges = frozenset({"in_flight"})

    def keys(self, job: Job) -> Mapping[str, str]:
        return {job.queue.name: "stream"}

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

        account = StreamAccount(key)

        def seen(answers: Sequence[Any], _: float) -> Sight | Survey:
            moment, length, first, last, groups, book, *aside = answers
            ends, now = StreamEnds.read(key, length, first, last), int(moment[0]) + int(moment[1]) / 1e6
            state = StreamState(ends, Book.read(book), Group.all_of(groups))
            if not ends.length or not state.groups:
                age = max(0.0, now - ends.first[0] / 1e3) if ends.length else 0.0
                return Sight(ends.length, age, 0, change=account.look(state, aside))
            return _placed(state, now, lambda placed: account.look(placed, aside))

        return Survey(
            (
                ("TIME",),
                ("XLEN", key),
                ("XRANGE", key, "-", "+", "COUNT", 1),
                ("XREVRANGE", key, "+", "-", "COUNT", 1),
                ("XINFO", "GROUPS", key),
            ),
            seen,
            (("XPENDING", key, "plg"),),
            frozenset({"XPENDING"}),
            (("XINFO", "STREAM", key), *account.questions),
        )

    def tracing(self, job: Job, run_id: str) -> Tracing | None:
        return None if job.encoding == "raw" else Tracing(number_of(run_id))

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        blind = UNNAMED if any(job.encoding == "raw" for job in jobs) else ""
        key = jobs[0].queue.name
        return Traces((Place(key, "stream", number_in(run_id)),), made=(Made(key),), blind=blind)


def _placed(state: StreamState, now: float, account: Callable[[StreamState], Change]) -> Survey:
    """The groups are asked for what they have yet to do."""

    def read(answers: Sequence[Any], _: float) -> Sight:
        pending, undelivered = (
            {group.name: answer for group, answer in zip(state.groups, side, strict=True) if _found(answer)}
            for side in (answers[::2], answers[1::2])
        )
        placed = replace(
            state,
            held={name: id_of(answer[1]) for name, answer in pending.items() if answer[0]},
            ahead={name: id_of(answer[0][0]) for name, answer in undelivered.items()},
        )
        # Who has jobs to acknowledge may have the oldest of them.
        refused = zip(state.groups, answers[::2], strict=True)
        hidden = any(isinstance(answer, Exception) and group.pending for group, answer in refused)
        return replace(_sight(placed, now, hidden=hidden), change=account(placed))

    return Survey([question for group in state.groups for question in group_questions(state.ends, group)], read)


def _found(answer: Any) -> bool:
    return not isinstance(answer, Exception) and bool(answer)


def _sight(state: StreamState, now: float, *, hidden: bool) -> Sight:
    stream, oldest = state.ends, [*state.held.values(), *state.ahead.values()]
    waiting = state.waiting
    # What was there when the groups were asked for and is not now has been dealt with: nothing waits.
    if not waiting or not (oldest or hidden):
        return Sight(0, 0.0, 0)
    # Among several groups a job is taken as soon as one of them has it.
    untaken = min(waiting, *(group.not_given(stream) for group in state.groups))
    age = None if hidden else max(0.0, now - min(oldest)[0] / 1e3)
    # A job is in the hands of the group that has most to acknowledge.
    return Sight(waiting, age, max(group.pending for group in state.groups), untaken=untaken)
