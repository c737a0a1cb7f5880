"""Several connections to one server as one line: for rates at which a single one is the bound."""

from __future__ import annotations

from collections.abc import Sequence

from plg.clock import Clock
from plg.runner.lane import Answer, Lane, StepByStep, wait_on
from plg.targets.encoding import Command
from plg.targets.wire import Link


class Lanes(StepByStep):
    """A `Line` of several lanes, which take commands in turn. Nothing is sent while one of them is down or full."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._turn = 0

    @property
    def in_flight(self) -> int:
        return sum(lane.in_flight for lane in self._lanes)

    @property
    def awaited(self) -> int:
        return sum(lane.awaited for lane in self._lanes)

    @property
    def down(self) -> bool:
        return any(lane.down for lane in self._lanes)

    @property
    def backlog(self) -> int:
        return sum(lane.backlog for lane in self._lanes)

    @property
    def retry_at(self) -> float:
        return min((lane.retry_at for lane in self._lanes if lane.down), default=0.0)

    @property
    def last_words(self) -> str:
        return next((lane.last_words for lane in self._lanes if lane.down), "")

    @property
    def links(self) -> list[Link]:
        return [link for lane in self._lanes for link in lane.links]

    def ready(self, now: float) -> bool:
        states = [lane.ready(now) for lane in self._lanes]  # asked of each, for it may reconnect then
        return all(states)

    def given_up(self, now: float) -> bool:
        # One that is up again was lost a while ago: that is no reason to give up another one's first failure.
        return any(lane.down and lane.given_up(now) for lane in self._lanes)

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool:
        parts: dict[int, list[Command]] = {}
        for command in commands:
            parts.setdefault(self._turn, []).append(command)
            self._turn = (self._turn + 1) % len(self._lanes)
        clear = [self._lanes[index].send(part, now, timed=timed) for index, part in parts.items()]
        return all(clear)

    def collect(self, now: float) -> list[Answer]:
        return [answer for lane in self._lanes for answer in lane.collect(now)]

    def wait(self, clock: Clock, deadline: float, *, answers: bool) -> None:
        wait_on(self.links, clock, deadline, answers=answers)

    def abandon(self, now: float, why: str) -> list[Answer]:
        return [answer for lane in self._lanes for answer in lane.abandon(now, why)]

    def pardon(self, seconds: float) -> None:
        for lane in self._lanes:
            lane.pardon(seconds)

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()
