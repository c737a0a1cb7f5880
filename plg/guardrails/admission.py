"""Which tests may run beside each other in one server of plg, whatever their targets: a number and a rate for all of
them, and a number for each account."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping

from plg.dataclass import dataclass
from plg.guardrails.policy import Policy
from plg.guardrails.terms import Asked
from plg.units import counted, format_rate


@dataclass(frozen=True, slots=True)
class Running:
    """A test that runs: whose it is, and the highest rate that it may send with (jobs/s)."""

    account: str
    rate: float


class Admission:
    """Counts the tests of a process. Safe for threads.

    ``most`` bounds them whatever the policy says. A test is admitted before it begins and counts until it has ended.
    """

    def __init__(self, policy: Policy | None, most: float = math.inf) -> None:
        self._policy, self._most = policy, most
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()

    def begin(self, test: str, asked: Asked) -> str | None:
        """Why a test cannot run beside the others now; None where it can: then it counts as one of them.

        Raises `PolicyRefusal` where it could not even run alone.
        """
        if self._policy is not None:
            self._policy.admit(asked)
        new = Running(asked.account, asked.rate or 0.0)
        with self._lock:
            why = self._full(new, asked)
            if why is None:
                self._running[test] = new
            return why

    def end(self, test: str) -> None:
        """A test has ended; one that is not known is none."""
        with self._lock:
            self._running.pop(test, None)

    @property
    def running(self) -> Mapping[str, Running]:
        """The tests that count now."""
        with self._lock:
            return dict(self._running)

    def _full(self, new: Running, asked: Asked) -> str | None:
        others = list(self._running.values())
        if len(others) >= self._most:
            return f"{counted(len(others), 'test')} already run, and this server takes {self._most:,.0f} at a time"
        together = math.fsum(each.rate for each in others)
        own = sum(each.account == new.account for each in others)
        for file in self._policy.files if self._policy is not None else ():
            if len(others) >= file.max_tests:
                running = counted(len(others), "test")
                return f"{running} already run, and {file.file} allows {file.max_tests:,.0f} at a time"
            if together + new.rate > file.budget * (1 + 1e-9):
                left = format_rate(max(0.0, file.budget - together))
                return (
                    f"the tests that run leave {left} of the budget of {format_rate(file.budget)} in {file.file}, "
                    f"and this one would send {format_rate(new.rate)}"
                )
            for kind, rule in file.applying(asked):
                if kind != "environment" and own >= rule.terms.max_tests:
                    return (
                        f"{counted(own, 'test')} of {new.account} already run, and {kind} {rule.name} of {file.file} "
                        f"allows {rule.terms.max_tests:,.0f} at a time"
                    )
        return None
