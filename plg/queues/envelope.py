"""plg's own form of a job: a JSON object around the payload."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plg.queues.base import Job
from plg.queues.recipe import Slot, Spelled, Word

if TYPE_CHECKING:
    from plg.queues.traces import Mine


def envelope(job: Job, run_id: str) -> Word:
    """One job as ``{id, run, seq, job, priority, enqueued_at, timeout, retry, payload}``, or its payload alone."""
    if job.encoding == "raw":
        return (Spelled(job.payload, "text"),)
    run, name = json.dumps(run_id), json.dumps(job.name)
    middle = f'","run":{run},"seq":'
    named = f',"job":{name},"priority":{job.priority},"enqueued_at":'
    after = f',"timeout":{json.dumps(job.timeout)},"retry":{job.retry.max if job.retry else 0},"payload":'
    seq, moment = Slot("seq"), Slot("now_s")
    texts = (_head(run_id), seq, middle.encode(), seq, named.encode(), moment, after.encode())
    return (*texts, Spelled(job.payload, "json"), b"}")


def number_of(run_id: str) -> Word:
    """The id of a job: of the run, and its number."""
    return (f"{json.dumps(run_id, ensure_ascii=False)[1:-1]}-".encode(), Slot("seq"))


def _head(run_id: str) -> bytes:
    """What the jobs of a run begin with, and no others do."""
    return f'{{"id":{json.dumps(run_id)[:-1]}-'.encode()


def head_of(jobs: Iterable[Job], run_id: str) -> bytes | None:
    """What all jobs of the run begin with; None where some hold their payload alone, which does not name the run."""
    own = all(job.encoding == "json" and job.queue.kind in ("list", "stream") for job in jobs)
    return _head(run_id) if own else None


UNNAMED = "jobs that are a raw payload do not say which run they are of, and stay"


def number_in(run_id: str) -> Mine:
    """`plg.queues.traces.Mine` where the value is a job in plg's own form."""
    head, digits = _head(run_id), re.compile(rb"\d{1,15}(?=\")")

    def mine(element: bytes, value: bytes) -> int | None:
        found = digits.match(value, len(head)) if value.startswith(head) else None
        return None if found is None else int(found[0])

    return mine


Place = tuple[str, ...]
"""Where in a job its moment of enqueueing stands: the keys that lead to it (numbers in lists), none for all of it."""
ENVELOPE: Place = ("enqueued_at",)


def place_of(path: str) -> Place | None:
    """``payload.meta.created`` as the keys behind ``payload``; None for what is no such path."""
    first, *keys = path.split(".")
    return tuple(keys) if first == "payload" and all(keys) else None


def moment_in(job: Job) -> Place | None:
    """Where jobs of this kind say when they were put into their queue; None where they do not."""
    if job.encoding == "json":
        return ENVELOPE
    return place_of(job.enqueued_at) if job.enqueued_at is not None else None


def places_of(jobs: Iterable[Job]) -> tuple[Place, ...]:
    """All of these places, each once."""
    return tuple(dict.fromkeys(place for job in jobs if (place := moment_in(job)) is not None))


_FUTURE = 60.0
"""A moment further ahead (s) is not one by a clock like ours, or not in that unit."""
_SMALLER = (1e3, 1e6, 1e9)
"""What a second counts in milliseconds, microseconds and nanoseconds."""
_SINCE = 1e9
"""September 2001: a moment in a unit smaller than the second is later (s), or it is meant in another."""


def enqueued_at(job: bytes, now: float, places: Iterable[Place] = (ENVELOPE,)) -> float | None:
    """The moment (s since the epoch) at the first of ``places`` that holds one; None where none does.

    ``now`` is on the same scale.
    """
    try:
        whole = json.loads(job)
    except (ValueError, RecursionError):
        whole = job.decode("utf-8", "replace")
    found = (moment(_at(whole, place), now) for place in places)
    return next((stamp for stamp in found if stamp is not None), None)


def _at(value: Any, place: Place) -> Any:
    for key in place:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def moment(value: Any, now: float) -> float | None:
    """Seconds since the epoch of a number in a unit that puts it at or before ``now``, or of a text: such a number, or
    a date and time by ISO 8601 (UTC where it names no zone). None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _iso(value, now)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    latest = now + _FUTURE
    if 0 < value <= latest:
        return float(value)
    return next((value / unit for unit in _SMALLER if _SINCE <= value / unit <= latest), None)


def _iso(text: str, now: float) -> float | None:
    try:
        found = datetime.fromisoformat(text.strip())
        stamp = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return stamp if 0 < stamp <= now + _FUTURE else None


def age(job: bytes, now: float, places: Iterable[Place]) -> float | None:
    """How long ago (s) ``job`` was put into its queue; None where it does not say."""
    stamp = enqueued_at(job, now, places)
    return None if stamp is None else max(0.0, now - stamp)
