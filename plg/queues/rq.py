"""RQ (python-rq, 2 and 3): a hash for each job, and a list of their ids that workers take from the left.

The keys and fields are those that ``Queue.enqueue`` of RQ 3.0 writes. RQ is not imported: what a worker reads of a job
is its ``data``, the pickled list of function, instance, arguments and keyword arguments, and pickles can be written
without running anything. RQ compresses the data; a worker takes it as it is too.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Question, Sight, Survey, Usual
from plg.queues.list_account import LEFT, accounted
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, unique_id
from plg.queues.traces import Ids, Made, Own, Place, Traces, by_job
from plg.queues.tracing import GONE, State, Trace, Tracing

_DEFAULT_TIMEOUT = 180
"""Seconds that RQ itself gives a job that says nothing."""
_KEPT = 500.0
"""Seconds for which RQ keeps a job that succeeded."""
_TRACED = ("status", "started_at", "ended_at", "retries_left", "worker_name")
_STATES: Mapping[bytes, State] = {
    b"queued": "waiting", b"deferred": "delayed", b"scheduled": "delayed", b"started": "running",
    b"finished": "completed", b"failed": "dead", b"stopped": "dead", b"canceled": "dead",
}  # fmt: skip


class RqFormat(Usual):
    """See the top of the file. ``serializer json`` is for workers started with ``--serializer json``."""

    name = "rq"
    meaning = "RQ: jobs for `rq worker`"
    settings: Mapping[str, str] = {"serializer": "pickle (RQ's default) or json, as the workers were started"}
    expresses = frozenset({"call", "args", "kwargs", "timeout", "retry", "backoff"})
    gauges = frozenset({"in_flight", "delayed", "workers"})
    in_cluster = "RQ gives its keys fixed names, in slots of their own: its workers need a server that is no cluster"

    def faults(self, queue: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        if queue.get("serializer", "pickle") not in ("pickle", "json"):
            yield "serializer", "must be pickle or json"

    def job_faults(self, job: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        call = job.get("call")
        if isinstance(call, str) and "." not in call and not hasattr(builtins, call):
            yield "call", f"must be the dotted path of a function that workers can import, such as shop.{call}"

    def keys(self, job: Job) -> Mapping[str, str]:
        return {_key(job): "list", "rq:queues": "set"}

    def announcement(self, job: Job) -> Sequence[Question]:
        """Without it jobs run all the same, but ``rq info`` and dashboards do not see the queue."""
        return (("SADD", "rq:queues", _key(job)),)

    def recipe(self, job: Job, run_id: str) -> Recipe:
        number = unique_id(run_id, job.name, "rq")
        moment: Word = (Slot("now_iso"), b"Z")
        fields: dict[str, Word] = {
            "created_at": moment,
            "enqueued_at": moment,
            "origin": constant(job.queue.name),
            "description": constant(job.call or job.name),
            "status": constant("queued"),
            "timeout": constant(str(round(job.timeout) if job.timeout is not None else _DEFAULT_TIMEOUT)),
            "data": self._data(job),
        }
        if job.retry is not None and job.retry.max:
            fields["retries_left"] = constant(str(job.retry.max))
            fields["retry_intervals"] = constant(json.dumps([round(job.retry.backoff)]))
        pairs = [word for name, value in fields.items() for word in (constant(name), value)]
        return Recipe(
            (
                (constant("HSET"), (b"rq:job:", *number), *pairs),
                (constant("RPUSH"), constant(_key(job)), number),
            )
        )

    def tracing(self, job: Job, run_id: str) -> Tracing:
        """The job's own hash, which RQ keeps for 500 s after a success, and how many results it has."""
        most = job.retry.max if job.retry is not None else 0

        def questions(number: bytes) -> Sequence[Question]:
            return (("HMGET", b"rq:job:" + number, *_TRACED), ("XLEN", b"rq:results:" + number))

        def read(answers: Sequence[Any]) -> Trace:
            return _trace(answers[0], answers[1], most)

        number = unique_id(run_id, job.name, "rq")
        return Tracing(number, questions, read, "RQ's own records", keeps=_KEPT, unless="result_ttl")

    def _data(self, job: Job) -> Word:
        called = [job.call, None, list(job.args), dict(job.kwargs)]
        if job.queue.settings.get("serializer") == "json":
            return (Spelled(called, "json"),)
        return (Spelled(called, "pickle"), b".")

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The list, what a worker has moved aside, and RQ's registries; the age stands in the oldest job itself."""
        key, name = _key(jobs[0]), jobs[0].queue.name
        return accounted(
            Survey(
                (
                    ("LLEN", key),
                    ("LINDEX", key, 0),
                    ("LLEN", f"{key}:intermediate"),
                    ("ZCOUNT", f"rq:wip:{name}", "-inf", "+inf"),
                    ("ZCARD", f"rq:scheduled:{name}"),
                    ("ZCARD", f"rq:failed:{name}"),
                ),
                _seen,
                (("HGET", "rq:job:plg", "enqueued_at"),),
            ),
            [key],
            LEFT,
        )

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The list and what a worker has moved aside, RQ's registries, and the hash and results of each job."""
        key, name = _key(jobs[0]), jobs[0].queue.name
        ids = Ids.of(unique_id(run_id, job.name, "rq") for job in by_job(jobs))
        sets = [f"rq:{which}:{name}" for which in _REGISTRIES]
        places = (
            Place(key, "list", ids.element, worker="left"),
            *(Place(each, "zset", ids.element) for each in sets),
            Place(f"{key}:intermediate", "list", ids.element, held=True),
            # Beside the id stands that of the execution.
            Place(f"rq:wip:{name}", "zset", ids.before(b":"), held=True, keys=("rq:execution:",)),
        )
        own = [Own(f"{start}{head.decode()}", end) for head in ids.heads for start, end in _OF_A_JOB]
        others = (key, f"{key}:intermediate", f"rq:wip:{name}", *sets)
        return Traces(places, own, (Made("rq:queues", key, others),))

    def census(self, jobs: Sequence[Job]) -> Survey:
        """The names that workers of the queue have registered, and which of them have a key that lives: one that was
        killed has it for some minutes."""
        return crews.in_set(f"rq:workers:{jobs[0].queue.name}", crews.exists, bool)


