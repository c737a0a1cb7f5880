"""Celery: one list a queue, a JSON message a job, as ``Task.apply_async`` of Celery 5 writes them (protocol 2).

Workers take from the right. Each priority that is not 0 has a list of its own, called ``QUEUE<6><22>PRIORITY``. A
message does not say when it was sent, so a header of plg's own does: tasks find it in ``request.headers``.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Question, Sight, Survey, Usual, beyond
from plg.queues.envelope import moment
from plg.queues.list_account import accounted
from plg.queues.messages import due, fields, json_in, oldest
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, json_of, unique_id
from plg.queues.traces import Ids, Made, Own, Place, Traces, by_job
from plg.queues.tracing import Tracing

_BETWEEN = "\x06\x16"
_STEPS = (0, 3, 6, 9)
"""The priorities that kombu has lists for; others are sorted in below."""


class CeleryFormat(Usual):
    """See the top of the file."""

    name = "celery"
    meaning = "Celery: tasks for `celery worker`"
    settings: Mapping[str, str] = {
        "exchange": "the exchange of the queue (default: the name of the queue)",
        "routing_key": "the routing key of the queue (default: the name of the queue)",
        "prefix": "the global_keyprefix of the broker",
    }
    expresses = frozenset({"call", "args", "kwargs", "priority", "delay", "timeout"})
    shared = frozenset({"in_flight"})
    gauges = frozenset({"in_flight", "workers"})
    in_cluster = (
        'Celery knows no cluster: with `prefix: "{NAME}:"`, the global_keyprefix of its broker, all its keys lie in '
        "one slot, and its workers are given the node that holds it"
    )

    def job_faults(self, job: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return beyond(job, "priority", 0, 9, "Celery on Redis knows 0, which comes first, to 9")

    def keys(self, job: Job) -> Mapping[str, str]:
        main = f"{_prefix(job)}{job.queue.name}"
        return {main: "list", _list(job): "list", f"{_prefix(job)}_kombu.binding.{_exchange(job)}": "set"}

    def announcement(self, job: Job) -> Sequence[Question]:
        """What a client declares: without it a message is routed to the queue all the same."""
        binding = _BETWEEN.join((_routing_key(job), "", job.queue.name))
        return (("SADD", f"{_prefix(job)}_kombu.binding.{_exchange(job)}", binding),)

    def recipe(self, job: Job, run_id: str) -> Recipe:
        number = unique_id(run_id, job.name, "celery")
        quoted: Word = (b'"', *number, b'"')
        eta: Word = (b"null",) if job.delay is None else (b'"', Slot("now_iso", job.delay), b'+00:00"')
        limits = json_of([job.timeout, None])
        route = json_of({"exchange": "", "routing_key": job.queue.name})
        none = dict.fromkeys(("shadow", "expires", "group", "group_index", "parent_id"))
        message: Word = (
            b'{"body":"[', Spelled(list(job.args), "json_text"), b",", Spelled(dict(job.kwargs), "json_text"),
            b',{\\"callbacks\\":null,\\"errbacks\\":null,\\"chain\\":null,\\"chord\\":null}]",',
            b'"content-encoding":"utf-8","content-type":"application/json","headers":{"lang":"py","task":',
            json_of(job.call), b',"id":', *quoted, b',"root_id":', *quoted, b',"eta":', *eta, b',"timelimit":', limits,
            b',"retries":0,"origin":"plg","ignore_result":false,', json_of(none)[1:-1], b',"plg_run":', json_of(run_id),
            b',"plg_seq":', Slot("seq"), b',"plg_sent":', Slot("now_s"), b'},"properties":{"correlation_id":', *quoted,
            b',"reply_to":"","delivery_mode":2,"delivery_info":', route, b',"priority":', json_of(job.priority),
            b',"delivery_tag":', *quoted, b"}}",
        )  # fmt: skip
        return Recipe(((constant("LPUSH"), constant(_list(job)), message),), MOST_JOBS_A_COMMAND)

    def tracing(self, job: Job, run_id: str) -> Tracing:
        return Tracing(unique_id(run_id, job.name, "celery"))

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The lists of all priorities; what workers hold, in one hash for all queues, and prefetched ones among it."""
        name, prefix = f"{_prefix(jobs[0])}{jobs[0].queue.name}", _prefix(jobs[0])
        lists = [name, *(f"{name}{_BETWEEN}{step}" for step in _STEPS[1:])]

        def seen(answers: Sequence[Any], now: float) -> Sight:
            held, lengths, ends = answers[0], answers[1::2], answers[2::2]
            waiting = sum(lengths)
            messages = [end for end in ends if end is not None]
            heads = [fields(fields(message).get("headers")) for message in messages]
            moments = [due(moment(head.get("plg_sent"), now), head.get("eta"), now) for head in heads]
            return Sight(waiting, oldest(moments, now) if waiting else 0.0, in_flight=held)

        questions = [question for key in lists for question in (("LLEN", key), ("LINDEX", key, -1))]
        return accounted(Survey((("HLEN", f"{prefix}unacked"), *questions), seen), lists)

    def census(self, jobs: Sequence[Job]) -> Survey:
        """Workers that listen to remote control, which all do unless it is turned off; of all queues of the broker."""
        return crews.broadcast_to(f"{_prefix(jobs[0])}_kombu.binding.celery.pidbox")

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The lists of all priorities, what workers hold in one hash for all queues, and the results."""
        prefix = _prefix(jobs[0])
        name, held = f"{prefix}{jobs[0].queue.name}", f"{prefix}unacked"
        lists = [name, *(f"{name}{_BETWEEN}{step}" for step in _STEPS[1:])]
        ids = Ids.of(unique_id(run_id, job.name, "celery") for job in by_job(jobs))

        def mine(element: bytes, value: bytes) -> int | None:
            # The ids of a job stand in the messages of its descendants too.
            return ids.seq(str(fields(fields(value).get("headers")).get("id"))) if ids.among(value) else None

        def delivered(element: bytes, value: bytes) -> int | None:
            told = json_in(value) if ids.among(value) else None
            return ids.seq(str(fields(fields(told[0]).get("headers")).get("id"))) if isinstance(told, list) else None

        places = (
            *(Place(key, "list", mine) for key in lists),
            Place(held, "hash", delivered, held=True, beside=(("ZREM", f"{prefix}unacked_index"),)),
        )
        starts = dict.fromkeys((prefix, ""))
        own = [Own(f"{start}celery-task-meta-{head.decode()}") for head in ids.heads for start in starts]
        made = []
        for job in jobs:
            [(_, key, member)] = self.announcement(job)
            # Where a worker has been here, the binding is its own as well.
            made.append(Made(str(key), str(member), (*lists, held, f"{prefix}_kombu.binding.celery.pidbox")))
        return Traces(places, own, tuple(dict.fromkeys(made)))


MOST_JOBS_A_COMMAND = 128
"""A message is some 700 bytes."""


def _prefix(job: Job) -> str:
    return str(job.queue.settings.get("prefix", ""))


def _exchange(job: Job) -> str:
    return str(job.queue.settings.get("exchange", job.queue.name))


def _routing_key(job: Job) -> str:
    return str(job.queue.settings.get("routing_key", job.queue.name))


def _list(job: Job) -> str:
    step = _STEPS[max(0, bisect(_STEPS, job.priority) - 1)]
    return f"{_prefix(job)}{job.queue.name}" + (f"{_BETWEEN}{step}" if step else "")
