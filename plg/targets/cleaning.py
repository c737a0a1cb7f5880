"""Removing what one run left: its jobs where they wait, and what is kept of those that are done. Nothing else.

A job is first taken out of where workers would find it, which only one of plg and a worker can do; what belongs to it
goes after that. Jobs that a worker has are left to it, unless they are asked for too. All of it may be done again, and
broken off at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Sequence

from plg.queues.traces import Made, Own, Place, Traces
from plg.targets.client import Command
from plg.targets.job_source import GROUP
from plg.targets.pages import Page, Server, value_of
from plg.targets.routed import Routed
from plg.targets.tally import Tally

Fresh = tuple[str, str | None]
"""A key that was not there before the run, or a member that the set of that name did not have."""
PATIENCE = 5.0
"""Seconds that jobs which a worker has get to be done."""
_APART = 0.2
_KEYS = 500
"""Keys that one command asks for, or removes."""


class Cleaner:
    """What a run left in a target: ``planned`` jobs at the most, in these ``traces``.

    With ``force`` the jobs that a worker has are removed too.
    """

    def __init__(
        self,
        routed: Routed,
        traces: Sequence[Traces],
        planned: int,
        *,
        force: bool = False,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = Server(routed, pause)
        self._routed, self._traces, self._planned, self._force = routed, traces, planned, force
        self._clock, self._pause = clock, pause

    def among(self, keys: Container[str]) -> set[int]:
        """The numbers of the jobs that stand in these keys."""
        places = (place for told in self._traces for place in told.places if place.key in keys)
        return {each.seq for place in places for page in self._server.pages(place) for each in page.found}

    def look(self) -> Tally:
        """What is there. Changes nothing."""
        tally = Tally()
        for place in self._places(held=True):
            for page in self._server.pages(place):
                tally.add(place.key, [each.seq for each in page.found], held=True)
        self._look_at_keys(tally, held=True)
        for place in self._places(held=False):
            for page in self._server.pages(place):
                for held in (True, False):
                    seqs = [each.seq for each in page.found if tally.is_held(each.seq) == held]
                    tally.add(place.key, seqs, held=held)
        self._look_at_keys(tally, held=False)
        return tally

    def clean(self, patience: float = PATIENCE) -> Tally:
        """Remove what is there: what was removed. Jobs that a worker has get ``patience`` s to be done before."""
        removed, until = Tally(), self._clock() + patience
        while True:
            held = self._held()
            before = removed.found
            for place in (*(self._places(held=True) if self._force else ()), *self._places(held=False)):
                self._clear(place, held, removed)
            now = self._clock()
            if removed.found != before:
                continue  # until nothing is found: what was on its way from one place to another is found then
            held = self._held()
            if not held.held or self._force or now >= until:
                break
            self._pause(_APART)
        for own in self._own():
            self._unlink(own, held, removed)
        return removed

    def unmake(self, fresh: Sequence[Fresh]) -> None:
        """Remove what the run made beside its jobs, where that was not there before and nothing hangs on it."""
        for made in dict.fromkeys(each for told in self._traces for each in told.made):
            if (made.key, made.member) in fresh:
                self._unmake(made)

    def _places(self, *, held: bool) -> Iterator[Place]:
        """Those that hold jobs of workers, or the others: lists first, of which workers take."""
        places = [place for told in self._traces for place in told.places if place.held == held]
        if held:
            # In a stream a job stays where it is while a worker has it.
            streams = (place for told in self._traces for place in told.places if place.kind == "stream")
            places += [_held(place) for place in streams if not place.held]
        return iter(sorted(places, key=lambda place: place.kind != "list"))

    def _own(self) -> list[Own]:
        return [own for told in self._traces for own in told.own]

    def _held(self) -> Tally:
        """The jobs that workers have; none where those are to be removed as well."""
        tally = Tally()
        if not self._force:
            for place in self._places(held=True):
                for page in self._server.pages(place):
                    tally.add(place.key, [each.seq for each in page.found], held=True)
            self._look_at_keys(tally, held=True)
        return tally

    def _clear(self, place: Place, held: Tally, removed: Tally) -> None:
        for page in self._server.pages(place):
            page.found = [each for each in page.found if not held.is_held(each.seq)]
            if page.found:
                seqs = self._remove(place, page)
                page.removed = len(seqs)
                removed.add(place.key, seqs)
                if place.messages is not None:
                    removed.add(place.messages, seqs)

    def _remove(self, place: Place, page: Page) -> list[int]:
        """Remove the elements of a page: the jobs that were still there."""
        if place.kind == "stream":
            entries = [each.element for each in page.found]
            self._server.ask([("XACK", place.key, group, *entries) for group in page.groups if self._force])
        commands = [_removing(place, each.element, from_left=page.from_left) for each in page.found]
        answers = list(self._server.in_steps(commands))
        gone = [each for each, answer in zip(page.found, answers, strict=True) if answer]
        beside = [command for each in gone for command in place.companions(each.element)]
        list(self._server.in_steps(beside))
        return [each.seq for each in gone]

    def _look_at_keys(self, tally: Tally, *, held: bool) -> None:
        """The keys of single jobs: of those ``held`` by a worker, or the others."""
        for own in self._own():
            if own.held != held:
                continue
            for seqs in self._seqs():
                there = self._there(own, seqs)
                tally.add(own.shown, [seq for seq in there if held or tally.is_held(seq)], held=True)
                tally.add(own.shown, [seq for seq in there if not held and not tally.is_held(seq)])

    def _there(self, own: Own, seqs: Sequence[int]) -> list[int]:
        """Those of the jobs whose key exists."""
        if self._routed.alone:
            [many] = self._server.ask([("EXISTS", *map(own.key, seqs))])
            if not many:
                return []
        answers = self._server.ask([("EXISTS", own.key(seq)) for seq in seqs])
        return [seq for seq, there in zip(seqs, answers, strict=True) if there]

    def _unlink(self, own: Own, held: Tally, removed: Tally) -> None:
        if own.held and not self._force:
            return
        for seqs in self._seqs():
            there = [seq for seq in self._there(own, seqs) if not held.is_held(seq)]
            gone = self._server.ask([("UNLINK", own.key(seq)) for seq in there]) if there else ()
            removed.add(own.shown, [seq for seq, done in zip(there, gone, strict=True) if done])

    def _seqs(self) -> Iterator[Sequence[int]]:
        for first in range(0, self._planned, _KEYS):
            yield range(first, min(first + _KEYS, self._planned))

    def _unmake(self, made: Made) -> None:
        """In one step with the look whether anything hangs on it, where one server holds all these keys."""
        keys = [made.key, *made.unless]
        client = self._routed.client(made.key)
        watched = self._routed.together(keys)
        if watched:
            client.ask([("WATCH", *keys)])
        others = self._server.ask([("EXISTS", key) for key in made.unless]) if made.unless else []
        if any(others) or (made.member is None and not self._is_empty(made)):
            client.ask([("UNWATCH",)])
            return
        removing: Command = ("UNLINK", made.key) if made.member is None else ("SREM", made.key, made.member)
        client.ask([("MULTI",), removing, ("EXEC",)] if watched else [removing])

    def _is_empty(self, made: Made) -> bool:
        """Whether nothing is left in a key that plg made: a stream may have the group of plg's own workers."""
        key = made.key
        if self._server.ask([("TYPE", key)]) != [made.kind.encode()]:
            return False
        if made.kind == "zset":
            return set(self._server.ask([("ZRANGE", key, 0, len(made.nothing))])[0]) <= made.nothing
        if made.nothing:
            [entries] = self._server.ask([("XRANGE", key, "-", "+", "COUNT", _KEYS)])
            return len(entries) < _KEYS and all(value_of(fields) in made.nothing for _, fields in entries)
        groups = [name for name in self._server.groups(key) if name != GROUP.encode()]
        return not groups and self._server.ask([("XLEN", key)]) == [0]


def _held(place: Place) -> Place:
    return Place(place.key, place.kind, place.mine, held=True)


def _removing(place: Place, element: bytes, *, from_left: bool) -> Command:
    if place.kind == "list":
        return ("LREM", place.key, 1 if from_left else -1, element)
    command = {"zset": "ZREM", "hash": "HDEL", "set": "SREM", "stream": "XDEL"}[place.kind]
    return (command, place.key, element)