_REGISTRIES = ("scheduled", "deferred", "finished", "failed", "canceled")
_OF_A_JOB = (("rq:job:", ""), ("rq:job:", ":dependents"), ("rq:results:", ""), ("rq:executions:", ""))
"""Keys of one job: what stands before its id and after it."""


def _key(job: Job) -> str:
    return f"rq:queue:{job.queue.name}"


def _seen(answers: Sequence[Any], now: float) -> Sight | Survey:
    waiting, oldest, moving, working, delayed, dead = answers

    def sight(age: float | None) -> Sight:
        return Sight(waiting, age, moving + working, delayed, dead)

    if oldest is None:
        return sight(0.0)
    # The age stands in the job itself, whose key is known only now.
    return Survey((("HGET", b"rq:job:" + oldest, "enqueued_at"),), lambda found, _: sight(_age(found[0], now)))


def _age(stamp: bytes | None, now: float) -> float | None:
    moment = _moment(stamp)
    return None if moment is None else max(0.0, now - moment)


def _moment(stamp: bytes | None) -> float | None:
    if not stamp:
        return None
    try:
        return datetime.strptime(stamp.decode(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _trace(fields: Any, results: Any, most: int) -> Trace:
    """One job, that may be tried again ``most`` times, from its hash and the number of its results."""
    status, started, ended, left, worker = fields
    if status is None:
        return GONE
    state = _STATES.get(status, "waiting")
    retries = max(0, most - int(left)) if left and left.isdigit() else 0
    began = _moment(started) if state in ("running", "completed", "dead") else None
    # What the hash says of a start is of the last run.
    return Trace(
        state, None if retries else began, began, _moment(ended) if state in ("completed", "dead") else None,
        failures=retries + (state == "dead"), retries=retries,
        duplicates=max(0, results - 1 - retries) if isinstance(results, int) else 0,
        worker=worker.decode("utf-8", "replace") if worker else "",
    )  # fmt: skip
