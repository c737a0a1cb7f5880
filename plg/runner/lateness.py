"""Whose fault a delay is: plg's own, or that of the target or of the rate limit."""

from __future__ import annotations

import math

from plg.answers import Answers
from plg.pacing import HELD_LAG
from plg.runner.recorder import Recorder
from plg.runner.recording import Floats


class Lateness:
    """Counts what plg held up: arrivals it sent late or never, and jobs whose answers it may have read late.

    Times are seconds of the run.
    """

    def __init__(self, recorder: Recorder, max_lag: float) -> None:
        self._recorder = recorder
        self._least = min(HELD_LAG, max_lag)
        self._blocked_until = 0.0
        self._owed_until = -math.inf
        self._catching_up = self._target_blocks = False

    # -- who keeps arrivals waiting -------------------------------------------------------------------------------

    def step(self, now: float, *, ready: bool) -> None:
        """A step of the schedule begins; ``ready``: the target takes jobs."""
        self._blocked_until = min(self._blocked_until, now)
        self._target_blocks = not ready
        self._catching_up = self._catching_up and ready

    def stalled(self, now: float) -> None:
        """plg stood still until ``now``."""
        if not self._target_blocks:
            self._owed_until, self._catching_up = now, True

    def blocked(self, until: float) -> None:
        """To wait until then, for the target or for the rate limit, is meant; what comes on top is plg's own."""
        self._blocked_until = until

    def out_of_room(self, now: float) -> None:
        """The rate limit has no room. Behind a stall it has none because plg catches up: that is plg's own fault."""
        if self._catching_up:
            self._owed_until = now

    def caught_up(self) -> None:
        """Nothing is overdue any more."""
        self._catching_up = False

    def own(self, due: Floats, now: float, least: float = HELD_LAG) -> int:
        """How many of the arrivals, which are in order of their due times, are overdue at ``now`` by more than
        ``least`` (s) through plg alone: the first so many."""
        until = now - least
        if self._blocked_until < until:
            return int(due.searchsorted(until, "left"))
        return int(due.searchsorted(min(self._owed_until, math.nextafter(until, -math.inf)), "right"))

    # -- what is counted ------------------------------------------------------------------------------------------

    def sent(self, due: Floats, now: float) -> None:
        """Arrivals in order of their due times leave."""
        if len(due) and now - due[0] > HELD_LAG:
            own = self.own(due, now)
            self._recorder.add_held(due[:own])
            self._recorder.add_overdue(now, own)

    def dropped(self, due: Floats, now: float) -> None:
        """Arrivals are not sent any more, being overdue."""
        # With little patience a short delay is enough to lose a job.
        self._recorder.add_held(due[: self.own(due, now, self._least)])

    def read_late(self, answers: Answers, since: float = -math.inf) -> None:
        """Answers, or those read at ``since`` or later, may have waited for plg to wake."""
        confirmed = answers.confirmed()
        for due, moment in zip(confirmed.dues, confirmed.moments, strict=True):
            if moment >= since:
                self._recorder.add_held(due)
