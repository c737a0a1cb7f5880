"""A number of jobs that several generators share: a counter in the target, written by plg and removed by the last.

The hash ``plg:limits:<run id>`` holds the agreement (``of`` shards, ``limit`` jobs), a word of its own (``epoch``), a
mark ``shard:<i>`` of each that has begun, and how many have: ``joined:<epoch>``. ``taken:<epoch>`` counts the permits
given out, ``done:<epoch>`` the shards that have ended, ``stop:<epoch>`` is the first stop that a shard told of, and
``part:<i>:<epoch>`` what shard i has counted of what only the sum over all of them tells. It expires by itself where a
shard dies.

A counter can be lost: flushed, evicted, or set back by a server that restarts from an older copy. Then nobody knows how
many jobs are left, and no shard is granted any more. It is lost when its epoch is another one, or the server itself. A
counter grants nothing before all shards have joined, so one that is begun anew never does: those before do not join it.
`SharedLimit` belongs to one thread at a time.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from plg.targets.base import Target, TargetError
from plg.targets.client import Client, Command
from plg.targets.faults import explain

PREFIX = "plg:limits:"
JOINING = 5.0
"""Seconds that a shard waits for the others to join."""
_LOOK = 0.02
_TIMEOUT = 5.0
_WHO = ("INFO", "server")


class CounterLost(TargetError):
    """The counter is not what it was: what was taken from it is not known any more."""


class SharedLimit:
    """The counter as shard ``part`` (from 1) of ``of`` sees it."""

    def __init__(self, target: Target, run_id: str, part: int, of: int, limit: int) -> None:
        self.key = f"{PREFIX}{run_id}"
        self._of, self._limit = of, limit
        self.part, self.of = part, of
        address = target.address
        if target.cluster is not None and (node := target.cluster.slots.owner(self.key)) is not None:
            address = target.cluster.address(node)
        self._client = Client(address, connect_timeout=_TIMEOUT, answer_timeout=_TIMEOUT)
        self._epoch = self._server = ""
        self._lasting = 3600
        self._parted = False

    def begin(self, lasting: float) -> None:
        """Join, for a run that is over in ``lasting`` seconds. Raises `TargetError` where this shard has begun before,
        or another one has agreed on other figures."""
        self._lasting = int(lasting) + 3600
        *_, fresh, figures = self._ask(
            ("HSETNX", self.key, "epoch", uuid.uuid4().hex),
            ("HSETNX", self.key, "of", self._of),
            ("HSETNX", self.key, "limit", self._limit),
            ("HSETNX", self.key, f"shard:{self.part}", 1),
            ("HMGET", self.key, "epoch", "of", "limit"),
        )
        if None in figures:
            raise self._lost("is gone")
        epoch, of, limit = figures
        if [int(of), int(limit)] != [self._of, self._limit]:
            told = f"{int(of)} shards and {int(limit):,} jobs"
            raise TargetError("refused", f"{self.key} was agreed on for {told}, which are not those of this shard")
        if not fresh:
            raise TargetError("refused", f"shard {self.part} of {self._of} has begun before: {self.key} says so")
        self._epoch, self._server = epoch.decode(), _server(self._client.ask([_WHO])[0])
        self._count("joined", 1)

    def await_others(self, patience: float = JOINING) -> None:
        """Return once all shards have joined. Raises `TargetError` where they do not within ``patience`` seconds."""
        until = time.monotonic() + patience
        while True:
            [[epoch, joined]] = self._ask(("HMGET", self.key, "epoch", f"joined:{self._epoch}"))
            self._heed(epoch)
            if int(joined or 0) >= self._of:
                return
            if time.monotonic() >= until:
                raise TargetError(
                    "refused",
                    f"{int(joined or 0)} of {self._of} shards have begun within {patience:g} s ({self._missing()}), "
                    f"and {self.key} grants nothing before all have (start them together, or divide the limit: leave "
                    "out --share-limits)",
                )
            time.sleep(_LOOK)

    def _missing(self) -> str:
        """``shards 2 and 3 have not``, or as many of them as there is room for."""
        parts = range(1, self._of + 1)
        [marks] = self._ask(("HMGET", self.key, *(f"shard:{part}" for part in parts)))
        missing = [str(part) for part, mark in zip(parts, marks, strict=True) if mark is None]
        named = ", ".join(missing[:8]) + (" and others" if len(missing) > 8 else "")
        return f"missing: shard{'s' if len(missing) > 1 else ''} {named}"

    def claim(self, jobs: int) -> tuple[int, int]:
        """Take up to ``jobs`` permits: how many are granted, and how many nobody has taken yet.

        Raises `CounterLost` where that is not known any more.
        """
        taken = self._count("taken", jobs)
        granted = max(0, min(jobs, self._limit - (taken - jobs)))
        if granted < jobs:
            self.give_back(jobs - granted)
        return granted, max(0, self._limit - taken)

    def tell_stop(self, stop: str) -> None:
        """Tell all shards why this one ends before its plan does; of several stops the first stands."""
        _, [epoch] = self._ask(("HSETNX", self.key, f"stop:{self._epoch}", stop), ("HMGET", self.key, "epoch"))
        self._heed_own(epoch)

    def exchange(self, part: str) -> tuple[str, list[str]]:
        """Tell ``part``, what this shard has counted. The stop that a shard told of ("" for none), and what the others
        counted last."""
        others = [f"part:{i + 1}:{self._epoch}" for i in range(self._of) if i + 1 != self.part]
        _, found = self._ask(
            ("HSET", self.key, f"part:{self.part}:{self._epoch}", part),
            ("HMGET", self.key, "epoch", f"stop:{self._epoch}", *others),
        )
        self._heed_own(found[0])
        said = ["" if each is None else each.decode() for each in found[1:]]
        return said[0], said[1:]

    def give_back(self, jobs: int) -> None:
        """Return permits that were not used."""
        if jobs:
            self._count("taken", -jobs)

    def end(self, unused: int) -> None:
        """Leave; the last shard removes the key. Raises `CounterLost` where there is none to leave."""
        [[epoch]] = self._ask(("HMGET", self.key, "epoch"))
        self._heed(epoch)
        self.give_back(unused)
        if self._count("done", 1) >= self._of:
            self._ask(("DEL", self.key))

    def _count(self, name: str, by: int) -> int:
        """The figure ``name`` of this epoch after it was changed. Raises `CounterLost`."""
        # In this order: what is counted before the epoch and the server are seen to be the same was counted by them.
        commands: tuple[Command, ...] = (
            ("HINCRBY", self.key, f"{name}:{self._epoch}", by),
            ("EXPIRE", self.key, self._lasting),
            ("HMGET", self.key, "epoch"),
        )
        try:
            *answers, about = self._client.ask((*commands, _WHO))
            figure, _, [epoch] = self._checked(answers)
        except TargetError:
            self._parted = True
            raise
        self._heed_own(epoch)
        if _server(about) != self._server or (self._parted and not self._server):
            raise self._lost("may be older than what was taken from it, as the server was restarted or replaced")
        return int(figure)

    def _heed_own(self, epoch: bytes | None) -> None:
        """As `_heed`, after something was written."""
        if epoch is None:
            self._ask(("DEL", self.key))  # all that it holds was just written by shards that had not noticed
        self._heed(epoch)

    def _heed(self, epoch: bytes | None) -> None:
        if epoch is None or epoch.decode() != self._epoch:
            raise self._lost("is gone, by FLUSHALL, eviction or a restart")

    def _lost(self, how: str) -> CounterLost:
        words = f"the counter {self.key} {how}; it is not known how many of the {self._limit:,} jobs of max_total_jobs"
        return CounterLost("lost", f"{words} are left")

    def close(self) -> None:
        self._client.close()

    def _ask(self, *commands: Command) -> list[Any]:
        return self._checked(self._client.ask(commands))

    def _checked(self, answers: list[Any]) -> list[Any]:
        for answer in answers:
            if isinstance(answer, Exception):
                raise explain(answer, self._client.address.shown)
        return answers


def _server(about: Any) -> str:
    """The name that a server's process has for itself, from its INFO; "" where it does not tell."""
    found = re.search(rb"^run_id:(\w+)", about, re.MULTILINE) if isinstance(about, bytes) else None
    return found[1].decode() if found else ""
