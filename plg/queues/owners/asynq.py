"""Asynq: a list ``asynq:{NAME}:pending`` of ids; the set ``asynq:queues`` names those that ever held a task, the sorted
set ``asynq:servers`` the keys in which living servers say which queues they serve."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Unmarked, members, number

_OWN = re.compile(r"asynq:(\{(?P<name>.+?)\}:|(queues|servers|workers|schedulers|cancel)($|:))")
_MOST_SERVERS = 15


class Asynq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"asynq"})
    name = "Asynq"
    harm = "a worker takes what lies there for the id of a task, finds none, and the id stays behind for good"

    def by_key(self, key: str) -> str | None:
        return "asynq:{NAME}:… are the names that Asynq gives to its keys" if _OWN.match(key) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        name = _name(key)
        if name is None:
            return None

        def read(answers: Sequence[Any]) -> str | Inquiry | None:
            if number(answers[0]):
                return "the set asynq:queues names it"
            servers = members(answers[1])
            return _served(name, servers) if servers else None

        return Inquiry((("SISMEMBER", "asynq:queues", name), ("ZRANGE", "asynq:servers", 0, _MOST_SERVERS)), read)

    def spelling(self, key: str) -> tuple[str, str] | None:
        name = _name(key)
        return None if name is None else ("asynq", name)


def _name(key: str) -> str | None:
    found = _OWN.match(key)
    return found["name"] if found else None


def _served(name: str, servers: Sequence[bytes]) -> Inquiry:
    def read(answers: Sequence[Any]) -> str | None:
        # A protobuf message: the name of a queue stands in it with its length before it.
        mark = bytes([len(name.encode()) & 0x7F]) + name.encode()
        serving = any(isinstance(answer, bytes) and mark in answer for answer in answers)
        return "a server among the set asynq:servers serves it" if serving else None

    return Inquiry([("GET", server) for server in servers], read)
