"""Asynq: a list ``asynq:{NAME}:pending`` of ids; the set ``asynq:queues`` names those that ever held a task, the sorted
set ``asynq:servers`` the keys in which living servers say which queues they serve."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from plg.queues.owners.base import Finding, Inquiry, Roll, Spelling, Unmarked, number
from plg.queues.owners.walk import Walk

_OWN = re.compile(r"asynq:(\{(?P<name>.+?)\}:|(queues|servers|workers|schedulers|cancel)($|:))")
_SERVERS = "asynq:servers"
_QUEUES = "asynq:queues"
_MOST_SERVERS = 5000
_COUNTED = 2000
_SERVED, _NAME = 5, 1
"""Numbers of fields: the queues of a ``ServerInfo``, and the name of each."""

_TEXT, _FIXED = 2, {1: 8, 5: 4}
"""Of the types of fields, that of texts and messages, and the bytes of those of a fixed length."""


class Asynq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"asynq"})
    name = "Asynq"
    harm = "a worker takes what lies there for the id of a task, finds none, and the id stays behind for good"
    registers: tuple[str, ...] = (_QUEUES,)

    def by_key(self, key: str) -> str | None:
        return "asynq:{NAME}:… are the names that Asynq gives to its keys" if _OWN.match(key) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        name = _name(key)
        if name is None:
            return None

        def read(answers: Sequence[Any]) -> Finding:
            return f"the set {_QUEUES} names it" if number(answers[0]) else _served(name)

        return Inquiry((("SISMEMBER", _QUEUES, name),), read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        name = _name(key)
        return None if name is None else Spelling("asynq", name)

    def named(self, key: str) -> Spelling | None:
        return self.spelling(key, "")

    def member(self, register: str, member: str) -> Spelling | None:
        return Spelling("asynq", member)

    def roll(self) -> Roll:
        def read(answers: Sequence[Any]) -> tuple[Spelling | Roll, ...]:
            return (Roll([("GET", server) for server in answers[0] or ()], _queues_served),)

        return Roll((("ZRANGE", _SERVERS, 0, _COUNTED - 1),), read)


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


def _queues_served(answers: Sequence[Any]) -> tuple[Spelling | Roll, ...]:
    """What the living servers say that they serve."""
    queues = [queue for answer in answers if isinstance(answer, bytes) for queue in _values(answer, _SERVED)]
    names = dict.fromkeys(name.decode("utf-8", "replace") for queue in queues for name in _values(queue, _NAME))
    return tuple(Spelling("asynq", name) for name in names)


def _values(message: bytes, field: int) -> Iterator[bytes]:
    """The texts and messages that stand in ``field`` of a protobuf message, as far as it can be read."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        if key & 7 == _TEXT:
            length, at = _read_varint(message, at)
            if key >> 3 == field:
                yield message[at : at + length]
            at += length
        elif key & 7 == 0:
            _, at = _read_varint(message, at)
        elif key & 7 in _FIXED:
            at += _FIXED[key & 7]
        else:
            return


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at ``at``, and where it ends."""
    found = shift = 0
    while at < len(message):
        byte, at = message[at], at + 1
        found |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return found, at


def _varint(number: int) -> bytes:
    """As protobuf writes it: seven bits a byte, the lowest first, and a high bit on all but the last."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + _varint(number >> 7)
