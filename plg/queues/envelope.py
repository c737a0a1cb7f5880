"""plg's own form of a job: a JSON object around the payload."""

from __future__ import annotations

import json

from plg.queues.base import Job
from plg.queues.recipe import Slot, Spelled, Word


def envelope(job: Job, run_id: str) -> Word:
    """One job as ``{id, run, seq, job, priority, enqueued_at, timeout, retry, payload}``, or its payload alone."""
    if job.encoding == "raw":
        return (Spelled(job.payload, "text"),)
    run, name = json.dumps(run_id), json.dumps(job.name)
    before = f'{{"id":{run[:-1]}-'
    middle = f'","run":{run},"seq":'
    named = f',"job":{name},"priority":{job.priority},"enqueued_at":'
    after = f',"timeout":{json.dumps(job.timeout)},"retry":{job.retry.max},"payload":'
    seq, moment = Slot("seq"), Slot("now_s")
    texts = (before.encode(), seq, middle.encode(), seq, named.encode(), moment, after.encode())
    return (*texts, Spelled(job.payload, "json"), b"}")


def is_dated(job: Job) -> bool:
    """Whether jobs of this kind tell when they were put into their queue."""
    return job.encoding == "json"


_FUTURE = 60.0
"""An ``enqueued_at`` further ahead (s) is not a time in seconds by a clock like ours: milliseconds, for one."""


def enqueued_at(job: bytes, now: float) -> float | None:
    """``enqueued_at`` of ``job`` (s since the epoch); None for jobs not in plg's form. ``now`` is on the same scale."""
    try:
        stamp = json.loads(job)["enqueued_at"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        return None
    return float(stamp) if 0 < stamp <= now + _FUTURE else None


def age(job: bytes, now: float) -> float | None:
    """How long ago (s) ``job`` was put into its queue; None where it does not say."""
    stamp = enqueued_at(job, now)
    return None if stamp is None else max(0.0, now - stamp)
