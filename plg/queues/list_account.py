"""Whether the jobs that left a list were taken by workers, told from the commands that the server was given.

A list does not say who took what. But each command that takes a job is counted: where jobs have gone and none was
given, or fewer than jobs have gone and one that deletes was given too, nobody can have seen them taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from plg.queues.base import Change, Loss, Question
from plg.queues.commands import QUESTIONS, Commands, Given

_TAKING = (
    "lpop", "rpop", "blpop", "brpop", "lmove", "blmove", "rpoplpush", "brpoplpush", "lmpop", "blmpop", "lrem",
)  # fmt: skip
_DELETING = (
    "del", "unlink", "flushdb", "flushall", "swapdb", "rename", "renamenx", "move", "migrate", "ltrim", "set",
    "restore",
    "expire", "pexpire", "expireat", "pexpireat", "getdel", "delex",
)  # fmt: skip
_ADDING = {"right": ("rpush", "rpushx", "linsert", "lset"), "left": ("lpush", "lpushx", "linsert", "lset")}


@dataclass(frozen=True, slots=True)
class _State:
    length: int
    oldest: bytes | None
    commands: Commands
    expires_at: float | None


@dataclass(slots=True)
class ListAccount:
    """What became of the list ``key`` since the last look, where workers take from its ``end``: right or left."""

    key: str
    end: str = "right"
    _before: _State | None = field(default=None, init=False)
    _blocked: bool = field(default=False, init=False)

    @property
    def questions(self) -> tuple[Question, ...]:
        return (*QUESTIONS, ("PTTL", self.key))

    def look(self, length: int, oldest: bytes | None, answers: Sequence[Any], now: float) -> Change:
        """``answers`` are those to the questions, ``oldest`` is the job at the end where it was asked for."""
        stats, clients, left = answers
        expires = left / 1e3 if isinstance(left, int) and left >= 0 else None
        state = _State(length, oldest, Commands.read(stats, clients), None if expires is None else now + expires)
        before, self._before = self._before, state
        if before is None:
            # A worker that waits already is given its first job without a further command.
            self._blocked = state.commands.blocked != 0
            return Change(expires=expires)
        given = state.commands.since(before.commands)
        expired = before.expires_at is not None and before.expires_at <= now and expires is None
        return Change(self._losses(before, state, given, expired), self._taken(given), expires)

    def _taken(self, given: Given | None) -> bool | None:
        if given is None:
            return None
        if given.count(_TAKING):
            return True
        unsure = self._blocked or given.count(("lrange", "rename", "renamenx"))
        return None if unsure else False

    def _losses(self, before: _State, now: _State, given: Given | None, expired: bool) -> tuple[Loss, ...]:
        gone = max(0, before.length - now.length)
        if given is None:
            return (self._loss(gone, " (its time to live ran out)"),) if expired and gone else ()
        if given.anew:
            return ()
        if not gone and before.oldest != now.oldest and before.length and not given.count(_ADDING[self.end]):
            gone = 1
        taking = given.count(_TAKING)
        # Workers that take many at a time read them and cut them off.
        batches = given.count(("ltrim",)) if given.count(("lrange",)) >= given.count(("ltrim",)) else 0
        deleting = given.named(name for name in _DELETING if not (batches and name == "ltrim"))
        if gone <= taking or not (deleting or expired or not (taking or batches)):
            return ()
        return (self._loss(gone - taking, " (its time to live ran out)" if expired else deleting),)

    def _loss(self, jobs: int, how: str) -> Loss:
        return Loss(jobs, f"vanished from {self.key!r}, untaken as far as can be seen{how}")
