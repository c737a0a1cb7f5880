"""RQ: a list ``rq:queue:NAME`` of ids; the set ``rq:queues`` names all queues, ``rq:workers:NAME`` their workers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Spelling, Unmarked, number

_QUEUE = "rq:queue:"
_OWN = re.compile(
    r"rq:(queues|workers?|jobs?|execution|results|wip|finished|failed|deferred|scheduled|canceled|scheduler.*)(:|$)"
)

_OF_A_QUEUE = re.compile(r"rq:(?:queue|workers|wip|finished|failed|deferred|scheduled|canceled):(?P<name>.+)")


class Rq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"rq"})
    name = "RQ"
    harm = "a worker takes what lies there for the id of a job, and may end over it"
    registers: tuple[str, ...] = ("rq:queues",)

    def by_key(self, key: str) -> str | None:
        if key.startswith(_QUEUE):
            return "rq:queue:NAME is the name that RQ gives to a queue"
        return "RQ keeps its own records under that name" if _OWN.match(key) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        if not key.startswith(_QUEUE):
            return None
        workers = f"rq:workers:{_name(key)}"

        def read(answers: Sequence[Any]) -> str | None:
            working, named = map(number, answers)
            if working:
                return f"the set {workers} names {working} worker{'s' if working > 1 else ''} of it"
            return "the set rq:queues names it" if named else None

        return Inquiry((("SCARD", workers), ("SISMEMBER", "rq:queues", key)), read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        return Spelling("rq", _name(key)) if key.startswith(_QUEUE) else None

    def named(self, key: str) -> Spelling | None:
        found = _OF_A_QUEUE.fullmatch(key)
        return None if found is None else Spelling("rq", found["name"].removesuffix(":intermediate"))

    def member(self, register: str, member: str) -> Spelling | None:
        return self.spelling(member, "list")


def _name(key: str) -> str:
    return key.removeprefix(_QUEUE).removesuffix(":intermediate")
