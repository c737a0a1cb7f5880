"""A run under the interlock of its server: a lease on the rate there, renewed, and an ear for a stop, both in a thread
beside the schedule."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress

from plg.stop import Stop
from plg.targets.base import TargetError
from plg.targets.interlock import LEASE, Allowance, Answer, Demand, Interlock, Lease, Seen, stop_words
from plg.units import counted, format_rate

LOOK = 0.2
"""Seconds between two looks at the server."""
RENEW = 1.0
"""Seconds between two renewals of the lease."""
_RESUME = "plg target resume URL lets runs begin again"
_ALLOW = "plg target allow URL --max-rate RATE --for TIME gives one"


class InterlockHolder:
    """Holds the lease of one run. ``jobs`` and ``lasting`` (s) are the most that it may come to.

    Where the server has no allowance and the policy asks for nothing, there is no lease: it is only looked whether one
    comes, or a stop.
    """

    def __init__(self, interlock: Interlock, lease: Lease, demand: Demand, shown: str, jobs: int, lasting: float):
        self._interlock, self._lease, self._demand, self._shown = interlock, lease, demand, shown
        self._jobs, self._lasting = jobs, lasting
        self._until: float | None = None
        self._stop: Stop | None = None
        self._latching = ""
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plg-interlock", daemon=True)

    def open(self) -> tuple[str, ...]:
        """Take the lease, where there is something to take it on; remarks.

        Raises `TargetError` of kind ``forbidden`` where the run may not begin.
        """
        try:
            seen = self._interlock.look()
        except TargetError as error:
            if self._demand.asks or error.kind == "forbidden":
                raise self._refused(f"the server cannot be asked whether it may be loaded: {error.message}") from None
            return (f"plg target stop cannot end this run, which may not look there: {error.message}",)
        if seen.stop is not None:
            raise self._refused(_stopped(seen.stop), _RESUME)
        if seen.allow is not None:
            why = Allowance.read(seen.allow).refusal(self._lease.rate, self._jobs, self._lasting, seen.now)
            if why:
                raise self._refused(f"the run is not within what the server allows: {why}", _ALLOW)
        if seen.allow is not None or self._demand.asks:
            answer, text, left = self._ask()
            if answer != "granted":
                raise self._refused(
                    self._words(answer, text, left), {"absent": _ALLOW, "stopped": _RESUME}.get(answer, "")
                )
        self._thread.start()
        return ()

    def asked(self) -> Stop | None:
        """The stop that the server asks for, for the thread that sends: it waits for nothing."""
        until = self._until
        if self._stop is None and until is not None and time.monotonic() > until:
            self._stop = Stop("target", f"the lease on the rate of {self._shown} was not renewed for {LEASE:g} s")
        return self._stop

    def close(self) -> None:
        """Give the lease back."""
        self._ends.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2 * LEASE)
        if self._until is not None:
            with suppress(TargetError):  # it ends by itself
                self._interlock.give_back(self._lease)
        self._interlock.close()

    def _refused(self, why: str, advice: str = "") -> TargetError:
        return TargetError("forbidden", f"{self._shown}: {why}", advice)

    def _ask(self) -> tuple[Answer, bytes, float]:
        """Take or renew the lease."""
        asked = time.monotonic()
        answer, text, left = self._interlock.grant(self._lease, self._demand)
        if answer == "granted":
            # By this clock from before the question: never longer than the server holds it.
            self._until = asked + LEASE
        return answer, text, left

    def _words(self, answer: Answer, text: bytes, left: float) -> str:
        rate, demand = format_rate(self._lease.rate), self._demand
        going = counted(int(left), "run")
        free, (_, everybody, own), verb = format_rate(max(0.0, left)), demand.sources, "go" if left > 1 else "goes"
        return {
            "granted": "",
            "stopped": _stopped(text),
            "absent": f"it carries no plg:allow, which {demand.required} asks for",
            "over": f"the run would send up to {rate}, more than the budget of all runs there{self._budget()}",
            "taken": f"other runs there leave {free} of the budget{self._budget()}, this one would send {rate}",
            "crowded": f"{going} {verb} on there, and {everybody} allows {demand.tests:,.0f} at a time",
            "own": f"{going} of this account {verb} on there, and {own} allows {demand.own_tests:,.0f} at a time",
            "unreadable": "what plg keeps there of its runs cannot be read, so nobody knows what is left of the rate",
        }[answer]

    def _budget(self) -> str:
        """Whose budget it is, where it is not the server's own alone."""
        source = self._demand.sources[0]
        return f" ({source} sets {format_rate(self._demand.budget)})" if source else ""

    def latch(self, guardrail: str) -> None:
        """A guardrail has stopped the run: where the policy says so, all others there stop too. Returns at once."""
        if self._demand.latch:
            self._latching = guardrail

    def _run(self) -> None:
        renew = time.monotonic() + RENEW
        while self._stop is None:
            ended = self._ends.wait(LOOK)
            if self._latching:
                self._spread(self._latching)
                return
            if ended:
                return
            with suppress(TargetError):  # asked again; a lease that cannot be renewed ends by itself
                if self._until is None:
                    self._heed(self._interlock.peek())
                elif time.monotonic() >= renew:
                    renew = time.monotonic() + RENEW
                    self._renewed()
                else:
                    self._heed_stop(self._interlock.peek().stop)

    def _spread(self, guardrail: str) -> None:
        """Stop all runs there, and let none begin."""
        lasting, who = self._demand.latch, self._lease.about
        by = f"{who.get('account', '')}@{who.get('host', '')}"
        why = f"emergency stop: {guardrail} in run {self._lease.run} of {who.get('scenario', '')}"
        with suppress(TargetError):  # this run has stopped all the same
            self._interlock.stop(by, why, lasting if math.isfinite(lasting) else None)

    def _heed(self, seen: Seen) -> None:
        """Without a lease: heed a stop, and an allowance that has come since the run began."""
        self._heed_stop(seen.stop)
        if seen.allow is not None and self._stop is None:
            self._renewed()

    def _heed_stop(self, text: bytes | None) -> None:
        if text is not None:
            by, why = stop_words(text)
            self._stop = Stop("user", why, f"{by} by plg target stop")

    def _renewed(self) -> None:
        answer, text, left = self._ask()
        if answer == "stopped":
            self._heed_stop(text)
        elif answer != "granted":
            self._stop = Stop("target", f"{self._shown}: {self._words(answer, text, left)}")


def _stopped(text: bytes) -> str:
    by, why = stop_words(text)
    return f"all runs there are stopped by {by}" + (f": {why}" if why else "")
