"""BullMQ: a hash for each job, and lists and sorted sets of ids. Workers take from the right of ``wait``.

As the scripts of ``Queue.add`` of BullMQ 6 write them, but for the entries in the stream of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Question, Sight, Survey, Usual, beyond
from plg.queues.envelope import moment
from plg.queues.list_account import accounted
from plg.queues.messages import fields, oldest
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, json_of, unique_id
from plg.queues.traces import Ids, Made, Mine, Own, Place, Traces, by_job
from plg.queues.tracing import GONE, Trace, Tracing

_TRACED = ("timestamp", "processedOn", "finishedOn", "atm", "ats", "delay", "pb")
"""``atm`` counts runs that ended, ``ats`` those that began."""
_A_PRIORITY = 1 << 32
"""Between two priorities, in the scores of the set of prioritized jobs."""
_MARKS = frozenset({b"0", b"1"})
"""What wakes workers."""
_NO_JOB = frozenset({b"drained"})
"""Events that are of no job."""


class BullmqFormat(Usual):
    """See the top of the file. ``retry`` counts tries after the first one, BullMQ's ``attempts`` count all."""

    name = "bullmq"
    meaning = "BullMQ: jobs for its Worker"
    settings: Mapping[str, str] = {"prefix": "the prefix of the queue (default: bull)"}
    expresses = frozenset({"call", "payload", "priority", "delay", "retry", "backoff"})
    gauges = frozenset({"in_flight", "delayed", "workers"})
    in_cluster = 'with `prefix: "{bull}"`, which its workers take too, all keys lie in one slot'

    def job_faults(self, job: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return beyond(job, "priority", 0, 2_097_151, "BullMQ knows 1, which comes first, to 2,097,151, and 0 for none")

    def keys(self, job: Job) -> Mapping[str, str]:
        base = _base(job)
        main = {f"{base}wait": "list", f"{base}marker": "zset"}
        if job.delay is not None:
            return {**main, f"{base}delayed": "zset"}
        return {**main, f"{base}prioritized": "zset"} if job.priority else main

    def recipe(self, job: Job, run_id: str) -> Recipe:
        base, number = _base(job), unique_id(run_id, job.name, "bullmq")
        delay = 0 if job.delay is None else round(job.delay * 1000)
        options: dict[str, Any] = {"attempts": job.retry.max + 1 if job.retry is not None else 0}
        if job.retry is not None and job.retry.backoff:
            options["backoff"] = {"type": "fixed", "delay": round(job.retry.backoff * 1000)}
        options |= {name: value for name, value in (("delay", delay), ("priority", job.priority)) if value}
        fields: dict[str, Word] = {
            "name": constant(job.call or job.name),
            "data": (Spelled(job.payload, "json"),),
            "opts": (json_of(options),),
            "timestamp": (Slot("now_ms"),),
            "delay": constant(str(delay)),
            "priority": constant(str(job.priority)),
        }
        pairs = [word for name, value in fields.items() for word in (constant(name), value)]
        marker, stored = constant(f"{base}marker"), (constant("HSET"), (base.encode(), *number), *pairs)
        if job.delay is not None:
            later = Slot("now_ms", job.delay)
            return Recipe(
                (
                    stored,
                    (constant("ZADD"), constant(f"{base}delayed"), (Slot("now_ms_4096", job.delay),), number),
                    # The marker says when the next delayed job is due: it never moves back for a later one.
                    (constant("ZADD"), marker, constant("LT"), (later,), constant("1")),
                )
            )
        awake = (constant("ZADD"), marker, constant("0"), constant("0"))
        if job.priority:
            score = constant(str(job.priority * _A_PRIORITY))
            return Recipe((stored, (constant("ZADD"), constant(f"{base}prioritized"), score, number), awake))
        return Recipe((stored, (constant("LPUSH"), constant(f"{base}wait"), number), awake))

    def tracing(self, job: Job, run_id: str) -> Tracing:
        """The job's hash, which BullMQ keeps unless the worker says otherwise."""
        base = _base(job).encode()

        def questions(number: bytes) -> Sequence[Question]:
            return (("HMGET", base + number, *_TRACED), ("HEXISTS", base + number, "returnvalue"))

        number = unique_id(run_id, job.name, "bullmq")
        # It may keep so many of those that ended, or those of so many seconds.
        return Tracing(number, questions, _trace, "BullMQ's own records", unless="removeOnComplete", some=True)

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """Jobs that wait, with and without a priority, those with workers, delayed and failed ones."""
        base = _base(jobs[0])

        def seen(answers: Sequence[Any], now: float) -> Sight | Survey:
            waiting, tail, prioritized, first, active, delayed, failed = answers

            def sight(age: float | None) -> Sight:
                return Sight(waiting + prioritized, age, active, delayed, failed)

            heads = [*([tail] if tail is not None else []), *first]
            if not heads:
                return sight(0.0)
            return Survey(
                [("HMGET", base.encode() + head, "timestamp", "opts") for head in heads],
                lambda found, _: sight(oldest([_due(each, now) for each in found], now)),
            )

        return accounted(
            Survey(
                (
                    ("LLEN", f"{base}wait"),
                    ("LINDEX", f"{base}wait", -1),
                    ("ZCARD", f"{base}prioritized"),
                    ("ZRANGE", f"{base}prioritized", 0, 0),
                    ("LLEN", f"{base}active"),
                    ("ZCARD", f"{base}delayed"),
                    ("ZCARD", f"{base}failed"),
                ),
                seen,
                (("HMGET", f"{base}plg", "timestamp", "opts"),),
            ),
            [f"{base}wait"],
        )

    def census(self, jobs: Sequence[Job]) -> Survey:
        """Connections that are named as those of a worker of the queue; not told where a server has over a thousand."""
        queue = jobs[0].queue
        return crews.named_clients(str(queue.settings.get("prefix", "bull")), queue.name)

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """All lists and sets of ids, the events, and each job with its log and the lock that its worker has."""
        base = _base(jobs[0])
        ids = Ids.of(unique_id(run_id, job.name, "bullmq") for job in by_job(jobs))
        waiting = [f"{base}{each}" for each in ("wait", "paused", "prioritized", "delayed", "waiting-children")]
        done = [f"{base}{each}" for each in ("completed", "failed")]
        lists, events, held = (f"{base}wait", f"{base}paused"), f"{base}events", f"{base}active"
        places = (
            *(Place(key, "list" if key in lists else "zset", ids.element) for key in (*waiting, *done)),
            Place(f"{base}stalled", "set", ids.element),
            Place(events, "stream", _event_of(ids)),
            Place(held, "list", ids.element, held=True),
        )
        heads = [f"{base}{head.decode()}" for head in ids.heads]
        own = [
            *(Own(head, end) for head in heads for end in ("", ":logs")),
            *(Own(h, ":lock", held=True) for h in heads),
        ]
        others = (*waiting, held, *done)
        marker = Made(f"{base}marker", None, others, _MARKS, "zset")
        return Traces(places, own, (marker, Made(events, None, others, _NO_JOB)))


def _due(told: Sequence[Any], now: float) -> float | None:
    """When a job was due: its timestamp is of when it was added, the delay stands in its options."""
    stamp, options = told
    added, delay = moment(stamp and stamp.decode(), now), fields(options).get("delay")
    return added if added is None or not isinstance(delay, int | float) else added + delay / 1e3


def _base(job: Job) -> str:
    return f"{job.queue.settings.get('prefix', 'bull')}:{job.queue.name}:"


def _event_of(ids: Ids) -> Mine:
    """An event names its job in one of its fields."""

    def mine(element: bytes, value: bytes) -> int | None:
        names = value.split(b"\0")
        return ids.seq(names[names.index(b"jobId") + 1]) if b"jobId" in names[:-1] else None

    return mine


def _trace(answers: Sequence[Any]) -> Trace:
    """One job, from the fields of its hash, and whether it has returned."""
    [stamp, *moments, made, starts, delay, worker], done = answers
    if stamp is None:
        return GONE
    began, finished = (_seconds(moment) for moment in moments)
    ended, begun = (int(count) if count and count.isdigit() else 0 for count in (made, starts))
    who = worker.decode("utf-8", "replace") if worker else ""
    # What the hash says of a start is of the last run.
    first = began if begun <= 1 else None
    failures = max(0, ended - bool(done))
    if finished is not None:
        # A run that ended neither way was given to another worker, as its own was silent for too long.
        again = max(0, begun - ended)
        return Trace("completed" if done else "dead", first, began, finished, failures, max(0, ended - 1), again, who)
    if begun > ended:
        return Trace("running", first, began, None, failures, failures, worker=who)
    later = ended > 0 or (delay not in (None, b"0") and began is None)
    return Trace("delayed" if later else "waiting", None, None, None, failures, failures)


def _seconds(milliseconds: bytes | None) -> float | None:
    return int(milliseconds) / 1000 if milliseconds and milliseconds.isdigit() else None
