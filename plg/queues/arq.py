"""arq: a pickled job under a key that expires, and a sorted set of ids by the moment (ms) at which each is due.

As ``ArqRedis.enqueue_job`` of arq 0.28 writes them. An id stays in the set while its job runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues.base import Job, Sight, Survey, Usual
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, unique_id
from plg.queues.traces import Ids, Own, Place, Traces, by_job
from plg.queues.tracing import Tracing

_EXPIRES = 86_400.0
"""Seconds after which arq forgets a job that nobody took."""
_LOOK = 50
"""Ids at the front of the set that are asked whether a worker has them: more are not seen to be in flight."""


class ArqFormat(Usual):
    """See the top of the file. The name of the queue is that of its set, ``arq:queue`` unless told otherwise."""

    name = "arq"
    meaning = "arq: jobs for `arq`"
    expresses = frozenset({"call", "args", "kwargs", "delay"})
    gauges = frozenset({"in_flight", "delayed"})

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
        return Tracing(unique_id(run_id, job.name, "arq"))

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
