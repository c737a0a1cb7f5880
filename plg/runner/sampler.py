"""Gauges beside the schedule: queue depth and age, the generator's own processor time and memory."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from typing import Protocol

from plg.clock import Clock
from plg.plan.watching import LOOK_EVERY
from plg.runner.samples import Sample
from plg.targets.base import QueueProbe, TargetError

INTERVAL = LOOK_EVERY
"""Seconds between samples; guardrails on gauges react within two of them."""
_GLANCE = 0.05
"""Seconds a sample waits for a look at the queues that should have ended."""


class Sampler(Protocol):
    """Hands out the samples taken since the last call."""

    def poll(self, now: float) -> list[Sample]:
        """``now`` in seconds of the run."""

    def hurry(self) -> None:
        """Take the next sample at once."""


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
    """Looks at the queues from a thread of its own, so that a slow answer never holds up the schedule.

    A server that is silent hides its queues only: where no look ends in time, whoever polls gets a sample of processor
    and memory without one.
    """

    def __init__(self, probe: QueueProbe, clock: Clock, interval: float = INTERVAL) -> None:
        self._probe, self._clock, self._interval = probe, clock, interval
        self._zero = self._told = 0.0
        self._usage = _Usage(interval / 2)
        self._samples: deque[Sample] = deque()
        self._wake, self._stopped = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="plg-sampler", daemon=True)

    def start(self, zero: float) -> None:
        """Begin; samples count seconds from ``zero`` of the clock."""
        self._zero = zero
        self._thread.start()

    def poll(self, now: float) -> list[Sample]:
        taken = []
        while self._samples:
            taken.append(self._samples.popleft())
        if not taken and now - self._told >= self._interval + _GLANCE:
            # An absent value is the truth here: the queue could not be seen.
            taken.append(Sample(now, self._usage.read(), fault="no answer in time"))
        if taken:
            self._told = taken[-1].t
        return taken

    def hurry(self) -> None:
        """See `Sampler.hurry`; after a look that is under way."""
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)
        self._probe.close()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._stopped:
                return
            began = self._clock.now() - self._zero
            seen, least, untaken, fault = self._look()
            ended = self._clock.now() - self._zero
            seen |= self._usage.read()
            # Where this look was no longer waited for, it still comes after what was told meanwhile.
            self._samples.append(Sample(max(ended, self._told), seen, least, began, fault, untaken))

    def _look(self) -> tuple[dict[str, float], float, float, str]:
        """The gauges of the queue that could be seen, what the age is at least and how many jobs no worker has been
        given (NaN: unknown), and why not."""
        try:
            look = self._probe.look()
        except TargetError as error:
            return {}, math.nan, math.nan, str(error)
        seen = {"queue_depth": float(look.waiting)}
        if look.oldest_age is None:
            return seen, look.at_least or math.nan, look.not_taken, ""
        return seen | {"queue_age": look.oldest_age}, look.oldest_age, look.not_taken, ""


class _Usage:
    """What this process uses: its share of a processor since the last reading, and its resident memory (bytes).

    Of a time shorter than ``least`` (s) no share is told, but the last one again: a moment of work is no load.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._lock = threading.Lock()
        self._cpu, self._wall, self._share = time.process_time(), time.perf_counter(), 0.0

    def read(self) -> dict[str, float]:
        with self._lock:
            cpu, wall = time.process_time(), time.perf_counter()
            if wall - self._wall >= self._least:
                self._share = (cpu - self._cpu) / (wall - self._wall)
                self._cpu, self._wall = cpu, wall
            return {"cpu": self._share, "memory": resident_bytes()}
