"""Gauges beside the schedule: queue depth and age, the generator's own processor time and memory."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from plg.clock import Clock
from plg.runner.recorder import Sample
from plg.targets.base import QueueProbe, TargetError

INTERVAL = 0.1
"""Seconds between samples; guardrails on gauges react within two of them."""
_GLANCE = 0.05
"""Seconds a sample waits for the look at the queues."""


class Sampler(Protocol):
    """Hands out the samples taken since the last call."""

    def poll(self, now: float) -> list[Sample]:
        """``now`` in seconds of the run."""


def resident_bytes() -> float:
    """Resident memory of this process in bytes."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123  # ten times a second: open() is the light way
            return float(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak if sys.platform == "darwin" else peak * 1024)


class ThreadSampler:
    """Samples from a thread of its own, so that a slow answer never holds up the schedule.

    A server that is silent hides its queues only: processor and memory are sampled all the same.
    """

    def __init__(self, probe: QueueProbe, clock: Clock, interval: float = INTERVAL) -> None:
        self._lookout = _Lookout(probe, clock)
        self._clock = clock
        self._zero = 0.0
        self._interval = interval
        self._samples: deque[Sample] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plg-sampler", daemon=True)

    def start(self, zero: float) -> None:
        """Begin; samples count seconds from ``zero`` of the clock."""
        self._zero = zero
        self._lookout.start()
        self._thread.start()

    def poll(self, now: float) -> list[Sample]:
        taken = []
        while self._samples:
            taken.append(self._samples.popleft())
        return taken

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)
        self._lookout.stop()

    def _run(self) -> None:
        cpu_before, wall_before = time.process_time(), time.perf_counter()
        while not self._stop.wait(self._interval):
            sight = self._lookout.glance(_GLANCE) or _Sight.none(self._clock.now())
            cpu, wall = time.process_time(), time.perf_counter()
            share = (cpu - cpu_before) / max(wall - wall_before, 1e-6)
            cpu_before, wall_before = cpu, wall
            self._samples.append(
                Sample(
                    sight.ended - self._zero, sight.depth, sight.age, share, resident_bytes(),
                    asked=sight.began - self._zero,
                )
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a look at the queues showed, and from when to when it took (s of the clock). NaN: it could not be seen."""

    began: float
    ended: float
    depth: float
    age: float

    @staticmethod
    def none(now: float) -> _Sight:
        return _Sight(now, now, math.nan, math.nan)


class _Lookout:
    """Looks at the queues, one look at a time, for one who does not wait for it to end."""

    def __init__(self, probe: QueueProbe, clock: Clock) -> None:
        self._probe, self._clock = probe, clock
        self._changed = threading.Condition()
        self._looking = self._ended = False
        self._seen: _Sight | None = None
        self._thread = threading.Thread(target=self._run, name="plg-lookout", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def glance(self, patience: float) -> _Sight | None:
        """The queues as they were seen; None where no look ends within ``patience``.

        A look that takes longer is told at the next glance.
        """
        with self._changed:
            self._looking = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._seen is not None, patience)
            seen, self._seen = self._seen, None
            return seen

    def stop(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=3)
        self._probe.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._looking or self._ended)
                if self._ended:
                    return
            began = self._clock.now()
            depth, age = self._look()
            with self._changed:
                self._seen = _Sight(began, self._clock.now(), depth, age)
                self._looking = False
                self._changed.notify_all()

    def _look(self) -> tuple[float, float]:
        try:
            look = self._probe.look()
        except TargetError:
            # An absent value is the truth here: the queue could not be seen.
            return math.nan, math.nan
        return float(look.waiting), math.nan if look.oldest_age is None else look.oldest_age
