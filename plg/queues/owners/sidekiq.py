"""Sidekiq: a list ``queue:NAME``; the set ``queues`` names those that ever held a job, the set ``processes`` the living
workers, each with a hash that says which queues it serves. Jobs that wait for their time or failed stand in the sorted
sets ``schedule``, ``retry`` and ``dead``, each with the name of its queue. A namespace may go before all keys. Any
program may have a list ``queue:NAME``: without a mark only ``queue:default`` tells, its name unless told otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from plg.queues.owners.base import Finding, Inquiry, Roll, Spelling, Unmarked, default_name, fields, literal, number
from plg.queues.owners.walk import Walk

_QUEUE = "queue:"
_DEFAULT = "queue:default"
_MOST_PROCESSES = 5000
_COUNTED, _JOBS = 2000, 200
"""Processes, and jobs of each kind, that are asked which queues there are."""
_LATER = ("schedule", "retry", "dead")
_RECORDS = frozenset(("queues", "processes", *_LATER))
_PAGE, _PAGES = 500, 20
"""Jobs are long: few of them at a time."""


class Sidekiq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"sidekiq"})
    name = "Sidekiq"
    harm = "a worker fails at a job without a class, and puts it among the dead"
    usual = _DEFAULT
    registers: tuple[str, ...] = ("queues",)

    def by_key(self, key: str) -> str | None:
        return default_name(_DEFAULT) if key == _DEFAULT else None

    def by_value(self, value: bytes) -> str | None:
        return "a Sidekiq job waits in it" if {"class", "jid", "args"} <= fields(value).keys() else None

    def alien(self, value: bytes) -> bool:
        return self.by_value(value) is None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        space, colon, last = key.rpartition(":")
        if last in _RECORDS:
            return _record(space + colon)
        queues = list(_queues(key))
        if not queues:
            return None

        def read(answers: Sequence[Any]) -> Finding:
            for (space, _), named in zip(queues, answers, strict=True):
                if number(named):
                    return f"the set {space}queues names it"
            return tuple(
                walk.begin() for space, name in queues for walk in (_served(space, name), *_later(space, name))
            )

        return Inquiry([("SISMEMBER", f"{space}queues", name) for space, name in queues], read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        return Spelling("sidekiq", key.removeprefix(_QUEUE)) if key.startswith(_QUEUE) else None

    def member(self, register: str, member: str) -> Spelling | None:
        return Spelling("sidekiq", member)

    def roll(self) -> Roll:
        def read(answers: Sequence[Any]) -> tuple[Spelling | Roll, ...]:
            page, *later = answers
            jobs = [fields(each) for page in later for each in page or ()]
            names = dict.fromkeys(name for job in jobs if isinstance(name := job.get("queue"), str))
            processes = [("HGET", process, "info") for process in (page[1] if page else ())[:_COUNTED]]
            return (*(Spelling("sidekiq", name) for name in names), Roll(processes, _queues_served))

        later = [("ZRANGE", which, 0, _JOBS - 1) for which in _LATER]
        return Roll((("SSCAN", "processes", 0, "COUNT", _COUNTED), *later), read)


def _queues(key: str) -> Iterator[tuple[str, str]]:
    """The namespaces, each with its colon, and names that may make up a key."""
    at = key.find(_QUEUE)
    while at >= 0:
        space, name = key[:at], key[at + len(_QUEUE) :]
        if name and (not space or space.endswith(":")):
            yield space, name
        at = key.find(_QUEUE, at + 1)


def _record(space: str) -> Inquiry:
    """Whether Sidekiq lives in a namespace, of which the key may become one of its own records."""

    def read(answers: Sequence[Any]) -> str | None:
        return "it keeps its own records under that name" if any(map(number, answers)) else None

    return Inquiry([("SCARD", f"{space}{which}") for which in ("queues", "processes")], read)


def _served(space: str, name: str) -> Walk:
    """What the living workers say of themselves."""
    processes = f"the set {space}processes"

    def read(answers: Sequence[Any]) -> str | None:
        for answer in answers:
            told = fields(answer) if isinstance(answer, bytes) else {}
            # A list of names, or of later releases also a table of names and weights in each capsule.
            if any(_names(told.get(part), name) for part in ("queues", "weights", "capsules")):
                return f"a worker among {processes} serves it"
        return None

    def find(members: Sequence[bytes]) -> Inquiry:
        return Inquiry([("HGET", space.encode() + process, "info") for process in members], read)

    return Walk("SSCAN", f"{space}processes", f"members of {processes}", find, most=_MOST_PROCESSES)


def _later(space: str, name: str) -> Iterator[Walk]:
    """The jobs that wait for their time, and those that failed."""
    # Ruby writes it without a blank, other clients with one.
    pattern = f'*"queue":*{literal(json.dumps(name, ensure_ascii=False))}*'
    for which in _LATER:
        where = f"the sorted set {space}{which}"

        def find(members: Sequence[bytes], where: str = where) -> str | None:
            named = any(fields(member).get("queue") == name for member in members)
            return f"a job of it stands in {where}" if named else None

        yield Walk("ZSCAN", f"{space}{which}", f"members of {where}", find, pattern, _PAGE, _PAGES)


def _queues_served(answers: Sequence[Any]) -> tuple[Spelling | Roll, ...]:
    """What the living workers say that they serve."""
    found: dict[str, None] = {}
    for answer in answers:
        told = fields(answer) if isinstance(answer, bytes) else {}
        capsules = told.get("capsules")
        weights = [each.get("weights") for each in capsules.values()] if isinstance(capsules, dict) else []
        for names in (told.get("queues"), *weights):
            found |= dict.fromkeys(name for name in names or () if isinstance(name, str))
    return tuple(Spelling("sidekiq", name) for name in found)


def _names(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return name in value or any(_names(each, name) for each in value.values())
    return isinstance(value, list) and (name in value or any(_names(each, name) for each in value))
