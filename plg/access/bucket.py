"""A token bucket for each of a bounded number of keys: how often something may be tried."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEYS = 4096


class Buckets:
    """``burst`` attempts at once, and one more every ``refill`` seconds, for each key.

    The keys used last are remembered, so many at most. Safe for threads.
    """

    def __init__(self, burst: int, refill: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._refill, self._clock = float(burst), refill, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, key: str) -> float:
        """Seconds until the next attempt is allowed; 0 where it is now. Takes nothing."""
        with self._lock:
            left = self._filled(key)
            return 0.0 if left >= 1 else (1 - left) * self._refill

    def take(self, key: str) -> None:
        """Count one attempt."""
        with self._lock:
            left = self._filled(key)
            self._left[key] = max(0.0, left - 1), self._clock()
            self._left.move_to_end(key)
            while len(self._left) > MOST_KEYS:
                self._left.popitem(last=False)

    def _filled(self, key: str) -> float:
        left, then = self._left.get(key, (self._burst, self._clock()))
        return min(self._burst, left + (self._clock() - then) / self._refill)
