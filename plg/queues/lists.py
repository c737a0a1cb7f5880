"""A plain Redis list: LPUSH at the left, workers take from the right (BRPOP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues.base import Job, Sight, Survey, Usual
from plg.queues.envelope import UNNAMED, age, envelope, number_in, number_of, places_of
from plg.queues.list_account import accounted
from plg.queues.recipe import Recipe, constant
from plg.queues.traces import Place, Traces
from plg.queues.tracing import Tracing

MOST_JOBS_A_COMMAND = 512
"""LPUSH takes any number of values; beyond this the gain is gone and one refusal would cost ever more jobs."""


class ListFormat(Usual):
    """See the top of the file."""

    name = "list"
    meaning = "a plain list: LPUSH, and workers that BRPOP"
    expresses = frozenset({"payload", "encoding", "priority", "timeout", "retry", "enqueued_at"})
    taken = "pop"

    def keys(self, job: Job) -> Mapping[str, str]:
        return {job.queue.name: "list"}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        words = (constant("LPUSH"), constant(job.queue.name), envelope(job, run_id))
        return Recipe((words,), MOST_JOBS_A_COMMAND)

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The length, and the oldest job at the right end."""
        key = jobs[0].queue.name
        places = places_of(jobs)
        if not places:
            survey = Survey((("LLEN", key),), lambda answers, now: Sight(answers[0], None if answers[0] else 0.0))
            return accounted(survey, [key])

        def seen(answers: Sequence[Any], now: float) -> Sight:
            length, oldest = answers
            # A job that was there at the first question and not at the second has been taken: nothing waits.
            return Sight(length, age(oldest, now, places)) if length and oldest else Sight(0, 0.0)

        return accounted(Survey((("LLEN", key), ("LINDEX", key, -1)), seen), [key])

    def tracing(self, job: Job, run_id: str) -> Tracing | None:
        return None if job.encoding == "raw" else Tracing(number_of(run_id))

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        blind = UNNAMED if any(job.encoding == "raw" for job in jobs) else ""
        return Traces((Place(jobs[0].queue.name, "list", number_in(run_id)),), blind=blind)
