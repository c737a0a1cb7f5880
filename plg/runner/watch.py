"""The queue after the last send: looked at until it is back to its depth at the start, or the watch is over."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import field

from plg.dataclass import dataclass
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

    Over the whole run, ``losses`` counts by how they went the jobs that nobody was seen to take, and ``taken`` tells
    whether a job was taken, or may have been; None where that is not known.
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
    losses: dict[str, int] = field(default_factory=dict)
    taken: bool | None = None
    looked: bool = False
    delayed: float = 0.0
    """Seconds after the last send until the last job is due: before, nothing is drained."""
    awaits: Callable[[], bool] = lambda: False
    """Whether jobs are with a worker, and a line asks how they end."""
    all_sent: Callable[[], None] = lambda: None
    """Told when nothing is sent any more."""
    _unsure: bool = False
    _since: float = math.inf

    def begin(self, last_send: float | None, now: float) -> None:
        """All answers are in: looks asked for from ``now`` on count."""
        if math.isinf(self._since):
            self.last_send, self._since = last_send, now
            self.all_sent()

    def on_sample(self, sample: Sample) -> None:
        """Take in a look, in order of time."""
        self._account(sample)
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
        if sample["queue_depth"] > self.start_depth or after < self.delayed:
            self.waiting_s = after
        else:
            self.drain_s = after

    def _account(self, sample: Sample) -> None:
        if math.isnan(sample["queue_depth"]):
            return
        for loss in sample.change.losses:
            self.losses[loss.words] = self.losses.get(loss.words, 0) + loss.jobs
        self._unsure |= sample.change.taken is None
        if sample.change.taken or self.taken:
            self.taken = True
        else:
            self.taken = None if self._unsure else False

    @property
    def lost(self) -> str:
        """The losses in words; empty where there are none."""
        found = [f"{jobs:,} job{'s' * (jobs != 1)} {words}" for words, jobs in self.losses.items()]
        return f"not all jobs were seen to be taken: {'; '.join(found)}" if found else ""

    @property
    def waits(self) -> bool:
        """Whether jobs of the run may still be in the queue, or are awaited from a worker."""
        in_queue = self.drain_s is None and self.start_depth is not None and self.last_send is not None
        return in_queue or (self.last_send is not None and self.awaits())
