"""How a lost connection is sought again: at once, or in a thread, so that the schedule never waits for a network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Dialer(Generic[T]):
    """One attempt at a time to make a connection, or whatever else is slow to come by and must be closed.

    This one makes it in `poll`, for what costs no time.
    """

    def start(self, connect: Callable[[], T]) -> None:
        """Begin an attempt."""
        self._connect = connect

    def poll(self) -> T | None:
        """The connection, or None while the attempt goes on. Raises what the attempt raised."""
        return self._connect()

    def close(self) -> None:
        """Give up the attempt under way; a connection it still makes is closed."""


class ThreadDialer(Dialer[T]):
    """Connects in a thread: a name that is looked up slowly or a host that swallows packets costs seconds there, during
    which guardrails, signals and the ledger go on."""

    def __init__(self) -> None:
        self._attempt: _Attempt[T] | None = None

    def start(self, connect: Callable[[], T]) -> None:
        self._attempt = _Attempt(connect)
        threading.Thread(target=self._attempt.run, name="plg-dialer", daemon=True).start()

    def poll(self) -> T | None:
        assert self._attempt is not None, "start comes first"
        return self._attempt.result()

    def close(self) -> None:
        if self._attempt is not None:
            self._attempt.abandon()


class _Attempt(Generic[T]):
    def __init__(self, connect: Callable[[], T]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._link: T | None = None
        self._error: Exception | None = None
        self._abandoned = False

    def run(self) -> None:
        try:
            link = self._connect()
        except Exception as error:  # whatever it is, it belongs to the thread that polls
            self._error = error
            return
        with self._lock:
            if not self._abandoned:
                self._link = link
                return
        link.close()

    def result(self) -> T | None:
        if self._error is not None:
            raise self._error
        with self._lock:
            link, self._link = self._link, None
            return link

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            link, self._link = self._link, None
        if link is not None:
            link.close()
