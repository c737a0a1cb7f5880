"""BullMQ, and Bull before it: ``PREFIX:NAME:wait`` and its like. The prefix is ``bull`` unless told otherwise, and may
itself hold colons.

BullMQ has a hash ``PREFIX:NAME:meta`` that also a worker without any job sets. Both have a counter ``PREFIX:NAME:id``
from the first job on, and a key ``PREFIX:NAME:stalled-check`` while a worker looks for jobs that another one left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Finding, Inquiry, Mark, Spelling, Unmarked, number, text

_OWN = frozenset(
    (
        "wait", "active", "paused", "delayed", "priority", "prioritized", "completed", "failed", "stalled", "repeat",
        "limiter", "events", "marker", "waiting", "waiting-children", "meta", "meta-paused", "pc", "id",
        "stalled-check",
    )
)  # fmt: skip
"""What comes last in the names of its keys."""
_DEFAULT = re.compile(r"(bull|\{bull\}|\{bull:[^}]*\}):.")


class BullMq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"bullmq"})
    name = "BullMQ"
    harm = "a worker takes what lies there for the id of a job, and its queue fills with jobs without a name"

    def by_key(self, key: str) -> str | None:
        return "bull:NAME:… are the names that BullMQ gives to its keys" if _DEFAULT.match(key) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        queue, colon, last = key.rpartition(":")
        if not colon or not queue:
            return None
        # Many a program counts in a key that ends in "id": only beside a key that Bull has is it one of Bull's.
        older = ("GET", f"{queue}:id"), ("EXISTS", f"{queue}:stalled-check")

        def read(answers: Sequence[Any]) -> Finding:
            told, *old = answers
            if isinstance(told, list) and any(answer is not None for answer in told):
                return Mark(f"the hash {queue}:meta is that of a BullMQ queue", _spelling(queue))
            # Bull's jobs are of another form, which plg does not write.
            if old and text(old[0]).isdigit():
                return Mark(f"the counter {queue}:id is that of a Bull queue", None)
            if any(map(number, old[1:])):
                return Mark(f"a worker of Bull or BullMQ keeps the key {queue}:stalled-check", None)
            return None

        meta = ("HMGET", f"{queue}:meta", "opts.maxLenEvents", "version")
        return Inquiry((meta, *older) if last in _OWN else (meta,), read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        return _spelling(key.rpartition(":")[0]) if key.startswith("bull:") else None

    def suspected(self, key: str) -> str | None:
        queue, _, last = key.rpartition(":")
        # A queue under the usual prefix may have any of its keys; under another one its hash tells.
        told = last in _OWN if _DEFAULT.match(key) else last == "meta"
        return f"{queue}:wait" if queue and told else None


def _spelling(queue: str) -> Spelling | None:
    prefix, _, name = queue.rpartition(":")
    if not prefix or not name:
        return None
    return Spelling("bullmq", name, {} if prefix == "bull" else {"prefix": prefix})
