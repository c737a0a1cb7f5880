"""Looks at a run while it goes on: gauges, limits, signals, expectations; and says when it has to stop."""

from __future__ import annotations

from plg.answers import Answers
from plg.guardrails.guard import Hit
from plg.plan import Plan
from plg.runner.abort import AbortConditions
from plg.runner.live import Live
from plg.runner.observer import Hooks, ProgressMeter
from plg.runner.recorder import Recorder
from plg.runner.run_clock import RunClock
from plg.runner.sampler import Sample, Sampler
from plg.runner.watch import Watch
from plg.scenario import Guardrails
from plg.stop import Stop

JUDGE_INTERVAL = 0.25
"""Least seconds between judgements of the expectations that may stop the run."""


class Monitor:
    """Watches one run. Its answers are the ``stop`` that ends the run, or None; of several reasons the first stands.

    ``watch`` is the one on the queue after the last send.
    """

    def __init__(
        self,
        plan: Plan,
        limits: Guardrails,
        sampler: Sampler,
        recorder: Recorder,
        clock: RunClock,
        *,
        hooks: Hooks | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._sampler, self._recorder, self._clock = sampler, recorder, clock
        self._hooks, self.watch = hooks or Hooks(), watch or Watch(None)
        self._abort = AbortConditions(plan, limits, recorder, clock, self._hooks.hit)
        self._meter = ProgressMeter(plan, recorder, self._hooks)
        self._next_judgement = self._next_recovery = 0.0
        self._recovering = self._hooks.recovering is not None
        self.stop: Stop | None = None

    def halt(self, stop: Stop | None) -> Stop | None:
        """End the run for this reason, if there is none before it. Returns the one that stands."""
        if self.stop is None and stop is not None:
            self.stop = stop
            self._hooks.stopped(stop)
        return self.stop

    def reach(self, guardrail: str, now: float) -> Stop | None:
        """A counted limit is reached with work left; None where that is shed and the run goes on."""
        return self.halt(self._abort.reach(guardrail, now))

    def take(self, answers: Answers) -> Stop | None:
        """Look at answers that were just counted."""
        return self.halt(self._abort.on_answers(answers))

    def interrupted(self) -> bool:
        """Whether the run is asked to stop."""
        asked = self._hooks.interrupted()
        self.halt(asked)
        return asked is not None

    def poll(self, now: float, live: Live) -> Stop | None:
        """Look at all there is; what is counted may end before ``now``."""
        if self.interrupted():
            return self.stop
        self._clock.check_suspension()
        for sample in self.sample(now):
            self.halt(self._abort.on_sample(sample, now))
        self.halt(self._abort.on_progress(live.now))
        self._judge(now, live)
        self._meter.show(now, "sending", live)
        return self.stop

    def poll_drain(self, live: Live) -> Stop | None:
        """The same after the last send, when there is nothing left that a limit could stop."""
        self.sample(live.now)
        self._judge(live.now, live)
        self._meter.show(live.now, "draining", live)
        return self.stop

    def recovering(self, live: Live) -> bool:
        """Whether the watch goes on for a line with a deadline; asked anew now and then."""
        if self._recovering and self._hooks.recovering is not None and live.now >= self._next_recovery:
            began = self._clock.now()
            self._recovering = self._hooks.recovering(live)
            looked = self._clock.now()
            self._next_recovery = looked + max(JUDGE_INTERVAL, 20 * (looked - began))
        return self._recovering

    def hurry(self) -> None:
        """Take the next look at the queues at once."""
        self._sampler.hurry()

    def sample(self, now: float) -> list[Sample]:
        """Take in the looks at the gauges since the last time."""
        samples = self._sampler.poll(now)
        for sample in samples:
            self._recorder.add_sample(sample)
            self.watch.on_sample(sample)
        return samples

    def hits(self, ended: float) -> tuple[Hit, ...]:
        """The guardrails at work in a run that ``ended`` then."""
        return self._abort.hits(ended)

    def _judge(self, now: float, live: Live) -> None:
        """Judge the expectations that may stop the run by all that is counted, if it is time."""
        if self._hooks.watch is None or now < self._next_judgement or self.stop is not None:
            return
        breach = self._hooks.watch(live)
        # A look takes time that belongs to the schedule: never more than a hundredth of it.
        looked = self._clock.now()
        self._next_judgement = looked + max(JUDGE_INTERVAL, 100 * (looked - now))
        if breach:
            self.halt(Stop("expectation", breach))
