"""How often the loop wakes, and whose answers it waits for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass

Floats = npt.NDArray[np.float64]

HELD_LAG = 0.05
"""What plg itself keeps waiting for longer than this (s) counts as held up."""
GLANCE = 0.02
"""While an answer is awaited plg looks at the clock at least this often (s), so that its own sleep shows."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """The trade between lag and processor time.

    ``tick`` is the most that a job waits for others to leave with it (s), and the time in which there is one send on
    average at the most. Answers are waited for where nothing leaves for a ``lull`` (s) after the send, and to one send
    every ``timing`` (s) besides: of those, service_time is exact. All other answers are read at the next wake-up, so
    their latency is rounded up by at most a lull and their service_time is left out. The choice is made at the sending
    and depends on when jobs are due, never on the answers. ``ahead`` is for how long (s) departures are made ahead: the
    longer, the cheaper each is; but what is made at once must fit into the time that one tick leaves.
    """

    tick: float
    lull: float
    timing: float
    ahead: float

    def timed(self, rate: Floats, *, random: bool = False) -> Floats:
        """How many of the jobs a second have an exact service_time at a steady ``rate`` (jobs/s), about.

        All of them where arrivals are farther apart than a lull; else one departure every ``timing``, with whatever
        leaves in it. Of ``random`` arrivals those come on top that leave with a lull behind them: what is due next
        leaves up to a tick after it was due, so that much less of a lull is asked of chance.
        """
        now_and_then = np.maximum(1.0, rate * self.tick) / self.timing
        apart = rate * np.exp(-rate * (self.lull - self.tick)) if random else np.where(rate * self.lull < 1, rate, 0.0)
        return np.minimum(rate, now_and_then + apart)


PACINGS = {
    "economical": Pacing(tick=0.001, lull=0.00125, timing=0.02, ahead=0.1),
    "precise": Pacing(tick=0.00025, lull=0.0005, timing=0.01, ahead=0.03),
}
DEFAULT_PACING = "economical"
