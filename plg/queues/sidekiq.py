"""Sidekiq: a list a queue, a JSON object a job, as ``Sidekiq::Client#push`` writes it. Workers take from the right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Question, Sight, Survey, Usual
from plg.queues.envelope import moment
from plg.queues.list_account import accounted
from plg.queues.messages import fields, oldest
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, digest, json_of
from plg.queues.traces import Ids, Made, Place, Traces, by_job
from plg.queues.tracing import Tracing

MOST_JOBS_A_COMMAND = 512


class SidekiqFormat(Usual):
    """See the top of the file. Sidekiq 8 writes moments in milliseconds, those before it in seconds."""

    name = "sidekiq"
    meaning = "Sidekiq: jobs for `sidekiq`"
    settings: Mapping[str, str] = {"moments": "ms (Sidekiq 8, the default) or s (Sidekiq 7 and before)"}
    expresses = frozenset({"call", "args", "delay", "retry"})
    shared = frozenset({"delayed", "dead"})
    gauges = frozenset({"delayed", "workers"})
    in_cluster = "Sidekiq gives its keys fixed names, in slots of their own: it needs a server that is no cluster"

    def faults(self, queue: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        if queue.get("moments", "ms") not in ("ms", "s"):
            yield "moments", "must be ms or s"

    def keys(self, job: Job) -> Mapping[str, str]:
        main = {f"queue:{job.queue.name}": "list", "queues": "set"}
        return main if job.delay is None else {**main, "schedule": "zset"}

    def announcement(self, job: Job) -> Sequence[Question]:
        return (("SADD", "queues", job.queue.name),)

    def recipe(self, job: Job, run_id: str) -> Recipe:
        now = Slot("now_s" if job.queue.settings.get("moments") == "s" else "now_ms")
        number: Word = (_head(run_id, job), Slot("seq_hex"))
        retry = True if job.retry is None else job.retry.max or False
        body: Word = (
            b'{"class":', json_of(job.call), b',"args":', Spelled(list(job.args), "json"), b',"retry":', json_of(retry),
            b',"queue":', json_of(job.queue.name), b',"jid":"', *number, b'","created_at":', now,
        )  # fmt: skip
        if job.delay is not None:
            return Recipe(((constant("ZADD"), constant("schedule"), (Slot("now_s", job.delay),), (*body, b"}")),))
        pushed = (*body, b',"enqueued_at":', now, b"}")
        return Recipe(((constant("LPUSH"), constant(f"queue:{job.queue.name}"), pushed),), MOST_JOBS_A_COMMAND)

    def tracing(self, job: Job, run_id: str) -> Tracing:
        return Tracing((_head(run_id, job), Slot("seq_hex")))

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The list; delayed, failed and dead jobs stand in sets that all queues share."""
        key = f"queue:{jobs[0].queue.name}"

        def seen(answers: Sequence[Any], now: float) -> Sight:
            length, tail, delayed, failed, dead = answers
            age = oldest([moment(fields(tail).get("enqueued_at"), now)], now) if length and tail else 0.0
            return Sight(length if tail else 0, age, delayed=delayed + failed, dead=dead)

        return accounted(
            Survey(
                (("LLEN", key), ("LINDEX", key, -1), ("ZCARD", "schedule"), ("ZCARD", "retry"), ("ZCARD", "dead")), seen
            ),
            [key],
        )

    def census(self, jobs: Sequence[Job]) -> Survey:
        """Processes that work at the queue and are not quiet; one that was killed is there for a minute."""
        queue = jobs[0].queue.name

        def works(told: Any) -> bool:
            info, quiet = told
            return quiet != b"true" and queue in (fields(info).get("queues") or ())

        return crews.in_set("processes", lambda name: ("HMGET", name, "info", "quiet"), works)

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The list, and the sets that all queues share. What a worker has stands in no queue."""
        key = f"queue:{jobs[0].queue.name}"
        mine = Ids(_head(run_id, job) for job in by_job(jobs)).in_field("jid")
        places = (Place(key, "list", mine), *(Place(each, "zset", mine) for each in ("schedule", "retry", "dead")))
        return Traces(places, made=(Made("queues", jobs[0].queue.name, (key,)),))


def _head(run_id: str, job: Job) -> bytes:
    """Half of the 24 hexadecimal digits of an id: the others are the number of the job."""
    return b"%012x" % (digest("sidekiq", run_id, job.name) >> 16)
