"""The keys a scenario writes to, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from plg.scenario import Job
from plg.targets.base import TargetError


@dataclass(frozen=True, slots=True)
class Queue:
    """One key: a Redis list or stream. ``dated`` tells whether its jobs carry ``enqueued_at``."""

    key: str
    kind: Literal["list", "stream"]
    dated: bool = True


def queues_of(jobs: Sequence[Job]) -> tuple[Queue, ...]:
    """The distinct queues of ``jobs``, in their order; one key as both a list and a stream is refused."""
    found: dict[str, Queue] = {}
    for job in jobs:
        kind: Literal["list", "stream"] = "list" if job.stream is None else "stream"
        known = found.get(job.key)
        if known and known.kind != kind:
            raise TargetError("refused", f"the key {job.key!r} is a list to one job and a stream to another")
        dated = job.encoding == "json" or bool(known and known.dated)
        found[job.key] = Queue(job.key, kind, dated)
    return tuple(found.values())
