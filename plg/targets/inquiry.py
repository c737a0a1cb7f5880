"""Questions about single jobs, asked in small batches over connections of their own while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from plg.queues.base import Question
from plg.targets.address import Address
from plg.targets.asked import Alone, Asked, Nodes
from plg.targets.base import Target
from plg.targets.client import Client

_PATIENCE = 1.0
"""Seconds for one batch."""
_TRIES = 5
"""Round trips by which the clocks are compared."""


class Inquiry:
    """Asks the server, or the nodes of a cluster that hold the keys. Blocking; for a thread beside the schedule."""

    def __init__(self, target: Target, *, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._clients = clock, list[Client]()
        self._main = self._client(target.address)
        cluster = target.cluster
        self._asked: Asked = Alone(self._main)
        if cluster is not None:
            nodes = [cluster.address(node) for node in cluster.slots.nodes]
            self._asked = Nodes(nodes, cluster.holder, self._client)

    def _client(self, address: Address) -> Client:
        client = Client(address, connect_timeout=_PATIENCE, answer_timeout=_PATIENCE)
        self._clients.append(client)
        return client

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        """Answers in the order of the questions, errors as exceptions. Raises `TargetError`."""
        for client in self._clients:
            client.limit(2 * _PATIENCE)
        return self._asked.ask([(question, "") for question in questions])

    def clock_offset(self) -> float | None:
        """How far (s) the server's clock is ahead of this machine's, by the quickest of a few round trips; None where
        it does not tell. Raises `TargetError`."""
        self._main.limit(2 * _PATIENCE)
        best: tuple[float, float] | None = None
        for _ in range(_TRIES):
            asked = self._clock()
            [answer] = self._main.ask([("TIME",)])
            heard = self._clock()
            if not isinstance(answer, list):
                return None
            seen = (heard - asked, int(answer[0]) + int(answer[1]) / 1e6 - (asked + heard) / 2)
            best = seen if best is None else min(best, seen)
        return None if best is None else best[1]

    def close(self) -> None:
        for client in self._clients:
            client.close()
