"""How often the loop wakes, and whose answers it waits for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pacing:
    """The trade between lag and processor time.

    ``tick`` is the least time between two sends (s). Answers are waited for where nothing leaves for a ``lull`` (s)
    after the send, and elsewhere to one send every ``timing`` (s): of those, service_time is exact. All other answers
    are read at the next wake-up, so their latency is rounded up by at most a lull and their service_time is left out.
    The choice is made at the sending, so a slow answer is as likely to be among the timed ones as a quick one.
    ``ahead`` is for how long (s) departures are made ahead: the longer, the cheaper each is; but what is made at once
    must fit into the time that one tick leaves.
    """

    tick: float
    timing: float
    ahead: float

    @property
    def lull(self) -> float:
        """Where sends are closer than this (s), a wake-up for each answer would double their cost."""
        return 1.1 * self.tick


PACINGS = {"economical": Pacing(0.001, 0.02, 0.1), "precise": Pacing(0.00025, 0.01, 0.03)}
