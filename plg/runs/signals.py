"""The signals that end a check: SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from plg.stop import Stop

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
CODES = tuple(128 + number for number in SIGNALS)
"""The exit codes that a shell gives to them."""
_TWICE = 1.0
"""Seconds in which a signal that comes again is the same wish: wrappers pass on what the process group got already."""


class Interruption:
    """What signals ask for: the first one to stop the run and to write what came of it, the second one to give up what
    is still being written, the third one to end at whatever point the program is.

    Those that come within a second of the one before are one with it.
    """

    def __init__(self) -> None:
        self._name: str | None = None
        self._last = 0.0
        self._wishes = 0

    def name(self) -> str | None:
        """The signal that came first, or None."""
        return self._name

    def stop(self) -> Stop | None:
        """The same as a stop of a run."""
        return Stop.signal(self._name)

    @property
    def code(self) -> int:
        """The exit code that a shell gives to the signal that came."""
        return 128 + signal.Signals[self._name] if self._name else 130

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler. Raises KeyboardInterrupt at the second wish."""
        now = time.monotonic()
        if self._wishes and now - self._last <= _TWICE:
            return
        self._last = now
        self._wishes += 1
        if self._wishes == 1:
            self._name = signal.Signals(number).name
        elif self._wishes == 2:
            raise KeyboardInterrupt
        else:
            os._exit(self.code)


@contextmanager
def taken(*, for_good: bool = False) -> Iterator[Interruption]:
    """Take the signals for a while; one that the parent had ignored (nohup) stays ignored.

    ``for_good`` is for a program that ends with this: no signal changes its exit code after its last line.
    """
    interruption = Interruption()
    before = {
        number: signal.signal(number, interruption.take)
        for number in SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if for_good else handler)
