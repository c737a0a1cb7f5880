"""For tests of what runs on plg's parts: a clock, a server with its connections, and gauges, all simulated.

An hour of a run passes in the time that it takes to compute it, in the same way each time.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from plg.dataclass import dataclass
from plg.runner.sampler import Sample
from plg.targets.base import TargetError
from plg.targets.channel import ChannelLost
from plg.targets.replies import Reply


class VirtualClock:
    """A clock that moves only when somebody waits: an hour passes in the time it takes to compute it."""

    def __init__(self, start: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        self._now = start
        self._wall_offset = wall - start
        self._suspended = 0.0

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now + self._wall_offset

    def sleep(self, seconds: float) -> None:
        self.sleep_until(self._now + seconds)

    def sleep_until(self, deadline: float) -> None:
        self._now = max(self._now, deadline)

    def give_way(self) -> None:
        """Nobody waits."""

    def suspended(self) -> float:
        return self._suspended

    def suspend(self, seconds: float) -> None:
        """Let the machine be suspended: the world goes on, this clock does not."""
        self._suspended += seconds

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, as work that takes time would."""
        self._now += seconds


class BusyClock(VirtualClock):
    """A clock on which everything takes time: each look at it costs up to ``longest`` seconds, now and then a hundred
    times that, and sleeps end late."""

    def __init__(self, seed: int, longest: float = 5e-5) -> None:
        super().__init__()
        self._dice, self._longest = random.Random(seed), longest

    def now(self) -> float:
        rare = 100 if self._dice.random() < 0.002 else 1
        self.advance(self._dice.uniform(0, self._longest * rare))
        return super().now()

    def sleep_until(self, deadline: float) -> None:
        super().sleep_until(deadline + self._dice.uniform(0, self._longest))


@dataclass
class Server:
    """A Redis that knows LPUSH, RPUSH and XADD; ``held`` is what each key was given, and when (s) it was executed.

    ``delay`` is the time (s) from writing a command to its execution, and again to its answer.

    ``stalled`` and ``down`` are intervals (s of the clock) in which nothing is executed, or nobody answers at all.
    ``refuse`` returns an error for the n-th command, or None; so does ``refuse_key`` for a key at a moment.
    """

    clock: VirtualClock
    delay: float = 0.0001
    stalled: list[tuple[float, float]] = field(default_factory=list)
    down: list[tuple[float, float]] = field(default_factory=list)
    refuse: Callable[[int], str | None] = lambda n: None
    refuse_key: Callable[[str, float], str | None] = lambda key, at: None
    buffer: int = 1 << 20
    held: dict[str, list[tuple[float, bytes]]] = field(default_factory=lambda: defaultdict(list))
    commands: int = 0
    free_at: float = 0.0

    def is_down(self, now: float) -> bool:
        return any(start <= now < end for start, end in self.down)

    def execute(self, argv: list[bytes], written: float) -> tuple[float, Reply, Callable[[], None]]:
        """When a command written at a moment is executed, its answer, and the effect it then has."""
        at = max(written + self.delay, self.free_at)
        for start, end in self.stalled:
            if start <= at < end:
                at = end
        self.free_at = at
        self.commands += 1
        error = self.refuse(self.commands - 1) or self.refuse_key(argv[1].decode(), at)
        if error is not None:
            return at, (1, error), lambda: None
        values = argv[2:] if argv[0] in (b"LPUSH", b"RPUSH") else [argv[-1]]
        key = argv[1].decode()
        return at, (1, None), lambda: self.held[key].extend((at, value) for value in values)

    def connect(self) -> Channel:
        if self.is_down(self.clock.now()):
            raise TargetError("unreachable", "connection refused")
        if self.clock.now() < self.free_at:
            # What a new connection asks first is answered after all that was written before it.
            raise TargetError("unreachable", "no answer in time")
        return Channel(self)

    def jobs(self) -> list[bytes]:
        return [value for jobs in self.held.values() for _, value in jobs]

    def times(self) -> list[float]:
        return sorted(at for jobs in self.held.values() for at, _ in jobs)


