"""The queue after the last send: looked at until it is back to its depth at the start, or the watch is over."""

from __future__ import annotations

import math
from dataclasses import dataclass

from plg.runner.sampler import Sample

LOOK_PATIENCE = 1.0
"""Seconds for the one look that every run takes after its last answer."""
INTERRUPTED_PATIENCE = 0.2
"""The same after a signal."""


@dataclass(slots=True)
class Watch:
    """The watch for at most ``length`` (s) after the last send, and what it says of the queue. Times in seconds.

    It is over when the queue is back to ``start_depth``; ``start_untaken`` of the jobs at the start had been given to
    no worker. ``last_send`` is a moment of the run, None as long as jobs are to come or where none was sent;
    ``waiting_s`` and ``drain_s`` count from it: the last look that found more than ``start_depth``, the first that
    found no more. Only looks asked for after the last answer count: those before may have missed jobs on their way.
    ``end_depth``, ``end_age`` and ``end_untaken`` are what the last of them found, None where it failed.
    """

    start_depth: int | None
    length: float = 0.0
    start_untaken: int | None = None
    last_send: float | None = None
    waiting_s: float | None = None
    drain_s: float | None = None
    end_depth: int | None = None
    end_age: float | None = None
    end_untaken: int | None = None
    looked: bool = False
    _since: float = math.inf

    def begin(self, last_send: float | None, now: float) -> None:
        """All answers are in: looks asked for from ``now`` on count."""
        if math.isinf(self._since):
            self.last_send, self._since = last_send, now

    def on_sample(self, sample: Sample) -> None:
        """Take in a look, in order of time."""
        if (sample.t if sample.asked is None else sample.asked) < self._since:
            return
        failed = math.isnan(sample["queue_depth"])
        self.looked |= not failed or sample.asked is not None
        self.end_depth = None if failed else int(sample["queue_depth"])
        self.end_untaken = None if failed or math.isnan(sample.untaken) else int(sample.untaken)
        self.end_age = None if failed or math.isnan(sample["queue_age"]) else sample["queue_age"]
        if failed or self.start_depth is None or self.last_send is None or self.drain_s is not None:
            return
        after = max(0.0, sample.t - self.last_send)
        if sample["queue_depth"] > self.start_depth:
            self.waiting_s = after
        else:
            self.drain_s = after

    @property
    def waits(self) -> bool:
        """Whether jobs of the run may still be in the queue."""
        return self.drain_s is None and self.start_depth is not None and self.last_send is not None
