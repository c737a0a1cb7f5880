"""A plain Redis list: LPUSH at the left, workers take from the right (BRPOP).

With ``push right`` it is the other way round: RPUSH, and workers that BLPOP, as those of Resque and Laravel do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plg.queues.base import Job, Queue, Sight, Survey, Taking, Usual
from plg.queues.envelope import UNNAMED, age, envelope, number_in, number_of, places_of
from plg.queues.list_account import LEFT, RIGHT, accounted
from plg.queues.recipe import Recipe, constant
from plg.queues.traces import Place, Traces
from plg.queues.tracing import Tracing

MOST_JOBS_A_COMMAND = 512
"""LPUSH and RPUSH take any number of values; beyond this the gain is gone and one refusal would cost ever more jobs."""


ENDS = ("left", "right")


class ListFormat(Usual):
    """See the top of the file."""

    name = "list"
    meaning = "a plain list: LPUSH, and workers that BRPOP; `push right` is RPUSH and BLPOP"
    settings: Mapping[str, str] = {"push": "the end that jobs are pushed to: left, or right for workers that BLPOP"}
    expresses = frozenset({"payload", "encoding", "priority", "timeout", "retry", "enqueued_at"})
    taken: Taking | None = "pop"

    def faults(self, queue: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        if queue.get("push", "left") not in ENDS:
            yield "push", f"must be left or right, and is {queue['push']!r}"

    def taking(self, queue: Queue) -> Taking | None:
        return "pop" if _tail(queue) == RIGHT else "pop_left"

    def keys(self, job: Job) -> Mapping[str, str]:
        return {job.queue.name: "list"}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        words = (
            constant("LPUSH" if _tail(job.queue) == RIGHT else "RPUSH"),
            constant(job.queue.name),
            envelope(job, run_id),
        )
        return Recipe((words,), MOST_JOBS_A_COMMAND)

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The length, and the oldest job at the end that workers take from."""
        key, tail = jobs[0].queue.name, _tail(jobs[0].queue)
        places = places_of(jobs)
        if not places:
            survey = Survey((("LLEN", key),), lambda answers, now: Sight(answers[0], None if answers[0] else 0.0))
            return accounted(survey, [key], tail)

        def seen(answers: Sequence[Any], now: float) -> Sight:
            length, oldest = answers
            # A job that was there at the first question and not at the second has been taken: nothing waits.
            return Sight(length, age(oldest, now, places)) if length and oldest else Sight(0, 0.0)

        return accounted(Survey((("LLEN", key), ("LINDEX", key, tail)), seen), [key], tail)

    def tracing(self, job: Job, run_id: str) -> Tracing | None:
        return None if job.encoding == "raw" else Tracing(number_of(run_id))

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        blind = UNNAMED if any(job.encoding == "raw" for job in jobs) else ""
        return Traces((Place(jobs[0].queue.name, "list", number_in(run_id)),), blind=blind)


def _tail(queue: Queue) -> int:
    """The end that workers take from."""
    return LEFT if queue.settings.get("push") == "right" else RIGHT