class Channel:
    """One connection to a `Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._born = server.clock.now()
        self._answers: list[tuple[float, Reply]] = []
        self._effects: list[tuple[float, Callable[[], None]]] = []
        self._queued: list[tuple[float, int]] = []
        self._closed = False

    def _cut(self, now: float) -> float | None:
        """When this connection died, if it has."""
        deaths = [start for start, end in self._server.down if self._born < end and start <= now]
        return min(deaths) if deaths else None

    @property
    def backlog(self) -> int:
        now = self._server.clock.now()
        waiting = sum(size for at, size in self._queued if at > now)
        return max(0, waiting - self._server.buffer)

    def send(self, data: bytes) -> bool:
        now = self._server.clock.now()
        if self._closed or self._cut(now) is not None:
            raise ChannelLost("connection reset by peer")
        for argv, size in _commands(data):
            at, reply, effect = self._server.execute(argv, now)
            self._queued.append((at, size))
            self._effects.append((at, effect))
            self._answers.append((at + self._server.delay, reply))
        return not self.backlog

    def gather(self, pieces: Sequence[bytes | memoryview]) -> bool:
        return self.send(b"".join(pieces))

    def _run_until(self, now: float) -> None:
        cut = self._cut(now)
        for at, effect in self._effects:
            if at <= now and (cut is None or at < cut):
                effect()
        self._effects = [(at, e) for at, e in self._effects if at > now]
        self._queued = [(at, size) for at, size in self._queued if at > now]

    def receive(self) -> list[Reply]:
        now = self._server.clock.now()
        self._run_until(now)
        cut = self._cut(now)
        ready = [r for at, r in self._answers if at <= now and (cut is None or at < cut)]
        if cut is not None and not ready:
            raise ChannelLost("connection reset by peer")
        self._answers = self._answers[len(ready) :]
        return ready

    def wait(self, deadline: float, *, answers: bool = True, others: Sequence[Channel] = ()) -> None:
        now = self._server.clock.now()
        moments = [
            moment
            for link in (self, *others)
            for moment in (
                *(at for at, _ in link._answers[:1] if answers),
                *(start for start, _ in link._server.down if start > now),
            )
        ]
        self._server.clock.sleep_until(min([deadline, *moments]))

    def close(self) -> None:
        # What was written before the connection closed is executed all the same.
        self._run_until(self._cut(self._server.clock.now()) or float("inf"))
        self._closed = True


def _commands(data: bytes) -> list[tuple[list[bytes], int]]:
    found: list[tuple[list[bytes], int]] = []
    position = 0
    while position < len(data):
        start = position
        end = data.index(b"\r\n", position)
        count = int(data[position + 1 : end])
        position = end + 2
        argv = []
        for _ in range(count):
            end = data.index(b"\r\n", position)
            size = int(data[position + 1 : end])
            argv.append(data[end + 2 : end + 2 + size])
            position = end + 4 + size
        found.append((argv, position - start))
    return found


def sample(t: float, queue_depth: float, queue_age: float, cpu: float, memory: float, **more: Any) -> Sample:
    """A sample of all gauges; further keywords are fields of it."""
    gauges = {"queue_depth": queue_depth, "queue_age": queue_age, "cpu": cpu, "memory": memory}
    return Sample(t, gauges, **more)


class Gauges:
    """A sampler on the virtual clock: what ``read`` returns for a moment, every ``interval`` seconds."""

    def __init__(self, read: Callable[[float], Sample] | None = None, interval: float = 0.1) -> None:
        self._read = read or (lambda t: sample(t, 0.0, 0.0, 0.01, 5e7))
        self._interval = interval
        self._next = 0.0
        self._hurried = False

    def poll(self, now: float) -> list[Sample]:
        samples = []
        while self._next <= now:
            samples.append(self._read(self._next))
            self._next += self._interval
        if self._hurried:
            samples.append(self._read(now))
            self._hurried = False
        return samples

    def hurry(self) -> None:
        self._hurried = True
