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
from plg.runner.recorder import Sample
from plg.targets.base import QueueProbe, TargetError

INTERVAL = 0.1
"""Seconds between samples; guardrails on gauges react within two of them."""


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
    """Samples from a thread of its own, so that a slow answer never holds up the schedule."""

    def __init__(self, probe: QueueProbe, clock: Clock, interval: float = INTERVAL) -> None:
        self._probe = probe
        self._clock = clock
        self._zero = 0.0
        self._interval = interval
        self._samples: deque[Sample] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plg-sampler", daemon=True)

    def start(self, zero: float) -> None:
        """Begin; samples count seconds from ``zero`` of the clock."""
        self._zero = zero
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
        self._probe.close()

    def _run(self) -> None:
        cpu_before, wall_before = time.process_time(), time.perf_counter()
        while not self._stop.wait(self._interval):
            depth, age = math.nan, math.nan
            try:
                look = self._probe.look()
                depth, age = float(look.waiting), math.nan if look.oldest_age is None else look.oldest_age
            except TargetError:
                # An absent value is the truth here: the queue could not be seen.
                pass
            cpu, wall = time.process_time(), time.perf_counter()
            share = (cpu - cpu_before) / max(wall - wall_before, 1e-6)
            cpu_before, wall_before = cpu, wall
            self._samples.append(Sample(self._clock.now() - self._zero, depth, age, share, resident_bytes()))
