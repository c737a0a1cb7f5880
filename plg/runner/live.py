"""A run that goes on, for those who judge or show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from plg.dataclass import dataclass
from plg.guardrails.guard import Hit
from plg.runner.cells import Cells
from plg.runner.recorder import Recorder
from plg.runner.recording import Ints, Recording, Stall


@dataclass(frozen=True, slots=True)
class Live:
    """What is recorded so far of a run that goes on: all that happened until ``now`` (s of the run), when ``taken``
    arrivals of the plan had been dealt with.

    ``hits`` tells the guardrails at work so far, ``whole`` makes the recording of all of it: at a cost that grows with
    the run.
    """

    now: float
    taken: int
    recorder: Recorder
    stalls: tuple[Stall, ...]
    hits: Callable[[], tuple[Hit, ...]]
    whole: Callable[[], Recording]

    def closed(self, since: int) -> Cells:
        """See `Recorder.closed`."""
        return self.recorder.closed(since, self.now, self.taken)

    def rest(self, since: int, seams: Ints) -> Cells:
        """See `Recorder.rest`."""
        return self.recorder.rest(since, self.now, self.taken, seams)

    def recording(self) -> Recording:
        """The whole recording, with what is in flight."""
        whole = self.whole()
        return replace(whole, counters={**whole.counters, "in_flight": self.recorder.in_flight()})
