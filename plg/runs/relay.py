"""Events from the thread that sends jobs to whoever listens, by way of a thread beside it."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from queue import SimpleQueue
from typing import TypeAlias

from plg.guardrails import guard
from plg.outcome import ExpectationResult
from plg.runner.observer import Progress
from plg.runs.events import Event, Hit, Judged, Row, Stopping, Windows
from plg.stop import Stop

Listen: TypeAlias = Callable[[Event], object]
Told: TypeAlias = Event | Progress | guard.Hit | Stop | ExpectationResult
"""What a run tells; all but events are turned into them beside the schedule."""

_MOST_ROWS = 4096
"""Rows kept for a listener that does not take them; the oldest go first."""


class Relay:
    """Hands what is `put` to ``listen``, one after the other and in order, from a thread of its own.

    However long the listener takes, `put` does not wait for it: rows that come meanwhile arrive together. A listener
    that raises is told nothing more, and its error goes where errors of threads go.
    """

    def __init__(self, listen: Listen) -> None:
        self._listen: Listen | None = listen
        self._told: SimpleQueue[Told | None] = SimpleQueue()  # to put into it never waits
        self._rows: deque[Progress] = deque(maxlen=_MOST_ROWS)
        self._thread = threading.Thread(target=self._run, name="plg-events", daemon=True)
        self._thread.start()

    def put(self, told: Told) -> None:
        """Hand this on soon; returns at once."""
        if isinstance(told, Progress):
            self._rows.append(told)
            if len(self._rows) > 1:
                return  # they are taken together
        self._told.put(told)

    def close(self) -> None:
        """Return when all has been heard."""
        self._told.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def all_heard(self, patience: float) -> bool:
        """Whether all is heard and this is closed, after ``patience`` seconds at most."""
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            told = self._told.get()
            if told is None:
                return
            event = self._event(told)
            if self._listen is None or event is None:
                continue
            try:
                self._listen(event)
            except Exception:
                self._listen = None
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))

    def _event(self, told: Told) -> Event | None:
        if isinstance(told, Progress):
            rows = []
            while self._rows:
                rows.append(_row(self._rows.popleft()))
            return Windows(tuple(rows)) if rows else None
        if isinstance(told, guard.Hit):
            return Hit(told.guardrail, told.action, told.start_s, told.requested, told.allowed)
        if isinstance(told, Stop):
            return Stopping.of(told)
        if isinstance(told, ExpectationResult):
            return Judged.of(told)
        return told


def _row(progress: Progress) -> Row:
    return {name: None if value != value else value for name, value in asdict(progress).items()}
