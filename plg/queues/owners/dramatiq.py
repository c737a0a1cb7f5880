"""dramatiq: a list ``NAMESPACE:NAME`` of ids and a hash ``NAMESPACE:NAME.msgs``; every broker, sender or worker, keeps
a sorted set ``NAMESPACE:__heartbeats__``. The namespace is ``dramatiq`` unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Spelling, Unmarked, number, splits

_DEFAULT = "dramatiq:"
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_HEARTBEATS = "__heartbeats__"
_OF_A_QUEUE = re.compile(
    r"dramatiq:(?:__acks__\.[^.]+\.)?(?!__(?:acks|heartbeats)__)(?P<name>[A-Za-z_][\w-]*)(?:\.[DX]Q)?(?:\.msgs)?"
)


class Dramatiq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"dramatiq"})
    name = "dramatiq"
    harm = "a worker takes what lies there for the id of a message, and finds none"
    prefetches = True
    surprises: Mapping[str, str] = {
        "prefetch": "workers take messages before they run them: what they hold has left the list"
    }

    def by_key(self, key: str) -> str | None:
        return "dramatiq:NAME is the name that dramatiq gives to a queue" if key.startswith(_DEFAULT) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        spaces = [space for space, _ in splits(key, ":")]
        if not spaces:
            return None

        def read(answers: Sequence[Any]) -> str | None:
            found = (space for space, there in zip(spaces, answers, strict=True) if number(there))
            return next((f"the sorted set {space}{_HEARTBEATS} is that of its brokers" for space in found), None)

        return Inquiry([("EXISTS", f"{space}{_HEARTBEATS}") for space in spaces], read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        space, _, name = key.rpartition(":")
        if not space or not _NAME.fullmatch(name):
            return None
        return Spelling("dramatiq", name, {} if space == "dramatiq" else {"namespace": space})

    def named(self, key: str) -> Spelling | None:
        found = _OF_A_QUEUE.fullmatch(key)
        return None if found is None else Spelling("dramatiq", found["name"])
