"""The signals that end a check: SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from plg.interrupt import Interrupted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
CODES = tuple(128 + number for number in SIGNALS)
"""The exit codes that a shell gives to them."""
_TWICE = 1.0
"""Seconds in which a signal that comes again is the same wish: wrappers pass on what the process group got already."""


class Interruption:
    """The first signal asks the run to stop; a second one, a second or more later, ends the program at once."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._at = 0.0
        self._attentive = False

    def name(self) -> str | None:
        """The signal that came, or None."""
        return self._name

    @property
    def code(self) -> int:
        """The exit code that a shell gives to the signal that came."""
        return 128 + signal.Signals[self._name] if self._name else 130

    @contextmanager
    def attentive(self) -> Iterator[None]:
        """A stretch of code that a signal ends by `Interrupted`: waits in it need not look for signals."""
        if self._name is not None:
            raise Interrupted
        self._attentive = True
        try:
            yield
        finally:
            self._attentive = False

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        now = time.monotonic()
        if self._name is None:
            self._name, self._at = signal.Signals(number).name, now
            if self._attentive:
                self._attentive = False
                raise Interrupted
        elif now - self._at > _TWICE:
            raise KeyboardInterrupt


@contextmanager
def taken() -> Iterator[Interruption]:
    """Take the signals for a while. One that the parent had ignored (nohup) stays ignored."""
    interruption = Interruption()
    before = {
        number: signal.signal(number, interruption.take)
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore() -> None:
    """Let no signal change the exit code of a program that has said its last line."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
