"""Several orders at the same time, each in a process of its own: a common begin, and what came of each."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from plg.diagnostics import ScenarioError
from plg.runs.order import Order
from plg.runs.process import Finished, RunProcess

_LOOK = 0.1
"""Seconds that the children are listened to before the rest is looked at."""
_LAST = 1.0
"""Seconds that children get to end themselves when this process ends at once."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What hears of the runs: ``finished`` as each one ends, ``look`` some ten times a second with all that run.

    ``interrupted`` names the signal that came, if one did.
    """

    finished: Callable[[Finished], None]
    look: Callable[[Sequence[RunProcess]], None] = lambda running: None
    interrupted: Callable[[], str | None] = lambda: None


class Supervisor:
    """Runs the orders for files, at most ``many`` at a time. The first ones begin together, once all are ready.

    Outcomes pass through hidden files in ``folder``. With ``fail_fast`` no more are begun after one that fails.
    """

    def __init__(
        self, make: Callable[[Path], Order], many: int, folder: Path, listener: Listener, *, fail_fast: bool = False
    ) -> None:
        self._make, self._many, self._folder, self._listener = make, many, folder, listener
        self._fail_fast = fail_fast
        self._selector = selectors.DefaultSelector()
        self._running: list[tuple[int, RunProcess]] = []
        self._done: dict[int, Finished] = {}
        self._failed = self._told = False

    def run(self, files: Sequence[Path]) -> list[Finished]:
        """How each file that was begun ended, in the order given."""
        left = list(enumerate(files))
        first = len(left[: self._many])
        with self._ending_all():
            while left or self._running:
                while left and len(self._running) < self._many and not (self._done and self._closing()):
                    self._spawn(*left.pop(0))
                self._look()
                for number, process in [each for each in self._running if each[1].process.poll() is not None]:
                    self._running.remove((number, process))
                    with suppress(KeyError):
                        self._selector.unregister(process.output)
                    self._end(number, process.collect())
                self._release(first)
                self._listener.look([process for _, process in self._running])
                if self._closing() and not self._running:
                    break
        return [self._done[number] for number in sorted(self._done)]

    def _closing(self) -> bool:
        return self._listener.interrupted() is not None or (self._fail_fast and self._failed)

    def _spawn(self, number: int, file: Path) -> None:
        try:
            order = self._make(file)
        except ScenarioError as error:
            self._end(number, Finished(file, 2, refused=error))
            return
        process = RunProcess.launch(order, self._folder / f".plg-{os.getpid()}-{number}.json")
        self._running.append((number, process))
        self._selector.register(process.output, selectors.EVENT_READ, process)

    def _end(self, number: int, finished: Finished) -> None:
        self._done[number] = finished
        self._failed = self._failed or finished.code != 0
        self._listener.finished(finished)

    def _look(self) -> None:
        """Hear what the children say, for a moment at most; pass on an interruption."""
        for key, _ in self._selector.select(_LOOK if self._running else 0):
            if not key.data.hear():
                self._selector.unregister(key.fileobj)
                with suppress(subprocess.TimeoutExpired):
                    key.data.process.wait(_LOOK)  # its output has ended: so will it
        name = self._listener.interrupted()
        if name is not None and not self._told:
            self._told = True
            for _, process in self._running:
                process.stop(signal.Signals[name])

    def _release(self, first: int) -> None:
        """Let those begin that are ready: the first ones when none of them still prepares, later ones at once."""
        stopping = self._listener.interrupted() is not None
        if stopping or all(process.ready for number, process in self._running if number < first):
            for _, process in self._running:
                if not process.begun and (process.ready or stopping):
                    process.begin()

    @contextmanager
    def _ending_all(self) -> Iterator[None]:
        """Whatever happens here, no child is left behind."""
        try:
            yield
        except BaseException:
            until = time.monotonic() + _LAST
            for _, process in self._running:
                process.stop(signal.SIGTERM)
            for _, process in self._running:
                process.abandon(max(0.0, until - time.monotonic()))
            raise
        finally:
            self._selector.close()
