"""Gauges beside the schedule: queue depth and age, the generator's own processor time and memory."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from plg.clock import Clock
from plg.dataclass import dataclass
from plg.measures import GAUGES
from plg.plan.watching import LOOK_EVERY
from plg.queues.base import Change
from plg.runner.recording import Floats
from plg.targets.base import QueueProbe, TargetError

INTERVAL = LOOK_EVERY
"""Seconds between samples; guardrails on gauges react within two of them."""
_GLANCE = 0.05
"""Seconds a sample waits for a look at the queues that should have ended."""


_AT = {name: place for place, name in enumerate(GAUGES, start=1)}
"""Where a gauge stands in a row of samples; the moment stands first."""

_UNKNOWN = Change()


@dataclass(frozen=True, slots=True)
class Sample:
    """Gauges at ``t`` (s), by their names in `plg.measures.GAUGES`; one that could not be taken is left out or NaN."""

    t: float
    gauges: Mapping[str, float]
    age_at_least: float = math.nan
    """What the age is at least, where it cannot be told in whole: a limit is held against that."""
    asked: float | None = None
    """When the look at the queues began (s), where that was before ``t``: it shows them as they were since."""
    fault: str = ""
    """Why the queues could not be seen, where they could not."""
    untaken: float = math.nan
    """Jobs among the waiting that no worker has been given."""
    change: Change = _UNKNOWN
    """What became of the queues since the look before."""

    def __getitem__(self, gauge: str) -> float:
        return self.gauges.get(gauge, math.nan)

    def row(self) -> Floats:
        """``t``, then each gauge in the order of their table."""
        return np.array([self.t, *(self[name] for name in GAUGES)])


class SampleLog:
    """Samples in bounded number: when full, neighbours are joined and the larger value of each gauge stays."""

    def __init__(self, limit: int = 16_384) -> None:
        # All rows stand here from the start, so that a long run holds no more than a short one.
        self._rows = np.full((limit, 1 + len(GAUGES)), np.nan)
        self._used = self.added = 0
        self._stride = 1
        self._held = 0

    def add(self, sample: Sample) -> None:
        self.add_row(sample.row())

    def add_row(self, row: Floats) -> None:
        """Add a sample given as `Sample.row` gives it."""
        self.added += 1
        if self._held == 0:
            if self._used == len(self._rows):
                self._halve()
            self._rows[self._used] = row
            self._used += 1
        else:
            self._rows[self._used - 1] = _larger(self._rows[self._used - 1], row)
        self._held = (self._held + 1) % self._stride

    def _halve(self) -> None:
        half = len(self._rows) // 2
        self._rows[:half] = _larger(self._rows[0 : 2 * half : 2], self._rows[1 : 2 * half : 2])
        self._used = half
        self._stride *= 2

    def columns(self, since: int = 0) -> tuple[Floats, dict[str, Floats]]:
        """The moments, and each gauge at them; without what was there when ``since`` samples had been added, but for
        what is joined with a later one."""
        table = self._rows[since // self._stride : self._used]
        return table[:, 0].copy(), {name: table[:, at].copy() for name, at in _AT.items()}


def _larger(a: Floats, b: Floats) -> Floats:
    """The larger of each gauge, at the moment of the former."""
    joined = np.fmax(a, b)
    joined[..., 0] = a[..., 0]
    # Jobs whose age could not be told are not made good by an empty queue a moment later.
    age = _AT["queue_age"]
    joined[..., age] = np.where(_undated(a) | _undated(b), np.nan, joined[..., age])
    return joined


def _undated(rows: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((rows[..., _AT["queue_depth"]] > 0) & np.isnan(rows[..., _AT["queue_age"]]))


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
    and memory without one. ``own_workers`` tells how many ``workers`` of plg's own there are, and how many jobs they
    have ``in_flight``, which counts where the queues themselves do not tell.
    """

    def __init__(
        self,
        probe: QueueProbe,
        clock: Clock,
        interval: float = INTERVAL,
        own_workers: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._probe, self._clock, self._interval, self._own_workers = probe, clock, interval, own_workers
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
            sample = self._look(began)
            ended = self._clock.now() - self._zero
            # Where this look was no longer waited for, it still comes after what was told meanwhile.
            self._samples.append(
                replace(sample, t=max(ended, self._told), gauges={**sample.gauges, **self._usage.read()})
            )

    def _look(self, began: float) -> Sample:
        """A look at the queue that begins now."""
        try:
            look = self._probe.look()
        except TargetError as error:
            return Sample(began, {}, asked=began, fault=str(error))
        seen, least = {"queue_depth": float(look.waiting)}, look.oldest_age
        if least is None:
            least = look.at_least or math.nan
        else:
            seen["queue_age"] = least
        own = self._own_workers()
        told = {"in_flight": look.in_flight, "delayed": look.delayed}
        seen |= {**own, **{name: float(count) for name, count in told.items() if count is not None}}
        if look.workers is not None:
            seen["workers"] = own.get("workers", 0.0) + len(look.workers)
        return Sample(began, seen, least, began, untaken=look.not_taken, change=look.change)


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
