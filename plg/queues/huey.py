"""huey with ``RedisHuey``: one list, a pickled ``Message`` a job, as ``Huey.enqueue`` of huey 3 writes it.

Workers take from the right. The pickle is written out: a call of ``huey.registry.Message`` with eight of its fields.
A message does not say when it was sent, so its id says when the job is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plg.queues.base import Job, Sight, Survey, Usual
from plg.queues.list_account import accounted
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, digest
from plg.queues.traces import Place, Traces, by_job
from plg.queues.tracing import Tracing

MOST_JOBS_A_COMMAND = 256
_ID = re.compile(rb"plg-[0-9a-f]{12}-([0-9a-f]{12})-\d{13}")
_HEAD = 120
"""Bytes of a message in which its id begins."""
_DUE = re.compile(rb"plg-[0-9a-f]{12}-[0-9a-f]{12}-(\d{13})")


class HueyFormat(Usual):
    """See the top of the file. ``call`` is the module and the name of the task: ``tasks.send_mail``."""

    name = "huey"
    meaning = "huey: tasks for `huey_consumer` with RedisHuey"
    expresses = frozenset({"call", "args", "kwargs", "delay", "retry", "backoff"})
    gauges = frozenset({"delayed"})
    in_cluster = (
        "huey takes braces out of names, so that its keys lie in several slots: it needs a server that is no cluster"
    )

    def job_faults(self, job: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        call = job.get("call")
        if isinstance(call, str) and "." not in call:
            yield "call", f"must be module and name of the task, such as shop.{call}"

    def keys(self, job: Job) -> Mapping[str, str]:
        return {_key(job): "list"}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        # A time to come is a datetime in UTC: made by its own parser, whose name with a dot needs protocol 4.
        eta: Word = (b"N",)
        if job.delay is not None:
            eta = (b"cdatetime\ndatetime.fromisoformat\n(V", Slot("now_iso", job.delay), b"\ntR")
        retries, backoff = (job.retry.max, job.retry.backoff) if job.retry is not None else (0, 0.0)
        message: Word = (
            b"\x80\x04chuey.registry\nMessage\n(V", *_number(run_id, job), b"\n",
            Spelled(job.call, "pickle"), *eta, Spelled(retries, "pickle"), Spelled(backoff, "pickle"), b"N",
            Spelled(list(job.args), "pickle"), Spelled(dict(job.kwargs), "pickle"), b"tR.",
        )  # fmt: skip
        return Recipe(((constant("LPUSH"), constant(_key(job)), message),), MOST_JOBS_A_COMMAND)

    def tracing(self, job: Job, run_id: str) -> Tracing:
        return Tracing(_number(run_id, job))

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The length, the oldest message at the right end, and the schedule. What a worker has stands nowhere."""
        key, name = _key(jobs[0]), _name(jobs[0])

        def seen(answers: Sequence[Any], now: float) -> Sight:
            length, tail, delayed = answers
            if not length or tail is None:
                return Sight(0, 0.0, delayed=delayed)
            due = _DUE.search(tail)
            return Sight(length, None if due is None else max(0.0, now - int(due[1]) / 1000), delayed=delayed)

        return accounted(Survey((("LLEN", key), ("LINDEX", key, -1), ("ZCARD", f"huey.schedule.{name}")), seen), [key])

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The list, the schedule and the results."""
        name, heads = _name(jobs[0]), [b"plg-%s-" % _run(run_id, job) for job in by_job(jobs)]

        def mine(element: bytes, value: bytes) -> int | None:
            # The id is what a message begins with, also one that huey has written again.
            found = next((at for head in heads if 0 <= (at := value.find(head, 0, _HEAD)) < _HEAD), None)
            told = None if found is None else _ID.match(value, found)
            return None if told is None else int(told[1], 16)

        def result(element: bytes, value: bytes) -> int | None:
            return mine(element, element)

        places = (
            Place(_key(jobs[0]), "list", mine),
            Place(f"huey.schedule.{name}", "zset", mine),
            Place(f"huey.results.{name}", "hash", result),
        )
        return Traces(places)


def _name(job: Job) -> str:
    """As huey writes the name of an instance into its keys."""
    return re.sub(r"[^a-z0-9]", "", job.queue.name.lower())


def _key(job: Job) -> str:
    return f"huey.redis.{_name(job)}"


def _run(run_id: str, job: Job) -> bytes:
    """The part of the ids that jobs of one kind in one run have in common."""
    return b"%012x" % (digest("huey", run_id, job.name) >> 16)


def _number(run_id: str, job: Job) -> Word:
    """The id of a job; it tells when the job is due, too."""
    return (b"plg-", _run(run_id, job), b"-", Slot("seq_hex"), b"-", Slot("now_ms", job.delay or 0.0))
