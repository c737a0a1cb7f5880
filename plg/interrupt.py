"""Waits that a signal ends at once, whatever they wait for: a name that is looked up, a server, a large file."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK = 0.05
"""Seconds between looks for a signal."""
STACK = 16 * 1024 * 1024
"""Bytes of a thread's stack, as much as a main thread has: some systems give others too little to read a deep file."""


class Interrupted(BaseException):
    """A signal came. Like KeyboardInterrupt it is no error, and no handler of errors stops it."""


def attend(
    work: Callable[[], T],
    interrupted: Callable[[], object],
    *,
    grace: float = 0.0,
    discard: Callable[[T], object] = lambda result: None,
) -> T:
    """What ``work`` returns or raises. It is done in another thread: nothing in it keeps a signal from being heard.

    Raises `Interrupted` once ``interrupted`` names a stop and the work has had ``grace`` seconds more.
    The work then goes on by itself, for nobody: what it still comes to is given to ``discard``.
    """
    if interrupted() and not grace:
        raise Interrupted
    task = _Task(work, discard)
    try:
        task.start()
        left = None
        while not task.done.wait(_LOOK):
            if interrupted():
                now = time.monotonic()
                left = now + grace if left is None else left
                if now >= left:
                    raise Interrupted
    except BaseException:
        task.abandon()
        raise
    return task.result()


class _Task(Generic[T]):
    def __init__(self, work: Callable[[], T], discard: Callable[[T], object]) -> None:
        self._work, self._discard = work, discard
        self.done = threading.Event()
        self._lock = threading.Lock()
        self._abandoned = False
        self._found: list[T] = []
        self._fault: BaseException | None = None

    def start(self) -> None:
        before = threading.stack_size(STACK)
        try:
            threading.Thread(target=self._run, name="plg-attended", daemon=True).start()
        finally:
            threading.stack_size(before)

    def result(self) -> T:
        if self._fault is not None:
            raise self._fault
        return self._found.pop()

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            found, self._found = self._found, []
        for each in found:
            self._discard(each)

    def _run(self) -> None:
        try:
            found = self._work()
        except BaseException as fault:  # whatever it is, it belongs to the thread that waits
            self._fault = fault
        else:
            with self._lock:
                kept = not self._abandoned
                if kept:
                    self._found.append(found)
            if not kept and not sys.is_finalizing():
                self._discard(found)
        self.done.set()
