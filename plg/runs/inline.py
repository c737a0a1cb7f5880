"""An order run in this process, in a thread of its own: for Python callers, for tests, in the child of a launcher."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace

from plg import session
from plg.clock import MonotonicClock
from plg.diagnostics import ScenarioError
from plg.interrupt import STACK, Interrupted, attend
from plg.judge.verdict import INTERNAL, USAGE
from plg.outcome import Outcome
from plg.prepare import Prepared
from plg.runner.start import Start
from plg.runs.events import Finished, Ready, Refused, Waiting
from plg.runs.launcher import Ending, NoOutcome, internal_error, interrupted_before
from plg.runs.order import Order
from plg.runs.relay import Listen, Relay
from plg.runs.signals import code_of
from plg.stop import Stop


class Inline:
    """Runs orders in this process.

    ``every`` is the least number of seconds between two rows of ``windows``. ``before_start`` is called when all is
    ready, last before the schedule begins; ``around`` is entered while an order is prepared.
    """

    def __init__(
        self,
        every: float = 1.0,
        before_start: Callable[[], None] = lambda: None,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.every, self.before_start, self.around = every, before_start, around

    def launch(self, order: Order, listen: Listen) -> InlineRun:
        """See `Launcher.launch`."""
        return InlineRun(order, Relay(listen), self)


class RunThread(Ending, ABC):
    """A run in the hands of a thread of this process. ``prepared`` is what it runs, once ``ready`` was told."""

    def __init__(self, order: Order, relay: Relay) -> None:
        super().__init__()
        self.order = order
        self.prepared: Prepared | None = None
        self._relay = relay
        self._begun = threading.Event()
        self._at: float | None = None
        self._stop: Stop | None = None
        before = threading.stack_size(STACK)
        try:
            threading.Thread(target=self._run, name="plg-run", daemon=True).start()
        finally:
            threading.stack_size(before)

    def begin(self, at: float | None = None) -> None:
        """See `Handle.begin`."""
        self._at = at
        self._begun.set()

    def stop(self, stop: Stop) -> None:
        """See `Handle.stop`."""
        if self._stop is None:
            self._stop = stop
            self._begun.set()

    def abandon(self, patience: float) -> None:
        """See `Handle.abandon`. A thread that is not over by then ends with the process."""
        self.stop(Stop("signal", "SIGTERM"))
        self._over.wait(patience)

    def all_heard(self, patience: float) -> bool:
        """Whether the listener has heard all of a run that is over, after ``patience`` seconds at most."""
        return self._relay.all_heard(patience)

    def _run(self) -> None:
        try:
            self._outcome = self._ran()
            for result in self._outcome.expectations:
                self._relay.put(result)
            self._relay.put(Finished.of(self._outcome))
        except NoOutcome as error:
            self._refuse(error)
        except ScenarioError as error:
            self._refuse(NoOutcome(error, USAGE))
        except Interrupted:
            asked = self._stop or Stop("signal", "SIGINT")
            self._refuse(interrupted_before(self.order.file, code_of(asked.detail)))
        except BaseException as fault:  # whatever it is, it belongs to whoever waits for the outcome
            self._fault = fault
            self._relay.put(Refused.of(internal_error(fault, self.order.file), INTERNAL))
        finally:
            self._over.set()
            self._relay.close()

    @abstractmethod
    def _ran(self) -> Outcome:
        """Prepare, tell that all is ready, wait for the begin, run. Raises `ScenarioError` or `Interrupted`."""

    def _refuse(self, fault: NoOutcome) -> None:
        self._fault = fault
        self._relay.put(Refused.of(fault, fault.code))

    def _asked(self) -> Stop | None:
        return self._stop


class InlineRun(RunThread):
    """A run in this process."""

    def __init__(self, order: Order, relay: Relay, settings: Inline) -> None:
        self._settings = settings
        super().__init__(order, relay)

    def _ran(self) -> Outcome:
        with ExitStack() as held:
            with self._settings.around():
                prepared = attend(lambda: held.enter_context(self.order.prepared()), self._asked)
            self.prepared = prepared
            self._relay.put(Ready.of(prepared))
            self._begun.wait()
            if self._at is not None:
                clock = MonotonicClock()
                prepared = replace(prepared, start=Start(self._at, clock.now() + self._at - clock.wall()))
            tell = self._relay.put
            observer = session.Observer(
                self._asked, progress=tell, progress_every=self._settings.every,
                before_start=self._settings.before_start, waiting=lambda words: tell(Waiting(words)),
                stopped=tell, hit=tell, broken=tell,
            )  # fmt: skip
            return session.run(prepared, observer)
