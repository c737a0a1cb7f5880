"""Orders for several files, at most so many at a time: a common begin, and what came of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from plg.dataclass import dataclass
from plg.diagnostics import ScenarioError
from plg.interrupt import Interrupted, attend
from plg.judge.verdict import INTERNAL, USAGE
from plg.outcome import Outcome
from plg.runs.events import Event, Finished, Ready, Refused, Row, Waiting, Windows
from plg.runs.launcher import Handle, Launcher, NoOutcome, internal_error, interrupted_before
from plg.runs.order import Order
from plg.runs.signals import code_of
from plg.stop import Stop

_LOOK = 0.05
"""Seconds that events are waited for before signals are looked at."""
_LAST = 1.0
"""Seconds that runs get to end themselves when this process ends at once."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its outcome, or why there is none."""

    file: Path
    outcome: Outcome | None = None
    error: NoOutcome | None = None

    @property
    def code(self) -> int:
        """The exit code."""
        if self.outcome is not None:
            return self.outcome.exit_code
        return self.error.code if self.error is not None else INTERNAL


@dataclass(slots=True)
class Running:
    """A run that goes on. ``state`` is the latest row of how it goes, empty before the first."""

    file: Path
    handle: Handle
    name: str
    ready: bool = False
    begun: bool = False
    state: Row = field(default_factory=dict)


class Listener(Protocol):
    """What hears of the runs, all from the thread that supervises them."""

    def starting(self, file: Path) -> None:
        """A file is next."""

    def ready(self, run: Running) -> None:
        """A run is prepared, and begins when this returns or when those that begin together are ready."""

    def waiting(self, run: Running, words: str) -> None:
        """A run waits for its server."""

    def look(self, running: Sequence[Running]) -> None:
        """How those that run are doing; some twenty times a second."""

    def finished(self, end: Ended) -> None:
        """A run has ended."""

    def interrupted(self) -> Stop | None:
        """The stop that was asked for, of all runs."""


class Supervisor:
    """Runs the orders for files, at most ``many`` at a time. The first ones begin together, once all are ready.

    With ``fail_fast`` no more are begun after one that fails.
    """

    def __init__(
        self,
        launcher: Launcher,
        make: Callable[[Path], Order],
        many: int,
        listener: Listener,
        *,
        fail_fast: bool = False,
    ) -> None:
        self._launcher, self._make, self._many, self._listener = launcher, make, many, listener
        self._fail_fast = fail_fast
        self._events: SimpleQueue[tuple[int, Event]] = SimpleQueue()
        self._running: dict[int, Running] = {}
        self._done: dict[int, Ended] = {}
        self._failed = self._told = False

    def run(self, files: Sequence[Path]) -> list[Ended]:
        """How each file that was begun ended, in the order given."""
        left = list(enumerate(files))
        first = len(left[: self._many])
        with self._ending_all():
            while left or self._running:
                while left and len(self._running) < self._many and not (self._done and self._closing()):
                    self._launch(*left.pop(0))
                self._hear()
                self._pass_on()
                self._release(first)
                if self._running:
                    self._listener.look(list(self._running.values()))
                elif self._closing():
                    break
        return [self._done[number] for number in sorted(self._done)]

    def _closing(self) -> bool:
        return self._listener.interrupted() is not None or (self._fail_fast and self._failed)

    def _launch(self, number: int, file: Path) -> None:
        self._listener.starting(file)
        try:
            # What is read may be long: it is done beside the thread that hears signals.
            order = attend(lambda: self._make(file), self._listener.interrupted)
        except ScenarioError as error:
            self._end(number, Ended(file, error=NoOutcome(error, USAGE)))
        except Interrupted:
            asked = self._listener.interrupted()
            self._end(number, Ended(file, error=interrupted(file, code_of(asked.detail if asked else ""))))
        except Exception as fault:
            self._end(number, Ended(file, error=internal(file, fault)))
        else:
            handle = self._launcher.launch(order, lambda event: self._events.put((number, event)))
            self._running[number] = Running(file, handle, file.stem)

    def _hear(self) -> None:
        """Take the events that have come, or wait a moment for one."""
        patience = _LOOK if self._running else 0.0
        with suppress(Empty):
            while True:
                self._take(*self._events.get(patience > 0, patience))
                patience = 0.0

    def _take(self, number: int, event: Event) -> None:
        run = self._running.get(number)
        if run is None:
            return
        if isinstance(event, Ready):
            run.ready, run.name = True, event.name
            self._listener.ready(run)
        elif isinstance(event, Waiting):
            self._listener.waiting(run, event.words)
        elif isinstance(event, Windows):
            run.state = event.rows[-1]
        elif isinstance(event, Finished | Refused):
            del self._running[number]
            self._end(number, _ended(run))

    def _end(self, number: int, end: Ended) -> None:
        self._done[number] = end
        self._failed = self._failed or end.code != 0
        self._listener.finished(end)

    def _pass_on(self) -> None:
        stop = self._listener.interrupted()
        if stop is not None and not self._told:
            self._told = True
            for run in self._running.values():
                run.handle.stop(stop)

    def _release(self, first: int) -> None:
        """Let those begin that are ready: the first ones when none of them still prepares, later ones at once."""
        if all(run.ready for number, run in self._running.items() if number < first):
            for run in self._running.values():
                if run.ready and not run.begun:
                    run.begun = True
                    run.handle.begin()

    @contextmanager
    def _ending_all(self) -> Iterator[None]:
        """Whatever happens here, no run is left behind."""
        try:
            yield
        except BaseException:
            until = time.monotonic() + _LAST
            for run in self._running.values():
                run.handle.stop(Stop("signal", "SIGTERM"))
            for run in self._running.values():
                run.handle.abandon(max(0.0, until - time.monotonic()))
            raise


def _ended(run: Running) -> Ended:
    try:
        return Ended(run.file, run.handle.outcome())
    except NoOutcome as error:
        return Ended(run.file, error=error)
    except Exception as fault:
        # A bug in plg that one file brings out costs the others neither their runs nor their artifacts.
        return Ended(run.file, error=internal(run.file, fault))


def internal(file: Path, fault: Exception) -> NoOutcome:
    """A fault of plg itself, in the form of all faults; with PLG_DEBUG it is raised."""
    if os.environ.get("PLG_DEBUG"):
        raise fault
    return internal_error(fault, str(file))


def interrupted(file: Path, code: int) -> NoOutcome:
    """A signal came before the run began."""
    return interrupted_before(str(file), code)
