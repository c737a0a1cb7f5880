"""dramatiq with its Redis broker: messages in a hash, and a list of their ids that workers take from the left.

As ``RedisBroker.enqueue`` of dramatiq 2 writes them, by a script that does no more than these two commands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Sight, Survey, Usual
from plg.queues.envelope import moment
from plg.queues.list_account import LEFT, accounted
from plg.queues.messages import due, fields, oldest
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, json_of, unique_id
from plg.queues.traces import Ids, Own, Place, Traces, by_job
from plg.queues.tracing import Tracing

_MOST_WORKERS = 999


class DramatiqFormat(Usual):
    """See the top of the file."""

    name = "dramatiq"
    meaning = "dramatiq: messages for `dramatiq`"
    settings: Mapping[str, str] = {"namespace": "the namespace of the broker (default: dramatiq)"}
    expresses = frozenset({"call", "args", "kwargs", "delay", "timeout", "retry", "backoff"})
    gauges = frozenset({"in_flight", "delayed", "workers"})
    in_cluster = (
        'dramatiq knows no cluster: with `namespace: "{NAME}"`, which its broker takes too, all its keys lie in one '
        "slot, and its workers are given the node that holds it"
    )

    def keys(self, job: Job) -> Mapping[str, str]:
        later = {} if job.delay is None else {f"{_key(job)}.DQ": "list", f"{_key(job)}.DQ.msgs": "hash"}
        return {_key(job): "list", f"{_key(job)}.msgs": "hash", **later}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        key = _key(job) if job.delay is None else f"{_key(job)}.DQ"
        number, other = unique_id(run_id, job.name, "dramatiq"), unique_id(run_id, job.name, "dramatiq message")
        options: dict[str, Any] = {}
        if job.timeout is not None:
            options["time_limit"] = round(job.timeout * 1000)
        if job.retry is not None:
            options["max_retries"] = job.retry.max
            if job.retry.backoff:
                options["min_backoff"] = options["max_backoff"] = round(job.retry.backoff * 1000)
        more = b"," + json_of(options)[1:-1] if options else b""
        eta: Word = (
            ()
            if job.delay is None
            else (b',"eta":', Slot("now_ms", job.delay), b',"plg_due":', Slot("now_ms", job.delay))
        )
        name = job.queue.name if job.delay is None else f"{job.queue.name}.DQ"
        message: Word = (
            b'{"queue_name":', json_of(name), b',"actor_name":', json_of(job.call), b',"args":',
            Spelled(list(job.args), "json"), b',"kwargs":', Spelled(dict(job.kwargs), "json"),
            b',"options":{"redis_message_id":"', *number, b'"', *eta, more, b'},"message_id":"', *other,
            b'","message_timestamp":', Slot("now_ms"), b"}",
        )  # fmt: skip
        return Recipe(
            (
                (constant("HSET"), constant(f"{key}.msgs"), number, message),
                (constant("RPUSH"), constant(key), number),
            )
        )

    def tracing(self, job: Job, run_id: str) -> Tracing:
        return Tracing(unique_id(run_id, job.name, "dramatiq message"))

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The list; messages that are in no list are with a worker; delayed and dead ones have keys of their own."""
        key = _key(jobs[0])

        def seen(answers: Sequence[Any], now: float) -> Sight | Survey:
            waiting, head, messages, delayed, dead = answers

            def sight(age: float | None) -> Sight:
                return Sight(waiting, age, max(0, messages - waiting), delayed, dead)

            if head is None:
                return sight(0.0)
            return Survey((("HGET", f"{key}.msgs", head),), lambda found, _: sight(_age(found[0], now)))

        return accounted(
            Survey(
                (
                    ("LLEN", key),
                    ("LINDEX", key, 0),
                    ("HLEN", f"{key}.msgs"),
                    ("HLEN", f"{key}.DQ.msgs"),
                    ("ZCARD", f"{key}.XQ"),
                ),
                seen,
                (("HGET", f"{key}.msgs", "plg"),),
            ),
            [key],
            LEFT,
        )

    def census(self, jobs: Sequence[Job]) -> Survey:
        """Processes that gave a sign within five seconds; of all queues of the namespace, and clients that enqueue."""
        return crews.Heartbeats(f"{jobs[0].queue.settings.get('namespace', 'dramatiq')}:__heartbeats__").survey()

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The lists and dead messages, the hashes beside them, and results, where the workers keep them.

        A message that is tried again has another id in Redis, so each is known by what it says itself. What a worker
        has stands in a set of that worker's.
        """
        key, own_jobs = _key(jobs[0]), by_job(jobs)
        ids = Ids.of(unique_id(run_id, job.name, "dramatiq message") for job in own_jobs)
        mine, queues = ids.in_field("message_id"), (key, f"{key}.DQ")
        dead = f"{key}.XQ"
        places = (
            *(Place(each, "list", mine, worker="left", messages=f"{each}.msgs") for each in queues),
            Place(dead, "zset", mine, messages=f"{dead}.msgs"),
            *(Place(f"{each}.msgs", "hash", mine) for each in (*queues, dead)),
        )
        space, _, name = key.rpartition(":")

        def held(workers: Sequence[bytes]) -> list[Place]:
            names = [worker.decode("utf-8", "replace") for worker in workers]
            return [
                Place(f"{space}:__acks__.{worker}.{queue}", "set", mine, held=True, messages=f"{space}:{queue}.msgs")
                for worker in names
                for queue in (name, f"{name}.DQ")
            ]

        own = [
            Own(f"dramatiq-results:{name}:{job.call}:", named=_result(run_id, job, md5))
            for job in own_jobs
            for md5 in (True, False)
        ]
        return Traces(places, own, further=(("ZRANGE", f"{space}:__heartbeats__", 0, _MOST_WORKERS), held))


def _age(message: Any, now: float) -> float | None:
    told = fields(message)
    # Of a delayed message the timestamp stays that of its sending.
    return oldest(
        [due(moment(told.get("message_timestamp"), now), fields(told.get("options")).get("plg_due"), now)], now
    )


def _key(job: Job) -> str:
    return f"{job.queue.settings.get('namespace', 'dramatiq')}:{job.queue.name}"


def _result(run_id: str, job: Job, md5: bool) -> Callable[[int], str]:
    """The key of the result of a job: dramatiq calls it by the MD5 of its name, or by its name."""
    head = unique_id(run_id, job.name, "dramatiq message")[0].decode()

    def key(seq: int) -> str:
        name = f"dramatiq-results:{job.queue.name}:{job.call}:{head}{seq:012x}"
        return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() if md5 else name

    return key
