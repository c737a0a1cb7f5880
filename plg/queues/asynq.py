"""Asynq: a hash for each task, with a Protocol Buffers message in it, and a list of ids. Workers take from the right.

As the scripts of ``Client.Enqueue`` of Asynq 0.26 write them: ``msg`` is the ``TaskMessage`` of its ``asynq.proto``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Question, Sight, Survey, Usual
from plg.queues.list_account import accounted
from plg.queues.recipe import Measured, Recipe, Slot, Spelled, Word, constant, unique_id, varint
from plg.queues.traces import Ids, Made, Own, Place, Traces, by_job
from plg.queues.tracing import GONE, State, Trace, Tracing

_TYPE, _PAYLOAD, _ID, _QUEUE, _RETRY, _RETRIED, _TIMEOUT, _RETENTION = 1, 2, 3, 4, 5, 6, 8, 12
"""Numbers of the fields of a ``TaskMessage``."""
_MOST_KEPT = 30 * 86_400
_STATES: Mapping[bytes, State] = {
    b"pending": "waiting", b"aggregating": "waiting", b"active": "running", b"scheduled": "delayed",
    b"retry": "delayed", b"completed": "completed", b"archived": "dead",
}  # fmt: skip
_LOOK = 5
"""Tasks at the right end that are asked for their moments: workers may take some meanwhile."""
_TRIES, _PATIENCE = 25, 1800
"""What Asynq's client gives a task that says nothing: retries, and seconds."""


