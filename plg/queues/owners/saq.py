"""SAQ: lists ``saq:NAME:queued`` and ``saq:NAME:active`` of ids; its workers keep a sorted set ``saq:NAME:stats``, and
the jobs that are not finished stand in another one, ``saq:NAME:incomplete``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Spelling, Unmarked, number

_OWN = re.compile(r"saq:(job:.+|(?P<name>.+):(queued|active|incomplete|stats|schedule|sweep|worker_info.*))$")


class Saq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"saq"})
    name = "SAQ"
    harm = "a worker takes what lies there for the id of a job, and finds none"
    surprises: Mapping[str, str] = {
        "saq-sweep": "a worker that starts while jobs wait may run one of them twice: its first sweep takes a job that "
        "was just taken for one that was lost"
    }

    def by_key(self, key: str) -> str | None:
        return "saq:NAME:… are the names that SAQ gives to its keys" if _OWN.match(key) else None

    def alien(self, value: bytes) -> bool:
        return not value.startswith(b"saq:job:")

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        name = _name(key)
        if name is None:
            return None

        def read(answers: Sequence[Any]) -> str | None:
            if number(answers[0]):
                return f"its workers keep the sorted set saq:{name}:stats"
            return f"the sorted set saq:{name}:incomplete holds its jobs" if number(answers[1]) else None

        return Inquiry((("EXISTS", f"saq:{name}:stats"), ("EXISTS", f"saq:{name}:incomplete")), read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        name = _name(key)
        return None if name is None else Spelling("saq", name)

    def named(self, key: str) -> Spelling | None:
        return self.spelling(key, "")


def _name(key: str) -> str | None:
    found = _OWN.match(key)
    return found["name"] if found else None
