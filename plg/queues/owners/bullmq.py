"""BullMQ, and Bull before it: ``PREFIX:NAME:wait`` and its like, with a hash ``PREFIX:NAME:meta`` that also a worker
without any job sets. The prefix is ``bull`` unless told otherwise, and may itself hold colons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Unmarked

_DEFAULT = re.compile(r"(bull|\{bull\}|\{bull:[^}]*\}):.")


class BullMq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"bullmq"})
    name = "BullMQ"
    harm = "a worker takes what lies there for the id of a job, and its queue fills with jobs without a name"

    def by_key(self, key: str) -> str | None:
        return "bull:NAME:… are the names that BullMQ gives to its keys" if _DEFAULT.match(key) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        queue, colon, _ = key.rpartition(":")
        if not colon:
            return None

        def read(answers: Sequence[Any]) -> str | None:
            set_by_it = isinstance(answers[0], list) and any(answer is not None for answer in answers[0])
            return f"the hash {queue}:meta is that of a BullMQ queue" if set_by_it else None

        return Inquiry((("HMGET", f"{queue}:meta", "opts.maxLenEvents", "version"),), read)

    def spelling(self, key: str) -> tuple[str, str] | None:
        parts = key.split(":")
        return ("bullmq", ":".join(parts[1:-1])) if parts[0] in ("bull", "{bull}") and len(parts) > 2 else None
