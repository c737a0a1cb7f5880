"""Asynq: a list ``asynq:{NAME}:pending`` of ids; the set ``asynq:queues`` names those that ever held a task, the sorted
set ``asynq:servers`` the keys in which living servers say which queues they serve."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Finding, Inquiry, Spelling, Unmarked, number
from plg.queues.owners.walk import Walk

_OWN = re.compile(r"asynq:(\{(?P<name>.+?)\}:|(queues|servers|workers|schedulers|cancel)($|:))")
_SERVERS = "asynq:servers"
_MOST_SERVERS = 5000


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

        def read(answers: Sequence[Any]) -> Finding:
            return "the set asynq:queues names it" if number(answers[0]) else _served(name)

        return Inquiry((("SISMEMBER", "asynq:queues", name),), read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        name = _name(key)
        return None if name is None else Spelling("asynq", name)


def _name(key: str) -> str | None:
    found = _OWN.match(key)
    return found["name"] if found else None


def _served(name: str) -> Inquiry:
    """What the living servers say of themselves, a protobuf message each: a queue's name has its length before it."""
    spelled = name.encode()
    mark = _varint(len(spelled)) + spelled

    def read(answers: Sequence[Any]) -> str | None:
        serving = any(isinstance(answer, bytes) and mark in answer for answer in answers)
        return f"a server among the set {_SERVERS} serves it" if serving else None

    def find(servers: Sequence[bytes]) -> Inquiry:
        return Inquiry([("GET", server) for server in servers], read)

    return Walk("ZSCAN", _SERVERS, f"members of the set {_SERVERS}", find, most=_MOST_SERVERS).begin()


def _varint(number: int) -> bytes:
    """As protobuf writes it: seven bits a byte, the lowest first, and a high bit on all but the last."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + _varint(number >> 7)
