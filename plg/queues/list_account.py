"""Whether the jobs that left a list were taken by workers, told from the commands that the server was given.

A list does not say who took what. But each command that takes a job is counted: where jobs have gone and none was
given, or fewer than jobs have gone and one that deletes was given too, nobody can have seen them taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from plg.dataclass import dataclass
from plg.queues.base import Change, Crew, Loss, Question, Sight, Survey
from plg.queues.commands import QUESTIONS, Commands, Given

_TAKING = (
    "lpop", "rpop", "blpop", "brpop", "lmove", "blmove", "rpoplpush", "brpoplpush", "lmpop", "blmpop", "lrem",
)  # fmt: skip
_DELETING = (
    "del", "unlink", "flushdb", "flushall", "swapdb", "rename", "renamenx", "move", "migrate", "restore", "getdel",
    "delex", "ltrim",
)  # fmt: skip
_EXPIRING = ("expire", "pexpire", "expireat", "pexpireat")
"""Given all the time by those who keep results; what a key has left to live is looked at besides."""
LEFT, RIGHT = 0, -1
_ADDING = {RIGHT: ("rpush", "rpushx", "linsert", "lset"), LEFT: ("lpush", "lpushx", "linsert", "lset")}


def accounted(survey: Survey, keys: Iterable[str], end: int = RIGHT) -> Survey:
    """The survey, with what became of the lists ``keys`` since the last look.

    Workers take from their ``end``. The survey asks for the length of each, and maybe for the job at that end.
    """
    accounts = [ListAccount(key, end) for key in keys]
    aside = tuple(dict.fromkeys(question for account in accounts for question in account.questions))

    def read(answers: Sequence[Any], now: float) -> Sight | Crew | Survey:
        told = dict(zip((*survey.questions, *aside), answers, strict=True))
        changes = [account.read(told, now) for account in accounts]
        return _changed(survey.read(answers[: len(survey.questions)], now), Change.together(changes))

    return replace(survey, read=read, aside=aside)


def _changed(found: Sight | Crew | Survey, change: Change) -> Sight | Crew | Survey:
    if isinstance(found, Sight):
        return replace(found, change=change)
    if isinstance(found, Crew):
        return found
    return replace(found, read=lambda answers, now: _changed(found.read(answers, now), change))


@dataclass(frozen=True, slots=True)
class _State:
    length: int
    oldest: bytes | None
    commands: Commands
    expires_at: float | None


@dataclass(slots=True)
class ListAccount:
    """What became of the list ``key`` since the last look, where workers take from its ``end``."""

    key: str
    end: int = RIGHT
    _before: _State | None = field(default=None, init=False)
    _blocked: bool = field(default=False, init=False)
    _at_once: int = field(default=1, init=False)

    @property
    def questions(self) -> tuple[Question, ...]:
        return (*QUESTIONS, ("PTTL", self.key))

    def read(self, told: Mapping[Question, Any], now: float) -> Change:
        """From the answers to all that was asked, among it the length and maybe the job at the end."""
        stats, clients, left = (told[question] for question in self.questions)
        length, oldest = told["LLEN", self.key], told.get(("LINDEX", self.key, self.end))
        expires = left / 1e3 if isinstance(left, int) and left >= 0 else None
        state = _State(length, oldest, Commands.read(stats, clients), None if expires is None else now + expires)
        before, self._before = self._before, state
        if before is None:
            # A worker that waits already is given its first job without a further command.
            self._blocked = state.commands.blocked != 0
            return Change(expires=expires, untold=state.commands.calls is None)
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
        # Workers that take many at a time without a count read them and cut them off.
        cut = given.count(("ltrim",)) and given.count(("lrange",)) >= given.count(("ltrim",))
        deleting = [name for name in _DELETING if given.calls.get(name) and not (cut and name == "ltrim")]
        if (taking or cut) and not deleting and not expired:
            self._at_once = max(self._at_once, math.ceil(gone / max(1, taking)))
            return ()
        left = gone - taking * self._at_once
        how = " (its time to live ran out)" if expired else given.named((*deleting, *_EXPIRING))
        return (self._loss(left, how),) if left > 0 else ()

    def _loss(self, jobs: int, how: str) -> Loss:
        return Loss(jobs, f"vanished from {self.key!r}, untaken as far as can be seen{how}")
