"""Several connections to one server as one transport: for rates at which a single one is the bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plg.answers import Answers
from plg.runner.connection import Connection
from plg.runner.transport import Several
from plg.targets.encoding import Command


class Pool(Several):
    """Connections that take commands in turn, as one. Nothing is sent while one of them is down or full."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections
        self._turn = 0

    def _all(self) -> Sequence[Connection]:
        return self._connections

    @property
    def down(self) -> bool:
        return any(connection.down for connection in self._connections)

    @property
    def backlog(self) -> int:
        return sum(connection.backlog for connection in self._connections)

    @property
    def retry_at(self) -> float:
        return min((connection.retry_at for connection in self._connections if connection.down), default=0.0)

    @property
    def last_words(self) -> str:
        return next((connection.last_words for connection in self._connections if connection.down), "")

    def ready(self, now: float) -> bool:
        states = [connection.ready(now) for connection in self._connections]  # asked of each, for it may reconnect then
        return all(states)

    def given_up(self, now: float) -> bool:
        # One that is up again was lost a while ago: that is no reason to give up another one's first failure.
        return any(connection.down and connection.given_up(now) for connection in self._connections)

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool:
        parts: dict[int, list[Command]] = {}
        for command in commands:
            parts.setdefault(self._turn, []).append(command)
            self._turn = (self._turn + 1) % len(self._connections)
        clear = [self._connections[index].send(part, now, timed=timed) for index, part in parts.items()]
        return all(clear)

    def collect(self, look: Callable[[], float]) -> Answers:
        answers = Answers()
        for connection in self._connections:
            answers.extend(connection.collect(look))
        return answers
