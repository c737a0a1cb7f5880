"""Whose fault a delay is: plg's own, or that of the target or of the rate limit.

A generator that is stopped, suspended or short of processor time cannot notice that while it lasts, only afterwards:
the clock is then later than the loop meant to look at it again. Every look of the loop at the clock is held against
that moment, so a stall is noticed wherever it falls, also where nothing is being sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from plg.pacing import HELD_LAG
from plg.runner.account import Account
from plg.runner.connection import Answer, Confirmed
from plg.runner.recording import Floats, Stall

MOST_STALLS = 200
"""Stalls that are kept one by one; of more than so many the longest stay."""


class Lateness:
    """Counts what plg held up: arrivals it sent late or never, and jobs whose answers it may have read late.

    Times are seconds of the run. ``spoiled``: the answers that are read next may have come long ago. ``lost_s`` is the
    length of all stalls so far.
    """

    def __init__(self, account: Account, max_lag: float) -> None:
        self._account = account
        self._least = min(HELD_LAG, max_lag)
        self._back_by = 0.0
        self._blocked_until = 0.0
        self._owed_until = -np.inf
        self._catching_up = self._target_blocks = False
        self._stalls: list[Stall] = []
        self._slept: float | None = None
        self.spoiled = False
        self.lost_s = 0.0

    # -- stalls ---------------------------------------------------------------------------------------------------

    def look(self, now: float) -> float:
        """The loop looks at the clock; returns for how long (s) it stood still before, 0 as nearly always."""
        late = now - self._back_by
        self._back_by = now
        if late <= HELD_LAG:
            return 0.0
        self._note(Stall(now - late, now))
        if not self._target_blocks:
            self._owed_until, self._catching_up = now, True
        return late

    def sleep(self, until: float) -> None:
        """The loop is going to look again at ``until``, if nothing wakes it before."""
        self._back_by = max(self._back_by, until)

    def transmitted(self, by: float, at: float) -> float:
        """The clock was last looked at ``at``, while sending ahead, which meant to look ``by`` then."""
        self._back_by = by
        return self.look(at)

    def on_suspension(self, now: float, slept: float) -> None:
        """The machine has been suspended for ``slept`` seconds in all, by whatever origin."""
        before, self._slept = self._slept, slept
        if before is not None and slept - before > HELD_LAG:
            self._note(Stall(now, now, slept - before))

    def _note(self, stall: Stall) -> None:
        self.spoiled = True
        self.lost_s += stall.end_s - stall.start_s
        self._stalls.append(stall)
        if len(self._stalls) > MOST_STALLS:
            self._stalls.remove(min(self._stalls, key=lambda each: each.length_s))

    @property
    def stalls(self) -> tuple[Stall, ...]:
        return tuple(self._stalls)

    # -- who keeps arrivals waiting -------------------------------------------------------------------------------

    def step(self, now: float, *, ready: bool) -> None:
        """A step of the schedule begins; ``ready``: the target takes jobs."""
        self._blocked_until = min(self._blocked_until, now)
        self._target_blocks = not ready
        self._catching_up = self._catching_up and ready

    def blocked(self, until: float) -> None:
        """Waiting ``until`` then, for the target or for the rate limit, is meant; what comes on top is plg's own."""
        self._blocked_until = until

    def out_of_room(self, now: float) -> None:
        """The rate limit has no room. Behind a stall it has none because plg catches up: that is plg's own fault."""
        if self._catching_up:
            self._owed_until = now

    def caught_up(self) -> None:
        """Nothing is overdue any more."""
        self._catching_up = False

    def is_own(self, due: Floats, now: float, least: float = HELD_LAG) -> npt.NDArray[np.bool_]:
        """Which arrivals are overdue at ``now`` by more than ``least`` (s) through plg alone."""
        waited = now - np.maximum(due, self._blocked_until)
        return np.asarray((now - due > least) & ((due <= self._owed_until) | (waited > least)))

    # -- what is counted ------------------------------------------------------------------------------------------

    def sent(self, due: Floats, now: float) -> None:
        """Arrivals in order of their due times leave."""
        if len(due) and now - due[0] > HELD_LAG:
            own = due[self.is_own(due, now)]
            self._account.count_held(own)
            self._account.count_overdue(now, len(own))

    def dropped(self, due: Floats, now: float) -> None:
        """Arrivals are not sent any more, being overdue."""
        # With little patience a short delay is enough to lose a job.
        self._account.count_held(due[self.is_own(due, now, self._least)])

    def read_late(self, dues: Iterable[Floats]) -> None:
        """Confirmed jobs whose answers may have waited for plg to wake."""
        for due in dues:
            self._account.count_held(due)

    def heard(self, answers: Sequence[Answer]) -> None:
        """Answers were read, the first ones since the last look at the clock."""
        if self.spoiled:
            self.read_late(answer.due for answer in answers if answer.error is None)

    def confirmed_late(self, confirmed: Confirmed, heard: Sequence[tuple[float, list[Answer]]], at: float) -> None:
        """The same for what was sent ahead: late is what it read in the end, ``at`` the moment of its last look."""
        jobs = sum(size for moment, size in zip(confirmed.moments, confirmed.sizes, strict=True) if moment >= at)
        if jobs:
            self.read_late([np.concatenate(confirmed.dues)[-jobs:]])
        for moment, answers in heard:
            if moment >= at:
                self.read_late(answer.due for answer in answers if answer.error is None)
