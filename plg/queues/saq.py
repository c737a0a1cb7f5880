"""SAQ: a JSON string for each job, a sorted set of those not done, and a list of ids that workers take from the left.

As the script of ``RedisQueue.enqueue`` of SAQ 0.26 writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Sight, Survey, Usual
from plg.queues.envelope import moment
from plg.queues.list_account import LEFT, accounted
from plg.queues.messages import due, fields, oldest
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, json_of, unique_id
from plg.queues.traces import Ids, Own, Place, Traces, by_job
from plg.queues.tracing import GONE, State, Trace, Tracing

_KEPT = 600.0
"""Seconds for which SAQ keeps a job that says nothing."""
_STATES: Mapping[str, State] = {
    "new": "waiting", "queued": "waiting", "active": "running", "aborting": "running", "complete": "completed",
    "failed": "dead", "aborted": "dead",
}  # fmt: skip


class SaqFormat(Usual):
    """See the top of the file. ``retry`` counts tries after the first one, SAQ counts all."""

    name = "saq"
    meaning = "SAQ: jobs for `saq`"
    expresses = frozenset({"call", "kwargs", "delay", "timeout", "retry", "backoff"})
    gauges = frozenset({"in_flight", "delayed", "workers"})
    in_cluster = (
        "SAQ knows no cluster: with a name in braces all its keys lie in one slot, and its workers are given its node"
    )

    def keys(self, job: Job) -> Mapping[str, str]:
        return {f"saq:{job.queue.name}:queued": "list", f"saq:{job.queue.name}:incomplete": "zset"}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        queue, number = job.queue.name, unique_id(run_id, job.name, "saq")
        key: Word = (f"saq:job:{queue}:".encode(), *number)
        settings: dict[str, Any] = {"queue": queue, "status": "queued"}
        if job.timeout is not None:
            settings["timeout"] = round(job.timeout)
        if job.retry is not None:
            settings |= {"retries": job.retry.max + 1, "retry_delay": job.retry.backoff}
        # Seconds with a fraction: SAQ writes whole ones, and compares them as numbers.
        later: Word = (b"0",) if job.delay is None else (Slot("now_s", job.delay),)
        body: Word = (
            b'{"function":', json_of(job.call), b',"kwargs":', Spelled(dict(job.kwargs), "json"), b',"key":"', *number,
            b'","queued":', Slot("now_ms"), b',"touched":', Slot("now_ms"), b',"scheduled":', *later, b",",
            json_of(settings)[1:-1], b"}",
        )  # fmt: skip
        commands = [
            (constant("SET"), key, body),
            (constant("ZADD"), constant(f"saq:{queue}:incomplete"), later, key),
        ]
        if job.delay is None:
            commands.append((constant("RPUSH"), constant(f"saq:{queue}:queued"), key))
        return Recipe(tuple(commands))

    def tracing(self, job: Job, run_id: str) -> Tracing:
        """The job itself, which SAQ keeps for ten minutes after its end."""
        head = f"saq:job:{job.queue.name}:".encode()
        untold = (("duplicates", "SAQ does not record every run of a job"),)
        return Tracing(
            unique_id(run_id, job.name, "saq"), lambda key: (("GET", head + key),), _trace, "SAQ's own records",
            keeps=_KEPT, unless="ttl", untold=untold,
        )  # fmt: skip

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The list, what workers have, and those of the incomplete jobs that are neither: they are delayed."""
        queue = jobs[0].queue.name

        def seen(answers: Sequence[Any], now: float) -> Sight | Survey:
            waiting, head, active, incomplete = answers

            def sight(age: float | None) -> Sight:
                return Sight(waiting, age, active, max(0, incomplete - waiting - active))

            if head is None:
                return sight(0.0)
            return Survey((("GET", head),), lambda found, _: sight(_age(found[0], now)))

        return accounted(
            Survey(
                (
                    ("LLEN", f"saq:{queue}:queued"),
                    ("LINDEX", f"saq:{queue}:queued", 0),
                    ("LLEN", f"saq:{queue}:active"),
                    ("ZCARD", f"saq:{queue}:incomplete"),
                ),
                seen,
                (("GET", f"saq:job:{queue}:plg"),),
            ),
            [f"saq:{queue}:queued"],
            LEFT,
        )

    def census(self, jobs: Sequence[Job]) -> Survey:
        """Workers write down their figures every ten seconds, under a key that lives for eleven."""
        return crews.in_sorted_set(f"saq:{jobs[0].queue.name}:stats", crews.exists, bool)

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The list, what workers have, those that are not done, and each job, which is there until it expires."""
        queue = jobs[0].queue.name
        ids = Ids.of(unique_id(run_id, job.name, "saq") for job in by_job(jobs))
        start = f"saq:job:{queue}:"
        mine = ids.after(start.encode())
        places = (
            Place(f"saq:{queue}:queued", "list", mine, worker="left"),
            Place(f"saq:{queue}:incomplete", "zset", mine),
            Place(f"saq:{queue}:active", "list", mine, held=True),
        )
        return Traces(places, [Own(f"{each}{head.decode()}") for head in ids.heads for each in (start, "saq:abort:")])


def _age(job: Any, now: float) -> float | None:
    told = fields(job)
    return oldest([due(moment(told.get("queued"), now), told.get("scheduled"), now)], now)


def _trace(answers: Sequence[Any]) -> Trace:
    """One job, from its JSON."""
    if answers[0] is None:
        return GONE
    job = fields(answers[0])
    state, runs = _STATES.get(str(job.get("status", "new")), "waiting"), job.get("attempts", 0)
    runs = runs if isinstance(runs, int) else 0
    ended = state in ("completed", "dead")
    again = max(0, runs - 1) if ended or state == "running" else runs
    began, finished = (_seconds(job.get(name)) for name in ("started", "completed"))
    if state == "waiting" and again:
        state = "delayed"
    # What the job says of a start is of the last run.
    return Trace(
        state, None if again else began, began, finished if ended else None, failures=again + (state == "dead"),
        retries=again, worker=str(job.get("worker_id") or ""),
    )  # fmt: skip


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int | float) and milliseconds else None
