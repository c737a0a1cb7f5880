"""The books of a run: every arrival in its column, every answer in its cell, and the recording made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from plg.guardrails.guard import Excursion
from plg.plan import Clip, Plan
from plg.runner.connection import Answer, Confirmed
from plg.runner.grid import Grid
from plg.runner.recorder import Recorder, Sample, SampleLog
from plg.runner.recording import Floats, Hit, Recording, Stall
from plg.runner.watch import Remains
from plg.stop import Stop

_MOST_ERROR_TEXTS = 20


class Account:
    """Counts one run. Times are seconds of the run; moments never go back."""

    def __init__(self, plan: Plan, grid: Grid, max_rate: float) -> None:
        self._plan, self._grid, self._max_rate = plan, grid, max_rate
        self._recorder = Recorder(grid.edges)
        self._log = SampleLog()
        self._error_texts: dict[str, int] = {}
        self.sent = self.acked = self.errors = self.late = self.shed = 0
        self.depth: int | None = None

    def count_sent(self, due: Floats, moments: Sequence[float], sizes: Sequence[int]) -> None:
        """The jobs due at ``due`` were written, ``sizes[i]`` of them at ``moments[i]``."""
        self._recorder.sent(due, moments, sizes)
        self.sent += len(due)

    def count_acked(self, confirmed: Confirmed) -> None:
        """Jobs were confirmed."""
        dues, moments, sizes, timed = confirmed
        self._recorder.acked(dues, moments, sizes)
        for due, taken in timed:
            self._recorder.timed(due, taken)
        self.acked += sum(sizes)

    def tidy(self) -> Iterator[None]:
        """Sort in what was only noted so far, if it is worth it; in pieces, with a ``yield`` between."""
        return self._recorder.tidy()

    def count_error(self, answer: Answer, now: float) -> None:
        """Jobs were refused, or lost with their connection."""
        assert answer.error is not None, "confirmed jobs are counted elsewhere"
        jobs = len(answer.due)
        self._recorder.count("unknown" if answer.unknown else "failed", np.array([now]), np.array([jobs]))
        self.errors += jobs
        words = answer.error
        if words in self._error_texts or len(self._error_texts) < _MOST_ERROR_TEXTS:
            self._error_texts[words] = self._error_texts.get(words, 0) + jobs

    def count_shed(self, due: Floats) -> None:
        """Arrivals were clipped by a guardrail."""
        self._recorder.count_due("shed", due)
        self.shed += len(due)

    def count_late(self, due: Floats) -> None:
        """Arrivals were dropped because they were overdue by more than max_lag."""
        self._recorder.count_due("late", due)
        self.late += len(due)

    def count_held(self, due: Floats) -> None:
        """Arrivals, among the sent or the late ones, were kept waiting by plg itself, or their answers were."""
        self._recorder.count_due("held", due)

    def count_overdue(self, now: float, jobs: int) -> None:
        """So many of them leave after all."""
        if jobs:
            self._recorder.count("overdue", np.array([now]), np.array([jobs]))

    def add_sample(self, sample: Sample) -> None:
        """A look at the gauges."""
        self._log.add(sample)
        self.depth = None if math.isnan(sample["queue_depth"]) else int(sample["queue_depth"])

    @property
    def last_error(self) -> str:
        """The words of the error that was met last for the first time; empty when there was none."""
        return next(reversed(self._error_texts), "")

    def recording(
        self,
        ended: float,
        taken: int,
        stop: Stop | None,
        remains: Remains,
        excursions: Iterable[Excursion],
        stalls: tuple[Stall, ...] = (),
    ) -> Recording:
        """What is known at ``ended``, when ``taken`` arrivals of the plan had been dealt with."""
        grid = self._grid
        counters = {name: column.copy() for name, column in self._recorder.counters.items()}
        counters["planned"] = grid.planned
        # What was taken is a prefix of the plan, so what is left of each cell follows from its running total.
        left = np.maximum(np.cumsum(grid.planned) - taken, 0)
        counters["cancelled"] = np.diff(left, prepend=0)
        times, samples = self._log.columns()
        return Recording(
            edges=grid.edges,
            window=grid.window,
            duration=grid.duration,
            spans=grid.spans,
            counters=counters,
            histograms=self._recorder.histograms(),
            sample_times=times,
            samples=samples,
            target_rate=grid.target_rate,
            allowed_rate=grid.allowed_rate,
            hits=self._hits(ended, excursions),
            ended_s=ended,
            start_depth=remains.start_depth,
            end_depth=remains.end_depth,
            start_untaken=remains.start_untaken,
            end_untaken=remains.end_untaken,
            end_age_s=remains.end_age,
            last_send_s=remains.last_send,
            drain_s=remains.drain_s,
            drain_waited_s=remains.waiting_s,
            stop=stop.name if stop else None,
            stop_detail=stop.detail if stop else "",
            stop_by=stop.by if stop else "",
            errors=tuple(self._error_texts.items()),
            stalls=stalls,
        )

    def _hits(self, ended: float, excursions: Iterable[Excursion]) -> tuple[Hit, ...]:
        clips = [
            Hit("max_rate", clip.start_s, min(clip.end_s, ended), self._peak(clip), self._max_rate, "clip", 0.0)
            for clip in self._plan.clips
            if clip.guardrail == "max_rate" and clip.start_s < ended
        ]
        seen = [
            Hit(e.guardrail, e.start_s, e.end_s, e.requested, e.allowed, e.action, e.reaction_s) for e in excursions
        ]
        return tuple(sorted(clips + seen, key=lambda hit: (hit.start_s, hit.guardrail)))

    def _peak(self, clip: Clip) -> float:
        return float(self._plan.target_rate(np.linspace(clip.start_s, clip.end_s, 201)[:-1]).max())
