"""arq: a pickled job under a key that expires, and a sorted set of ids by the moment (ms) at which each is due.

As ``ArqRedis.enqueue_job`` of arq 0.28 writes them. An id stays in the set while its job runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues.base import Job, Question, Sight, Survey, Usual
from plg.queues.pickles import plain
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, unique_id
from plg.queues.traces import Ids, Own, Place, Traces, by_job
from plg.queues.tracing import GONE, Trace, Tracing

_EXPIRES = 86_400.0
"""Seconds after which arq forgets a job that nobody took."""
_KEPT = 3600.0
"""Seconds for which arq keeps a result that says nothing."""
_MOST_BYTES = 1 << 16
"""Bytes of a result that are read: it holds the arguments and what the function returned."""
_LOOK = 50
"""Ids at the front of the set that are asked whether a worker has them: more are not seen to be in flight."""


class ArqFormat(Usual):
    """See the top of the file. The name of the queue is that of its set, ``arq:queue`` unless told otherwise."""

    name = "arq"
    meaning = "arq: jobs for `arq`"
    expresses = frozenset({"call", "args", "kwargs", "delay"})
    gauges = frozenset({"in_flight", "delayed"})
    in_cluster = "arq gives its jobs fixed names, in slots of their own: its workers need a server that is no cluster"

    def keys(self, job: Job) -> Mapping[str, str]:
        return {job.queue.name: "zset"}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        number, delay = unique_id(run_id, job.name, "arq"), job.delay or 0.0
        body: Word = (
            b"(dVt\nNsVf\n", Spelled(job.call, "pickle"), b"sVa\n", Spelled(list(job.args), "pickle"), b"sVk\n",
            Spelled(dict(job.kwargs), "pickle"), b"sVet\nL", Slot("now_ms"), b"L\ns.",
        )  # fmt: skip
        expires = constant(str(round((_EXPIRES + delay) * 1000)))
        return Recipe(
            (
                (constant("PSETEX"), (b"arq:job:", *number), expires, body),
                (constant("ZADD"), constant(job.queue.name), (Slot("now_ms", delay),), number),
            )
        )

    def tracing(self, job: Job, run_id: str) -> Tracing:
        """The result that a worker keeps for an hour, and where the job is before."""
        number = unique_id(run_id, job.name, "arq")

        def questions(job_id: bytes) -> Sequence[Question]:
            marks = [("EXISTS", f"arq:{where}:".encode() + job_id) for where in ("in-progress", "job")]
            return (("GETRANGE", b"arq:result:" + job_id, 0, _MOST_BYTES), *marks)

        untold = (("duplicates", "arq does not record every run of a job"),)
        return Tracing(number, questions, _trace, "arq's own results", keeps=_KEPT, unless="keep_result", untold=untold)

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The set: those to come are delayed, and of the others those whose id is marked are with a worker."""
        key = jobs[0].queue.name

        def seen(answers: Sequence[Any], now: float) -> Sight | Survey:
            [front] = answers
            ids, scores = front[::2], [float(score) for score in front[1::2]]
            due = [score <= now * 1000 for score in scores]

            def sight(found: Sequence[Any], _: float) -> Sight:
                total, delayed, *held = found
                waiting = [s for s, ready, marked in zip(scores, due, held, strict=True) if ready and not marked]
                age = max(0.0, now - min(waiting) / 1000) if waiting else 0.0
                return Sight(max(0, total - delayed - sum(held)), age, sum(held), delayed)

            marks = [("EXISTS", b"arq:in-progress:" + each) for each in ids]
            return Survey((("ZCARD", key), ("ZCOUNT", key, f"({now * 1000:.0f}", "+inf"), *marks), sight)

        return Survey(
            (("ZRANGE", key, 0, _LOOK - 1, "WITHSCORES"),),
            seen,
            (("ZCARD", key), ("ZCOUNT", key, "0", "+inf"), ("EXISTS", "arq:in-progress:plg")),
        )

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The set, and the keys of each job: it is with a worker while one of them says so."""
        ids = Ids.of(unique_id(run_id, job.name, "arq") for job in by_job(jobs))
        heads = [head.decode() for head in ids.heads]
        own = [Own(f"arq:{which}:{head}") for head in heads for which in ("job", "result", "retry")]
        held = [Own(f"arq:in-progress:{head}", held=True) for head in heads]
        sets = (jobs[0].queue.name, "arq:abort")
        return Traces([Place(key, "zset", ids.element) for key in sets], (*own, *held))


def _trace(answers: Sequence[Any]) -> Trace:
    """One job, from its result and whether a worker has it or it waits."""
    result, running, waiting = answers
    if not result:
        return Trace("running" if running else "waiting") if running or waiting else GONE
    found = plain(result)
    if not isinstance(found, dict):
        return Trace("completed")  # too large to be read: its end is known, its moments are not
    tries, done = found.get("t"), found.get("s") is True
    again = tries - 1 if isinstance(tries, int) and tries > 1 else 0
    began, finished = (_seconds(found.get(name)) for name in ("st", "ft"))
    # The result tells of the last run.
    return Trace(
        "completed" if done else "dead", None if again else began, began, finished, failures=again + (not done),
        retries=again,
    )  # fmt: skip


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, int) else None
