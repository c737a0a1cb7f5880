"""Sidekiq: a list ``queue:NAME``; the set ``queues`` names those that ever held a job, the set ``processes`` the living
workers, each with a hash that says which queues it serves. A namespace may go before all keys. Any program may have a
list ``queue:NAME``: without a mark only ``queue:default`` tells, the name that it has unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Unmarked, default_name, fields, members, number

_QUEUE = "queue:"
_DEFAULT = "queue:default"
_MOST_PROCESSES = 16


class Sidekiq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"sidekiq"})
    name = "Sidekiq"
    harm = "a worker fails at a job without a class, and puts it among the dead"

    def by_key(self, key: str) -> str | None:
        return default_name(_DEFAULT) if key == _DEFAULT else None

    def by_value(self, value: bytes) -> str | None:
        return "a Sidekiq job waits in it" if {"class", "jid", "args"} <= fields(value).keys() else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        namespace, found, name = key.partition(_QUEUE)
        if not found or not name or (namespace and not namespace.endswith(":")):
            return None

        def read(answers: Sequence[Any]) -> str | Inquiry | None:
            if number(answers[0]):
                return f"the set {namespace}queues names it"
            processes = members(answers[1])[:_MOST_PROCESSES]
            return _served(namespace, name, processes) if processes else None

        return Inquiry(
            (("SISMEMBER", f"{namespace}queues", name), ("SSCAN", f"{namespace}processes", 0, "COUNT", 100)), read
        )

    def spelling(self, key: str) -> tuple[str, str] | None:
        return ("sidekiq", key.removeprefix(_QUEUE)) if key.startswith(_QUEUE) else None


def _served(namespace: str, name: str, processes: Sequence[bytes]) -> Inquiry:
    def read(answers: Sequence[Any]) -> str | None:
        for answer in answers:
            told = fields(answer) if isinstance(answer, bytes) else {}
            # A list of names, or of later releases also a table of names and weights in each capsule.
            if any(_names(told.get(part), name) for part in ("queues", "weights", "capsules")):
                return f"a worker among the set {namespace}processes serves it"
        return None

    return Inquiry([("HGET", namespace.encode() + process, "info") for process in processes], read)


def _names(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return name in value or any(_names(each, name) for each in value.values())
    return isinstance(value, list) and (name in value or any(_names(each, name) for each in value))
