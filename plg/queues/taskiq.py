"""taskiq with taskiq-redis: JSON messages in a list (``ListQueueBroker``) or a stream (``RedisStreamBroker``).

A message does not say when it was sent, so a label of plg's own does: it comes back with the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues import crews
from plg.queues.base import Job, Sight, Survey, Usual
from plg.queues.envelope import moment
from plg.queues.list_account import accounted
from plg.queues.messages import fields, oldest
from plg.queues.recipe import Recipe, Slot, Spelled, Word, constant, json_of, unique_id
from plg.queues.streams import StreamFormat
from plg.queues.traces import Ids, Made, Own, Place, Traces, by_job
from plg.queues.tracing import Tracing

MOST_JOBS_A_COMMAND = 256
_INT, _STR, _FLOAT, _BOOL = 2, 3, 4, 5
"""The types of labels, by ``taskiq.labels.LabelType``."""


class TaskiqFormat(Usual):
    """See the top of the file. Retries are those of its ``SimpleRetryMiddleware``."""

    name = "taskiq"
    meaning = "taskiq: messages for a ListQueueBroker"
    expresses = frozenset({"call", "args", "kwargs", "timeout", "retry"})

    def keys(self, job: Job) -> Mapping[str, str]:
        return {job.queue.name: "list"}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        words = (constant("LPUSH"), constant(job.queue.name), _message(job, run_id))
        return Recipe((words,), MOST_JOBS_A_COMMAND)

    def tracing(self, job: Job, run_id: str) -> Tracing:
        return Tracing(unique_id(run_id, job.name, "taskiq"))

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """The length, and the oldest message at the right end. What a worker has taken stands nowhere."""
        key = jobs[0].queue.name

        def seen(answers: Sequence[Any], now: float) -> Sight:
            length, tail = answers
            if not length or tail is None:
                return Sight(0, 0.0)
            return Sight(length, oldest([moment(fields(fields(tail).get("labels")).get("plg_sent"), now)], now))

        return accounted(Survey((("LLEN", key), ("LINDEX", key, -1)), seen), [key])

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces:
        """The list, and results where the workers keep them in the same database."""
        ids = Ids.of(unique_id(run_id, job.name, "taskiq") for job in by_job(jobs))
        own = [Own(head.decode(), end) for head in ids.heads for end in ("", "__progress")]
        [(key, kind)] = self.keys(jobs[0]).items()
        made = (Made(key),) if kind == "stream" else ()
        return Traces((Place(key, "stream" if made else "list", ids.in_field("task_id")),), own, made)


class TaskiqStreamFormat(TaskiqFormat):
    """Entries of one field, ``data``. A group sees those that came after it: start the workers first."""

    name = "taskiq_stream"
    meaning = "taskiq: messages for a RedisStreamBroker"
    gauges = frozenset({"in_flight", "workers"})

    def keys(self, job: Job) -> Mapping[str, str]:
        return {job.queue.name: "stream"}

    def recipe(self, job: Job, run_id: str) -> Recipe:
        head = map(constant, ("XADD", job.queue.name, "*", "data"))
        return Recipe(((*head, _message(job, run_id)),))

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """See `StreamFormat.survey`."""
        return StreamFormat().survey(jobs)

    def census(self, jobs: Sequence[Job]) -> Survey:
        """Consumers of the groups that asked for messages within ten seconds."""
        return crews.consumers(jobs[0].queue.name)


def _message(job: Job, run_id: str) -> Word:
    labels, types = {"plg_run": run_id}, {"plg_run": _STR, "plg_sent": _FLOAT}
    if job.timeout is not None:
        labels["timeout"], types["timeout"] = str(job.timeout), _FLOAT
    if job.retry is not None:
        # SimpleRetryMiddleware counts all tries, the first one among them.
        labels |= {"retry_on_error": str(job.retry.max > 0), "max_retries": str(job.retry.max + 1)}
        types |= {"retry_on_error": _BOOL, "max_retries": _INT}
    return (
        b'{"task_id":"', *unique_id(run_id, job.name, "taskiq"), b'","task_name":', json_of(job.call), b',"labels":{',
        json_of(labels)[1:-1], b',"plg_sent":"', Slot("now_s"), b'"},"labels_types":', json_of(types), b',"args":',
        Spelled(list(job.args), "json"), b',"kwargs":', Spelled(dict(job.kwargs), "json"), b"}",
    )  # fmt: skip
