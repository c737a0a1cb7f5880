"""The signals that end a check: SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # This module is loaded before all others of the program: what it does not need yet is not waited for.
    from plg.stop import Stop

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
CODES = tuple(128 + number for number in SIGNALS)
"""The exit codes that a shell gives to them."""
_TWICE = 1.0
"""Seconds in which a signal that comes again is the same wish: wrappers pass on what the process group got already."""


def code_of(name: str) -> int:
    """The exit code that a shell gives to a signal."""
    return 128 + signal.Signals[name] if name in signal.Signals.__members__ else 130


class Interruption:
    """What signals ask for: the first one to stop the run and to write what came of it, the second one to give up what
    is still being written, the third one to end at whatever point the program is.

    Those that come within a second of the one before are one with it. ``at_once`` is for what leaves no result: the
    first one ends it with KeyboardInterrupt, the next one at whatever point the program is.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self._at_once = at_once
        self._before: dict[signal.Signals, object] = {}
        self._name: str | None = None
        self._last = 0.0
        self._wishes = 0

    def name(self) -> str | None:
        """The signal that came first, or None."""
        return self._name

    def stop(self) -> Stop | None:
        """The same as a stop of a run."""
        from plg.stop import Stop

        return Stop.signal(self._name)

    @property
    def code(self) -> int:
        """The exit code that a shell gives to the signal that came."""
        return code_of(self._name or "SIGINT")

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler. Raises KeyboardInterrupt at the second wish."""
        now = time.monotonic()
        if self._wishes and now - self._last <= _TWICE:
            return
        self._last = now
        self._wishes += 1
        if self._wishes == 1:
            self._name = signal.Signals(number).name
        if self._wishes == (1 if self._at_once else 2):
            raise KeyboardInterrupt
        if self._wishes > 1:
            os._exit(self.code)

    def broken_off(self) -> bool:
        """Whether a signal has ended what was to end at once."""
        return self._at_once and self._name is not None

    def words(self) -> str:
        """The last line where nothing else is told of the signal."""
        return f"exit {self.code}: interrupted by {self._name or 'SIGINT'}"

    def open(self) -> None:
        """Take the signals; a hangup that the parent had ignored (nohup) stays ignored."""
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self.take)

    def close(self, *, for_good: bool = True) -> None:
        """Give them back, or ignore them ``for_good``: none changes the exit code of a program after its last line."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if for_good else handler)  # type: ignore[arg-type]  # what `signal.signal` gave


_programs: list[Interruption] = []
"""The interruption of the program that this process is, where it is one."""


def broken_off() -> bool:
    """Whether a signal has ended what the program does: whatever error comes of that is no news."""
    return any(program.broken_off() for program in _programs)


def hear(*, at_once: bool) -> Interruption:
    """Take the signals for a whole program, before it has loaded anything."""
    interruption = Interruption(at_once=at_once)
    _programs[:] = [interruption]
    interruption.open()
    told = sys.unraisablehook

    def unraisable(fault: sys.UnraisableHookArgs) -> None:
        """An interruption at a point that cannot pass it on, as in a callback of the collector, ends the program."""
        if not issubclass(fault.exc_type, KeyboardInterrupt):
            told(fault)
            return
        os.write(2, f"{interruption.words()}\n".encode())
        os._exit(interruption.code)

    sys.unraisablehook = unraisable
    return interruption


@contextmanager
def taken(*, for_good: bool = False) -> Iterator[Interruption]:
    """Take the signals for a while; ``for_good`` is for a program that ends with this, and may have heard one already.

    See `Interruption.open` and `Interruption.close`.
    """
    if for_good and _programs:
        try:
            yield _programs[0]
        finally:
            _programs[0].close()
        return
    interruption = Interruption()
    interruption.open()
    try:
        yield interruption
    finally:
        interruption.close(for_good=for_good)
