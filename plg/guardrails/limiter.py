"""The last gate before the wire: in any window no more than ``max_rate * window`` jobs leave.

The gate is strict on the *server's* clock too, not only on ours. A job is executed somewhere between its sending and
its answer, so job j+m may leave only when job j was *answered* at least a window ago: then

    executed(j+m) >= sent(j+m) >= answered(j) + W >= executed(j) + W

and no window of length W ever holds more than m executions, whatever the network or a stalled server does. The price is
one round trip a window when the run sits exactly at the limit.
"""

from __future__ import annotations

import math
from collections import deque

from plg.answers import Answers


def whole_jobs(max_rate: float, window: float) -> tuple[int, float]:
    """How many jobs may leave in any window of how many seconds, so that ``max_rate`` (jobs/s) holds.

    A job is whole: where the rate comes to a fraction of one in ``window`` seconds, the window is made as long as the
    next whole job takes. 15/s in 100 ms are 2 jobs in 133 ms; rounded down, they would be 10/s.
    """
    if max_rate <= 0:
        return 0, math.inf
    jobs = max(1, math.ceil(max_rate * window * (1 - 1e-12) - 1e-9))
    return jobs, max(window, jobs / max_rate)


class RateLimiter:
    """Counts jobs that are in flight or were answered less than a window ago. Times in seconds of one clock."""

    def __init__(self, max_rate: float, window: float) -> None:
        self.capacity, self.window = whole_jobs(max_rate, window)
        self._in_flight = 0
        self._answered: deque[tuple[float, int]] = deque()
        self._answered_jobs = self._unresolved = 0

    def allowance(self, now: float) -> int:
        """How many jobs may leave at ``now``."""
        # The same sum as in `next_release`: whoever wakes at that moment must find the room it promised.
        while self._answered and self._answered[0][0] + self.window <= now:
            self._answered_jobs -= self._answered.popleft()[1]
        return self.capacity - self._in_flight - self._answered_jobs

    def leave(self, jobs: int) -> None:
        """Jobs are handed to the wire, or will be in a moment."""
        self._in_flight += jobs

    def stay(self, jobs: int) -> None:
        """Jobs that were to leave do not."""
        self._in_flight -= jobs

    def answered(self, jobs: int, now: float) -> None:
        """Jobs were answered at ``now``."""
        self._in_flight -= jobs
        self._answered_jobs += jobs
        self._answered.append((now, jobs))

    def take(self, answers: Answers) -> None:
        """Jobs were heard of. Those that are unknown may still be executed: they keep their place until `resolve`."""
        sizes, moments = answers.sizes, answers.moments
        if answers.unknown:
            self._unresolved += sum(sizes[row] for row in answers.unknown)
            known = [row for row in range(len(sizes)) if row not in answers.unknown]
            sizes, moments = [sizes[row] for row in known], [moments[row] for row in known]
        total = sum(sizes)
        self._in_flight -= total
        self._answered_jobs += total
        self._answered.extend(zip(moments, sizes, strict=True))

    def resolve(self, now: float) -> None:
        """The server has been heard on a new connection: what was unknown is executed by now, or never."""
        if self._unresolved:
            self.answered(self._unresolved, now)
            self._unresolved = 0

    def next_release(self) -> float | None:
        """When room comes free without a further answer; None when only an answer can make room."""
        return self._answered[0][0] + self.window if self._answered else None
