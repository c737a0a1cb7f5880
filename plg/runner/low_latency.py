"""What keeps a process from waking at its moments: by default Linux may end a sleep up to 50 microseconds late to save
power, and Python looks for garbage now and then."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_TIMERSLACK = 29
_PILE = 20_000
"""New objects after which garbage is looked for."""
_SWITCH = 0.0005
"""Seconds for which another thread may keep Python to itself."""


@contextmanager
def low_latency() -> Iterator[None]:
    """Sharp sleeps in this thread from now on, and until the end of the block a collector that lets things be.

    A run makes and drops thousands of objects a second, all of them without it; what is left over in cycles (by a
    connection that was lost, say) still goes when enough of it has piled up.
    """
    sharpen()
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(_PILE, *threshold[1:])
    # A thread that reckons, such as whoever listens to the run, gives way to the one that sends sooner than after 5 ms.
    sys.setswitchinterval(min(interval, _SWITCH))
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)


def sharpen() -> bool:
    """Ask for the least timer slack (1 ns) in the calling thread; False where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
