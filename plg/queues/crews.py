"""How workers are counted: by the names they register, those of them that live, and what these say of themselves.

Nothing is asked that grows with the jobs: names come from one small key, at most `MOST_WORKERS` of them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any

from plg.queues.base import MOST_WORKERS, Crew, Question, Survey

_CLIENTS = re.compile(rb"^connected_clients:(\d+)", re.MULTILINE)
_CLIENT = re.compile(rb"^id=(\d+) .*? name=(\S+)", re.MULTILINE)
_LISTENS = re.compile(rb"\bpsub=[1-9]")
_IDLE = 10_000
"""Milliseconds for which a consumer of a stream may be silent: it asks anew every two seconds, unless it is full."""
_SILENT = 5.0
"""Seconds for which a worker of dramatiq may be silent: it asks every second."""
UNKNOWN = Crew(None)


def crew_of(names: Sequence[bytes]) -> Crew:
    return Crew(frozenset(name.decode("utf-8", "replace") for name in names))


def registered(
    question: Question, ask: Callable[[bytes], Question], lives: Callable[[Any], bool], size: Question | None = None
) -> Survey:
    """Workers whose names answer ``question``, and of each the answer to ``ask``: whether it is that of one that
    ``lives``. ``size`` asks how many names there are, where the question does not give all of them."""

    def named(answers: Sequence[Any], _: float) -> Crew | Survey:
        names = answers[0]
        if not isinstance(names, list) or len(names) > MOST_WORKERS or (size is not None and _too_many(answers[1])):
            return UNKNOWN
        found = sorted(names)
        return Survey((), lambda told, _: _living(found, told, lives), aside=[ask(name) for name in found])

    return Survey((), named, aside=(question, *(() if size is None else (size,))))


def _too_many(size: Any) -> bool:
    return not isinstance(size, int) or size > MOST_WORKERS


def _living(names: Sequence[bytes], told: Sequence[Any], lives: Callable[[Any], bool]) -> Crew:
    if any(isinstance(each, Exception) for each in told):
        return UNKNOWN
    return crew_of([name for name, each in zip(names, told, strict=True) if lives(each)])


def in_set(key: str, ask: Callable[[bytes], Question], lives: Callable[[Any], bool]) -> Survey:
    """Workers whose names are the members of a set."""
    return registered(("SRANDMEMBER", key, MOST_WORKERS), ask, lives, ("SCARD", key))


def in_sorted_set(key: str, ask: Callable[[bytes], Question], lives: Callable[[Any], bool]) -> Survey:
    """Workers whose names are the members of a sorted set."""
    return registered(("ZRANGE", key, 0, MOST_WORKERS), ask, lives)


def exists(name: bytes) -> Question:
    return "EXISTS", name


class Heartbeats:
    """Workers in a sorted set of the moments (ms) at which each last gave a sign: those whose moment moved on within
    the last seconds, by whichever clock they write it."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._last: dict[bytes, tuple[float, float]] = {}

    def survey(self) -> Survey:
        return Survey((), self._read, aside=(("ZRANGE", self._key, -MOST_WORKERS - 1, -1, "WITHSCORES"),))

    def _read(self, answers: Sequence[Any], now: float) -> Crew:
        [found] = answers
        if not isinstance(found, list) or len(found) > 2 * MOST_WORKERS:
            return UNKNOWN
        moments = {name: float(score) for name, score in zip(found[::2], found[1::2], strict=True)}
        last = self._last
        # Of the first look only the moment itself tells.
        self._last = {
            name: last[name] if name in last and last[name][0] == moment else (moment, now if last else moment / 1e3)
            for name, moment in moments.items()
        }
        return crew_of([name for name, (_, since) in self._last.items() if now - since < _SILENT])


def named_clients(prefix: str, queue: str) -> Survey:
    """Connections that a worker of BullMQ has named after its queue, where there are not too many to list."""
    name = f"{prefix}:{base64.b64encode(queue.encode()).decode()}".encode()

    def listed(answers: Sequence[Any], _: float) -> Crew:
        [clients] = answers
        if not isinstance(clients, bytes):
            return UNKNOWN
        named = _CLIENT.findall(clients)
        return crew_of([client for client, own in named if own == name or own.startswith(name + b":w:")])

    def counted(answers: Sequence[Any], _: float) -> Crew | Survey:
        many = _CLIENTS.search(answers[0]) if isinstance(answers[0], bytes) else None
        if many is None or int(many[1]) > MOST_WORKERS:
            return UNKNOWN
        return Survey((), listed, aside=(("CLIENT", "LIST"),))

    return Survey((), counted, aside=(("INFO", "clients"),))


def broadcast_to(bindings: str) -> Survey:
    """Workers of Celery that hear broadcasts: those whose mailboxes are bound, no more than connections listen. One of
    several that was killed goes on being counted."""

    def listened(names: Sequence[bytes], answers: Sequence[Any]) -> Crew:
        [clients] = answers
        if not isinstance(clients, bytes):
            return UNKNOWN
        return crew_of(sorted(names)[: len(_LISTENS.findall(clients))])

    def bound(answers: Sequence[Any], _: float) -> Crew | Survey:
        names, about = answers
        many = _CLIENTS.search(about) if isinstance(about, bytes) else None
        if not isinstance(names, list) or many is None or max(len(names), int(many[1])) > MOST_WORKERS:
            return UNKNOWN
        return Survey((), lambda told, _: listened(names, told), aside=(("CLIENT", "LIST", "TYPE", "PUBSUB"),))

    return Survey((), bound, aside=(("SRANDMEMBER", bindings, MOST_WORKERS + 1), ("INFO", "clients")))


def consumers(key: str) -> Survey:
    """Consumers of all groups of a stream that were heard of lately."""

    def grouped(answers: Sequence[Any], _: float) -> Crew | Survey:
        if not isinstance(answers[0], list):
            # A stream that is not there yet has no group.
            missing = isinstance(answers[0], Exception) and "no such key" in str(answers[0]).lower()
            return Crew(frozenset()) if missing else UNKNOWN
        groups = [dict(zip(group[::2], group[1::2], strict=True))[b"name"] for group in answers[0]]
        return Survey((), _heard_of, aside=[("XINFO", "CONSUMERS", key, group) for group in groups])

    return Survey((), grouped, aside=(("XINFO", "GROUPS", key),))


def _heard_of(answers: Sequence[Any], _: float) -> Crew:
    if not all(isinstance(answer, list) and len(answer) <= MOST_WORKERS for answer in answers):
        return UNKNOWN
    every = [dict(zip(each[::2], each[1::2], strict=True)) for answer in answers for each in answer]
    return crew_of([each[b"name"] for each in every if int(each.get(b"idle", 0)) < _IDLE])
