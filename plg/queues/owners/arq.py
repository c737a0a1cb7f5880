"""arq: a sorted set of ids, ``arq:queue`` unless told otherwise, which is gone while it is empty; each worker keeps a
key ``QUEUE:health-check``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Spelling, Unmarked, number

_OWN = re.compile(r"arq:(queue($|:)|job:|in-progress:|result:|retry:|abort$)")
_HEALTH = ":health-check"


class Arq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"arq"})
    name = "arq"
    harm = "its queue is a sorted set, and a worker ends where another type of value has that name"

    def by_key(self, key: str) -> str | None:
        return "arq keeps its queue and its jobs under that name" if _OWN.match(key) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        mark = f"{key}{_HEALTH}"

        def read(answers: Sequence[Any]) -> str | None:
            return f"a worker keeps the key {mark}" if number(answers[0]) else None

        return Inquiry((("EXISTS", mark),), read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        return Spelling("arq", key)

    def named(self, key: str) -> Spelling | None:
        if key in ("arq:queue", f"arq:queue{_HEALTH}"):
            return Spelling("arq", "arq:queue")
        return None

    def suspected(self, key: str) -> str | None:
        queue = key.removesuffix(_HEALTH)
        return queue if queue not in ("", key) else None
