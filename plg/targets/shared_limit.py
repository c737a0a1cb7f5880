"""A number of jobs that several generators share: a counter in the target, written by plg and removed by the last.

The hash ``plg:limits:<run id>`` holds the agreement (``of`` shards, ``limit`` jobs), a mark ``shard:<i>`` of each that
has begun, ``taken`` (permits given out) and ``done`` (shards that have ended). It expires by itself where a shard dies.
`SharedLimit` belongs to one thread at a time.
"""

from __future__ import annotations

from typing import Any

from plg.targets.base import Target, TargetError
from plg.targets.client import Client, Command
from plg.targets.faults import explain

PREFIX = "plg:limits:"
_TIMEOUT = 5.0


class SharedLimit:
    """The counter as shard ``part`` (from 1) of ``of`` sees it."""

    def __init__(self, target: Target, run_id: str, part: int, of: int, limit: int) -> None:
        self.key = f"{PREFIX}{run_id}"
        self._part, self._of, self._limit = part, of, limit
        self.of = of
        address = target.address
        if target.cluster is not None and (node := target.cluster.slots.owner(self.key)) is not None:
            address = target.cluster.address(node)
        self._client = Client(address, connect_timeout=_TIMEOUT, answer_timeout=_TIMEOUT)

    def begin(self, lasting: float) -> None:
        """Join, for a run that is over in ``lasting`` seconds. Raises `TargetError` where this shard has begun before,
        or another one has agreed on other figures."""
        _, _, fresh, _, figures = self._ask(
            ("HSETNX", self.key, "of", self._of),
            ("HSETNX", self.key, "limit", self._limit),
            ("HSETNX", self.key, f"shard:{self._part}", 1),
            ("EXPIRE", self.key, int(lasting) + 3600),
            ("HMGET", self.key, "of", "limit"),
        )
        if [int(figure) for figure in figures] != [self._of, self._limit]:
            told = f"{int(figures[0])} shards and {int(figures[1]):,} jobs"
            raise TargetError("refused", f"{self.key} was agreed on for {told}, which are not those of this shard")
        if not fresh:
            raise TargetError("refused", f"shard {self._part} of {self._of} has begun before: {self.key} says so")

    def claim(self, jobs: int) -> tuple[int, int]:
        """Take up to ``jobs`` permits: how many are granted, and how many nobody has taken yet."""
        [taken] = self._ask(("HINCRBY", self.key, "taken", jobs))
        granted = max(0, min(jobs, self._limit - (int(taken) - jobs)))
        if granted < jobs:
            self.give_back(jobs - granted)
        return granted, max(0, self._limit - int(taken))

    def give_back(self, jobs: int) -> None:
        """Return permits that were not used."""
        if jobs:
            self._ask(("HINCRBY", self.key, "taken", -jobs))

    def end(self, unused: int) -> None:
        """Leave; the last shard removes the key."""
        self.give_back(unused)
        [done] = self._ask(("HINCRBY", self.key, "done", 1))
        if int(done) >= self._of:
            self._ask(("DEL", self.key))

    def close(self) -> None:
        self._client.close()

    def _ask(self, *commands: Command) -> list[Any]:
        self._client.limit(_TIMEOUT)
        answers = self._client.ask(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise explain(answer, self._client.address.shown)
        return answers