class AsynqFormat(Usual):
    """See the top of the file. ``call`` is the type of the task."""

    name = "asynq"
    meaning = "Asynq: tasks for its Server"
    settings: Mapping[str, str] = {"retention": "seconds for which Asynq keeps a task that is done (default: none)"}
    expresses = frozenset({"call", "payload", "delay", "timeout", "retry"})
    gauges = frozenset({"in_flight", "delayed", "workers"})
    apart = frozenset({"asynq:queues"})

    def faults(self, queue: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        kept = queue.get("retention", 0)
        if isinstance(kept, bool) or not isinstance(kept, int) or not 0 <= kept <= _MOST_KEPT:
            yield "retention", f"must be a whole number of seconds, {_MOST_KEPT:,} at most"

    def keys(self, job: Job) -> Mapping[str, str]:
        main = {f"{_base(job)}pending": "list", "asynq:queues": "set"}
        return main if job.delay is None else {**main, f"{_base(job)}scheduled": "zset"}

    def announcement(self, job: Job) -> Sequence[Question]:
        return (("SADD", "asynq:queues", job.queue.name),)

    def recipe(self, job: Job, run_id: str) -> Recipe:
        base, number = _base(job), unique_id(run_id, job.name, "asynq")
        tries = _TRIES if job.retry is None else job.retry.max
        patience = _PATIENCE if job.timeout is None else round(job.timeout)
        message: Word = (
            *_text(_TYPE, (job.call or job.name).encode()), *_text(_PAYLOAD, Spelled(job.payload, "json")),
            *_text(_ID, *number), *_text(_QUEUE, job.queue.name.encode()), *_number(_RETRY, tries),
            *_number(_TIMEOUT, patience), *_number(_RETENTION, int(job.queue.settings.get("retention", 0))),
        )  # fmt: skip
        head = (constant("HSET"), (f"{base}t:".encode(), *number), constant("msg"), message, constant("state"))
        if job.delay is not None:
            return Recipe(
                (
                    (*head, constant("scheduled")),
                    (constant("ZADD"), constant(f"{base}scheduled"), (Slot("now_s", job.delay),), number),
                )
            )
        return Recipe(
            (
                (*head, constant("pending"), constant("pending_since"), (Slot("now_us"), b"000")),
                (constant("LPUSH"), constant(f"{base}pending"), number),
            )
        )

    def tracing(self, job: Job, run_id: str) -> Tracing:
        """The task's own hash, where Asynq keeps it after its end; it does not say when the task was started."""
        number, head = unique_id(run_id, job.name, "asynq"), f"{_base(job)}t:".encode()
        if not job.queue.settings.get("retention"):
            return Tracing(number)
        why = "Asynq does not record when a task was started"
        untold = ((name, why) for name in ("queue_wait", "run_time", "end_to_end", "duplicates"))
        return Tracing(
            number, lambda task: (("HMGET", head + task, "state", "msg"),), _trace, "Asynq's own records",
            keeps=float(job.queue.settings["retention"]), untold=tuple(untold),
        )  # fmt: skip

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """Pending and active tasks, those to come (scheduled, or after a failure), and archived ones."""
        base = _base(jobs[0])

        def seen(answers: Sequence[Any], now: float) -> Sight | Survey:
            waiting, active, scheduled, again, archived, *ends = answers
            tail = [each for each in ends if each is not None]

            def sight(found: Sequence[Any], _: float = 0.0) -> Sight:
                # A task that a worker has taken since loses its moment: the next one is the oldest then.
                ages = [age for each in found if (age := _age(each, now)) is not None]
                known = max(ages) if ages else 0.0 if waiting <= len(found) else None
                return Sight(waiting, known, active, scheduled + again, archived)

            if not tail:
                return sight(())
            return Survey([("HGET", f"{base}t:".encode() + each, "pending_since") for each in tail], sight)

        return accounted(
            Survey(
                (
                    ("LLEN", f"{base}pending"),
                    ("LLEN", f"{base}active"),
                    ("ZCARD", f"{base}scheduled"),
                    ("ZCARD", f"{base}retry"),
                    ("ZCARD", f"{base}archived"),
                    *(("LINDEX", f"{base}pending", -place) for place in range(1, _LOOK + 1)),
                ),
                seen,
                (("HGET", f"{base}t:plg", "pending_since"),),
            ),
            [f"{base}pending"],
        )

    def census(self, jobs: Sequence[Job]) -> Survey:
        """Servers that work at the queue; each tells of itself every five seconds, under a key that lives for ten."""
        # In the map of a server's queues (Protocol Buffers), the name of one stands behind its number and length.
        name = jobs[0].queue.name.encode()
        entry = varint(1 << 3 | 2) + varint(len(name)) + name
        return crews.in_sorted_set("asynq:servers", lambda key: ("GET", key), lambda told: entry in (told or b""))

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """All lists and sets of ids, those with a lease among them, and each task."""
        base, name = _base(jobs[0]), jobs[0].queue.name
        ids = Ids.of(unique_id(run_id, job.name, "asynq") for job in by_job(jobs))
        lists = (f"{base}pending", f"{base}active")
        sets = [f"{base}{each}" for each in ("scheduled", "retry", "archived", "completed", "lease")]
        places = (
            *(Place(key, "list", ids.element, held=key.endswith("active")) for key in lists),
            *(Place(key, "zset", ids.element, held=key.endswith("lease")) for key in sets),
        )
        own = [Own(f"{base}t:{head.decode()}") for head in ids.heads]
        return Traces(places, own, (Made("asynq:queues", name, (*lists, *sets)),))


def _age(nanoseconds: bytes | None, now: float) -> float | None:
    if nanoseconds is None or not nanoseconds.isdigit():
        return None
    return max(0.0, now - int(nanoseconds) / 1e9)


def _text(field: int, *pieces: bytes | Slot | Spelled) -> Word:
    """A field whose value has its length before it."""
    return varint(field << 3 | 2), Measured(pieces)


def _number(field: int, value: int) -> Word:
    """A field whose value is a number; one of 0 is left out, as Protocol Buffers do."""
    return (varint(field << 3) + varint(value),) if value else ()


def _base(job: Job) -> str:
    return f"asynq:{{{job.queue.name}}}:"


def _trace(answers: Sequence[Any]) -> Trace:
    """One task, from its state and its message."""
    state, message = answers[0]
    if state is None:
        return GONE
    found, retried = _STATES.get(state, "waiting"), _field(message or b"", _RETRIED)
    return Trace(found, failures=retried + (found == "dead"), retries=retried)


def _field(message: bytes, wanted: int) -> int:
    """A field of a message that is a number; 0 where it is not there, or the message is broken."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _varint(message, at)
        if tag & 7 == 2:  # what has a length is passed over
            at += value
        elif tag & 7 != 0:
            return 0
        elif tag >> 3 == wanted:
            return value
    return 0


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number in base 128, and where the next one begins."""
    value = shift = 0
    while at < len(message):
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            break
    return value, at
