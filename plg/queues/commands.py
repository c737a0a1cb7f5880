"""Which commands a server was given between two looks, by what its INFO says: who took jobs, and what deleted them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from plg.dataclass import dataclass
from plg.queues.base import Question

QUESTIONS: tuple[Question, ...] = (("INFO", "commandstats"), ("INFO", "clients"))
"""What `Commands.read` reads the answers of."""
_CALLS = re.compile(rb"^cmdstat_([^:\r\n]+):calls=(\d+)", re.MULTILINE)
_BLOCKED = re.compile(rb"^blocked_clients:(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Commands:
    """How often a server was given each command since it started, and how many clients wait in one; None where it does
    not tell."""

    calls: Mapping[str, int] | None
    blocked: int | None

    @staticmethod
    def read(stats: Any, clients: Any) -> Commands:
        """From the answers to `QUESTIONS`, which may be errors."""
        calls = None
        if isinstance(stats, bytes):
            calls = {name.decode(errors="replace").lower(): int(count) for name, count in _CALLS.findall(stats)}
        blocked = _BLOCKED.search(clients) if isinstance(clients, bytes) else None
        return Commands(calls, int(blocked[1]) if blocked else None)

    def since(self, before: Commands) -> Given | None:
        """What was given since then; None where that is not known."""
        if self.calls is None or before.calls is None:
            return None
        grown = {name: count - before.calls.get(name, 0) for name, count in self.calls.items()}
        if any(count < 0 for count in grown.values()) or any(name not in self.calls for name in before.calls):
            return Given(self.calls, anew=True)
        # The look before asked too: who does not count that counts nothing.
        return Given({name: count for name, count in grown.items() if count}) if grown.get("info") else None


@dataclass(frozen=True, slots=True)
class Given:
    """How often each command was given; ``anew`` where the server began to count anew on the way, as one that was
    restarted does."""

    calls: Mapping[str, int]
    anew: bool = False

    def count(self, names: Iterable[str]) -> int:
        return sum(self.calls.get(name, 0) for name in names)

    def named(self, names: Iterable[str]) -> str:
        """Those of ``names`` that were given, as the end of a sentence: `` (the server was given DEL)``."""
        found = [name.upper().replace("|", " ") for name in names if self.calls.get(name)]
        return f" (the server was given {', '.join(found)})" if found else ""
