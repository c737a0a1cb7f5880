"""Several lanes as one line: more connections where one is the bound, or one to each node of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plg.clock import Clock
from plg.runner.lane import Answer, Lane
from plg.targets.encoding import Command
from plg.targets.wire import Wire, wait_any

Route = Callable[[Command], int]
"""Which lane a command goes over."""


class Lanes:
    """A `Line` of several lanes. Nothing is sent while one of them is down or full, so that order and rate hold."""

    def __init__(self, lanes: Sequence[Lane], route: Route) -> None:
        self._lanes, self._route = lanes, route

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

    def ready(self, now: float) -> bool:
        states = [lane.ready(now) for lane in self._lanes]  # asked of each, for it may reconnect then
        return all(states)

    def given_up(self, now: float) -> bool:
        return any(lane.given_up(now) for lane in self._lanes)

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> None:
        parts: dict[int, list[Command]] = {}
        for command in commands:
            parts.setdefault(self._route(command), []).append(command)
        for index, part in parts.items():
            self._lanes[index].send(part, now, timed=timed)

    def collect(self, now: float) -> list[Answer]:
        return [answer for lane in self._lanes for answer in lane.collect(now)]

    def wait(self, clock: Clock, deadline: float, *, answers: bool) -> None:
        wires = [lane.link for lane in self._lanes if isinstance(lane.link, Wire)]
        if wires:
            wait_any(wires, clock, deadline, answers=answers)
        else:
            clock.sleep_until(deadline)

    def abandon(self, now: float, why: str) -> list[Answer]:
        return [answer for lane in self._lanes for answer in lane.abandon(now, why)]

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()


def in_turn(lanes: int) -> Route:
    """Commands go over the lanes one after the other, whatever their key."""
    count = -1

    def route(command: Command) -> int:
        nonlocal count
        count += 1
        return count % lanes

    return route


def by_key(place: Callable[[str], int]) -> Route:
    """Commands go where their key lives."""
    return lambda command: place(command.key)
