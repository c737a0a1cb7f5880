"""The time of one run, and when plg itself stood still in it.

A generator that is stopped, suspended or short of processor time cannot notice that while it lasts, only afterwards:
the clock is then later than the loop meant to look at it again. Every look of the loop at the clock is held against
that moment, so a stall is noticed wherever it falls, also where nothing is being sent.
"""

from __future__ import annotations

from plg.clock import Clock
from plg.pacing import HELD_LAG
from plg.runner.recording import Stall

MOST_STALLS = 200
"""Most stalls that are kept one by one; of more the longest stay."""


class RunClock:
    """Seconds since the ``start`` of a run, which is a moment of ``clock``.

    ``spoiled``: the answers that are read next may have come long ago. ``lost_s`` is the length of all stalls so far.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock, self.start = clock, clock.now()
        self.wall, self.give_way = clock.wall, clock.give_way
        self._back_by = 0.0
        self._stalls: list[Stall] = []
        self._suspended: float | None = None
        self.spoiled = False
        self.lost_s = 0.0

    def now(self) -> float:
        """The moment, with nothing made of it."""
        return self.clock.now() - self.start

    def look(self) -> tuple[float, float]:
        """The moment, and for how long (s) plg stood still before it: 0 as nearly always."""
        now = self.clock.now() - self.start
        late, self._back_by = now - self._back_by, now
        if late <= HELD_LAG:
            return now, 0.0
        self._note(Stall(now - late, now))
        return now, late

    def sleep(self, until: float) -> None:
        """The loop is going to look again at ``until``, if nothing wakes it before."""
        self._back_by = max(self._back_by, until)

    def looked(self, by: float, at: float) -> float:
        """Others looked ``at`` a moment and meant to do so ``by`` another. Returns the stall (s) as `look` does."""
        self._back_by = at
        if at - by <= HELD_LAG:
            return 0.0
        self._note(Stall(by, at))
        return at - by

    def check_suspension(self) -> None:
        """Note whether the machine was suspended since the last time."""
        before, self._suspended = self._suspended, self.clock.suspended()
        if before is not None and self._suspended - before > HELD_LAG:
            now = self.now()
            self._note(Stall(now, now, self._suspended - before))

    @property
    def stalls(self) -> tuple[Stall, ...]:
        return tuple(self._stalls)

    def _note(self, stall: Stall) -> None:
        self.spoiled = True
        self.lost_s += stall.end_s - stall.start_s
        self._stalls.append(stall)
        if len(self._stalls) > MOST_STALLS:
            self._stalls.remove(min(self._stalls, key=lambda each: each.length_s))
