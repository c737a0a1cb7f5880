"""Time as an argument: the runner waits on a clock and never on the machine directly."""

from __future__ import annotations

import os
import time
from typing import Protocol


class Clock(Protocol):
    """What the runner needs of time. ``now`` is monotonic seconds from an arbitrary origin."""

    def now(self) -> float: ...

    def wall(self) -> float:
        """Seconds since the Unix epoch."""

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, which are not negative."""

    def sleep_until(self, deadline: float) -> None:
        """Return at ``deadline`` (same scale as ``now``) or at once when it has passed."""

    def give_way(self) -> None:
        """Let another process that waits for this processor have it first."""

    def suspended(self) -> float:
        """Seconds for which the machine was suspended, from an arbitrary origin: ``now`` stood still meanwhile."""


class MonotonicClock:
    """The machine's monotonic clock."""

    # Without a Python function between: these are called at every wake-up.
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)
    # Where there is no such call, an empty sleep comes nearest to it.
    give_way = staticmethod(getattr(os, "sched_yield", lambda: time.sleep(0)))

    def sleep_until(self, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)

    def suspended(self) -> float:
        boot = getattr(time, "CLOCK_BOOTTIME", None)
        return 0.0 if boot is None else time.clock_gettime(boot) - time.monotonic()
