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


@contextmanager
def low_latency() -> Iterator[None]:
    """Sharp sleeps in this thread from now on, and until the end of the block a collector that lets things be.

    A run makes and drops thousands of objects a second, all of them without it; what is left over in cycles (by a
    connection that was lost, say) still goes when enough of it has piled up.
    """
    sharpen()
    threshold = gc.get_threshold()
    gc.set_threshold(_PILE, *threshold[1:])
    try:
        yield
    finally:
        gc.set_threshold(*threshold)


def sharpen() -> bool:
    """Ask for the least timer slack (1 ns) in the calling thread; False where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
