"""Whoever runs an order: what each launcher promises, and which there are."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib import import_module
from signal import Signals
from typing import Protocol

from plg.diagnostics import Diagnostic, ScenarioError
from plg.judge.verdict import INTERNAL, USAGE
from plg.machine import shortage
from plg.outcome import Outcome
from plg.queues.registry import entry_points
from plg.redaction import hide_known
from plg.runs.order import Order
from plg.runs.relay import Listen
from plg.stop import Stop

GROUP = "plg.launchers"
SHIPPED: Mapping[str, str] = {
    "local": "plg.runs.local:launcher",
    "dask": "plg.runs.dask:launcher",
}
"""Where the function stands that makes each launcher: it takes what is written behind the name."""


class NoOutcome(ScenarioError):
    """A run that came to no outcome, for these faults: ``code`` is the exit code of that."""

    def __init__(self, error: ScenarioError, code: int) -> None:
        super().__init__(error.diagnostics, error.sources)
        self.code = code


def internal_error(fault: BaseException, file: str) -> NoOutcome:
    """A fault of plg itself in a run of ``file``, in the form of all faults and without the secrets it may repeat.

    Where the machine had too little of something, that is the fault, and not one of plg's.
    """
    if short := shortage(fault):
        return NoOutcome(ScenarioError([Diagnostic("machine", hide_known(short), file)]), USAGE)
    words = hide_known(f"internal error: {type(fault).__name__}: {fault}")
    return NoOutcome(ScenarioError([Diagnostic("internal-error", words, file)]), INTERNAL)


def interrupted_before(file: str, code: int) -> NoOutcome:
    """A signal, the one of this exit code, came before the run of ``file`` began."""
    words = f"{file} was interrupted by {Signals(code - 128).name} before it began"
    return NoOutcome(ScenarioError([Diagnostic("interrupted", words, file)]), code)


class Handle(Protocol):
    """A run that was ordered. Its last event is ``finished`` or ``refused``."""

    @property
    def order(self) -> Order: ...

    def begin(self, at: float | None = None) -> None:
        """Let the schedule begin: now, or ``at`` a moment in seconds since the Unix epoch. After ``ready``."""

    def stop(self, stop: Stop) -> None:
        """End the run; what it did is recorded and judged. The first stop stands."""

    def outcome(self) -> Outcome:
        """Wait until the run is over. Raises `NoOutcome` where it came to none."""

    def abandon(self, patience: float) -> None:
        """Leave nothing of the run behind, after ``patience`` seconds at most in which it may end itself."""


class Ending:
    """The part of a handle that waits for the end of its run: for an outcome, or for the fault that it ended with."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._outcome: Outcome | None = None
        self._fault: BaseException | None = None

    def over(self, patience: float) -> bool:
        """Whether the run is over, after ``patience`` seconds at most."""
        return self._over.wait(patience)

    def outcome(self) -> Outcome:
        """See `Handle.outcome`; a fault of plg itself is raised as it is."""
        self._over.wait()
        if self._outcome is None:
            assert self._fault is not None, "a run ends with an outcome or a fault"
            raise self._fault
        return self._outcome


class Launcher(Protocol):
    """Runs orders somewhere."""

    def launch(self, order: Order, listen: Listen) -> Handle:
        """Have the order prepared; ``listen`` hears of it from a thread that sends no jobs. Returns at once."""


def launcher_for(text: str) -> Launcher:
    """The launcher that ``text`` names, such as ``local:4``. Raises `ScenarioError` where there is none."""
    name, _, rest = text.partition(":")
    if name in SHIPPED:
        module, _, function = SHIPPED[name].partition(":")
        made: Launcher = getattr(import_module(module), function)(rest)
        return made
    for entry in entry_points(group=GROUP, name=name):
        plugged: Launcher = entry.load()(rest)
        return plugged
    known = ", ".join((*SHIPPED, *sorted(entry_points(group=GROUP).names)))
    raise ScenarioError(
        [Diagnostic("usage", f"no launcher is called {name!r}", "<command line>", help=f"known: {known}")]
    )
