"""Whether the jobs that left a stream, or the view of its groups, were given to workers.

A stream tells more than a list: where each group stands, and since Redis 7 how many entries it was given. What it does
not tell is told from the commands that the server was given: an entry that was given and is no longer pending must have
been acknowledged, for instance, unless its consumer was deleted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain
from typing import Any

from plg.dataclass import dataclass
from plg.queues.base import Change, Loss, Question
from plg.queues.commands import QUESTIONS, Commands, Given
from plg.queues.stream_state import Group, StreamState

_ACKNOWLEDGING = ("xack", "xackdel")
_SETTING = ("xgroup|create", "xgroup|setid", "xgroup|destroy", "xgroup")
_DROPPING = ("xgroup|delconsumer", "xgroup|destroy", "xgroup")
_ONE_BY_ONE = ("xdel", "xdelex")
_UNMAKING = (
    "del", "unlink", "flushdb", "flushall", "swapdb", "rename", "renamenx", "move", "migrate", "restore", "set",
    "expire", "pexpire", "expireat", "pexpireat",
)  # fmt: skip
_NOTHING = Given({})


@dataclass(slots=True)
class StreamAccount:
    """What became of the stream ``key`` since the last look."""

    key: str
    _before: tuple[StreamState, Commands] | None = field(default=None, init=False)
    _missed: dict[bytes, int] = field(default_factory=dict, init=False)
    _blocked: bool = field(default=False, init=False)
    _at_once: int = field(default=1, init=False)

    @property
    def questions(self) -> tuple[Question, ...]:
        return (*QUESTIONS, ("PTTL", self.key))

    def look(self, state: StreamState, answers: Sequence[Any]) -> Change:
        """``answers`` are those to the questions."""
        stats, clients, left = answers
        expires = left / 1e3 if isinstance(left, int) and left >= 0 else None
        commands = Commands.read(stats, clients)
        before, self._before = self._before, (state, commands)
        if before is None:
            # A reader that waits already is given its first entry without a further command.
            self._blocked = commands.blocked != 0
            self._now_missed(state)
            return Change(expires=expires, untold=commands.calls is None)
        old, given = before[0], commands.since(before[1])
        missed = self._now_missed(state)
        found = () if given is not None and given.anew else tuple(_losses(old, state, given, missed, self._at_once))
        self._learn(old, state, given)
        return Change(found, self._taken(old, state, given), expires)

    def _now_missed(self, state: StreamState) -> dict[bytes, int]:
        """Entries that each group missed since the last look, of those that stood there then."""
        new: dict[bytes, int] = {}
        for group in state.groups:
            missed = group.missed(state.ends, state.book)
            new[group.name] = max(0, missed - self._missed.get(group.name, missed))
            self._missed[group.name] = max(missed, self._missed.get(group.name, 0))
        return new

    def _learn(self, old: StreamState, new: StreamState, given: Given | None) -> None:
        """How many entries workers acknowledge at once, from a time when there is no other way for them to go."""
        if given is None or given.anew or given.count(_DROPPING) or not given.count(_ACKNOWLEDGING):
            return
        done = sum(_dealt_with(then, group) for group in new.groups if (then := old.group(group.name)))
        self._at_once = max(self._at_once, math.ceil(done / given.count(_ACKNOWLEDGING)))

    def _taken(self, old: StreamState, new: StreamState, given: Given | None) -> bool | None:
        for group in new.groups:
            then = old.group(group.name) or Group(group.name, (0, 0), 0, None)
            put = group.read is None if group.counts else given is not None and not given.count(("xreadgroup",))
            if group.pending > then.pending or (group.delivered > then.delivered and not put):
                return True
        if given is None:
            return None
        return None if not new.groups and (self._blocked or given.count(("xread", *_ONE_BY_ONE))) else False


def _losses(
    old: StreamState, new: StreamState, given: Given | None, missed: Mapping[bytes, int], at_once: int
) -> Iterator[Loss]:
    key = repr(new.ends.key)
    seen = given or _NOTHING
    if _unmade(old, new):
        found = [Loss(old.waiting, f"vanished with the stream {key}{seen.named(_UNMAKING)}")]
    else:
        kept = [(then, group) for group in new.groups if (then := old.group(group.name))]
        gone = [group for group in old.groups if new.group(group.name) is None]
        found = [
            *(Loss(group.behind(old.ends), f"vanished with the group {_text(group)} of {key}") for group in gone),
            *chain.from_iterable(_of_group(old, new, then, group, seen, missed, at_once) for then, group in kept),
        ]
        if not old.groups:
            found += [
                Loss(_skipped_by_new(old, new, group, seen), _skipped(group, key, seen)) for group in new.groups
            ] or [Loss(_gone_ungrouped(old, new, seen), f"gone from {key}, untaken as far as can be seen")]
    yield from (loss for loss in found if loss.jobs > 0)


def _text(group: Group) -> str:
    return repr(group.name[:60].decode(errors="replace"))


def _skipped(group: Group, key: str, given: Given) -> str:
    return f"skipped by the group {_text(group)} of {key}, as far as can be seen{given.named(_SETTING)}"


def _unmade(old: StreamState, new: StreamState) -> bool:
    """Whether the stream is gone, or another one than before."""
    if old.book.made is not True or new.book.made is None:
        return False
    pairs = ((old.book.last, new.book.last), (old.book.added, new.book.added))
    return not new.book.made or any(a is not None and b is not None and b < a for a, b in pairs)  # type: ignore[operator]  # None is left out before


def _of_group(
    old: StreamState,
    new: StreamState,
    then: Group,
    now: Group,
    given: Given,
    missed: Mapping[bytes, int],
    at_once: int,
) -> Iterator[Loss]:
    """What a group lost that was there before. So many entries ``at_once`` were seen to be acknowledged."""
    key, ahead = repr(new.ends.key), old.ahead.get(now.name)
    acknowledged = given.count(_ACKNOWLEDGING) * at_once
    if ahead is not None and ahead <= now.delivered:
        jobs = then.not_given(old.ends) if now.delivered >= old.ends.last else 1
        if now.counts and now.read is None:
            yield Loss(jobs, _skipped(now, key, given))
        elif given.count(("xgroup|setid", "xgroup")):
            # What it was given then is pending or was acknowledged.
            seen = max(0, now.pending - then.pending) + acknowledged
            yield Loss(jobs - seen, _skipped(now, key, given))
    if now.consumers < then.consumers or (given.count(_DROPPING) and not given.count(_ACKNOWLEDGING)):
        left = _dealt_with(then, now) - acknowledged
        yield Loss(left, f"given to a consumer of {key} that was deleted, and not seen to be acknowledged")
    deleted = new.book.deleted
    jobs = missed.get(now.name) or _was_trimmed(old, new, then, now)
    if deleted is not None and deleted > max(now.delivered, old.book.deleted or (0, 0)):
        yield Loss(jobs or 1, f"deleted from {key} untaken")
    else:
        yield Loss(jobs, f"trimmed from {key} untaken")


def _dealt_with(then: Group, now: Group) -> int:
    """How many entries were pending, or were given to a consumer since, and are pending no more."""
    read = 0 if now.read is None or then.read is None else max(0, now.read - then.read)
    return max(0, then.pending + read - now.pending)


def _was_trimmed(old: StreamState, new: StreamState, then: Group, now: Group) -> int:
    """How many entries at least went before the group came to them, told from the first it had yet to be given."""
    ahead = old.ahead.get(now.name)
    if ahead is None or ahead <= now.delivered or (new.ends.length and new.ends.first <= ahead):
        return 0
    return 1 if new.ends.length else then.not_given(old.ends)


def _skipped_by_new(old: StreamState, new: StreamState, group: Group, given: Given) -> int:
    """How many entries a group, the first of its stream, came too late for, unless it was given them at once."""
    if not old.ends.length or group.delivered < old.ends.first:
        return 0
    held = new.held.get(group.name)
    if held is not None and held <= old.ends.first:
        return 0
    before = old.ends.length if group.delivered >= old.ends.last else 1
    if group.counts and group.read is None:
        return before
    return before - group.pending - given.count(_ACKNOWLEDGING)


def _gone_ungrouped(old: StreamState, new: StreamState, given: Given) -> int:
    """How many entries went from a stream without groups and nobody was seen to take them.

    Readers without a group delete what they have done, one by one or by trimming.
    """
    gone = max(0, old.ends.length - new.ends.length)
    if old.ends.length and (not new.ends.length or new.ends.first > old.ends.last):
        gone = old.ends.length
    elif new.ends.first > old.ends.first and old.ends.length:
        gone = max(1, gone)
    books = (old.book.added, new.book.added)
    if books[0] is not None and books[1] is not None:
        gone = max(gone, (books[1] - new.ends.length) - (books[0] - old.ends.length))
    read = given.count(("xread",)) and given.count(("xtrim",))
    return 0 if read or given.count(_ONE_BY_ONE) else gone
