"""One run of a plan: it is sent, the answers are awaited, and the queue is watched while it drains.

As long as all goes well the departures of the next moments are prepared in one go (`plg.runner.prepared`), so that a
wake-up only reads answers and writes bytes, and what it did is counted afterwards, again in one go. Anything out of the
ordinary (an error, a full socket, a late wake-up, a limit) ends that. Then each step decides anew: a departure sends
all that is due in one write, and is never less than a tick after the one before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from plg.answers import Answers
from plg.runner.live import Live
from plg.runner.monitor import Monitor
from plg.runner.prepared import PreparedBatch
from plg.runner.recorder import Recorder
from plg.runner.recording import Recording
from plg.runner.run_clock import RunClock
from plg.runner.sender import Sender, Sent
from plg.runner.transmit import Background
from plg.runner.watch import INTERRUPTED_PATIENCE, LOOK_PATIENCE
from plg.stop import Stop

POLL_INTERVAL = 0.05
"""Seconds between looks at samples and limits when nothing else wakes the loop."""
ANSWERS_GRACE = 5.0
"""Seconds without any answer after the last send before what is in flight becomes unknown."""
INTERRUPTED_GRACE = 0.5
"""The same after a signal, when a person waits for the prompt."""
_LOOKING = 0.005
"""Seconds between two glances at whether the last look has ended."""
_AT_ONCE = -math.inf


class Run:
    """One run. `run` returns its recording whatever happened. All times are seconds of the run."""

    def __init__(self, sender: Sender, monitor: Monitor, recorder: Recorder, clock: RunClock) -> None:
        self._sender, self._monitor, self._recorder, self._clock = sender, monitor, recorder, clock
        self._next_poll = 0.0
        self._over = False

    def run(self, start: float) -> Recording:
        """Send the plan, await the answers, watch the queue drain; the schedule begins at ``start`` of the clock."""
        self._clock.start = start
        self._send_plan()
        ended = self._clock.now()
        self._await_answers()
        self._watch_queue()
        self._sender.transport.close()
        stop = self._monitor.stop
        return self._record(ended if stop else min(ended, self._sender.planned_end), stop)

    def _record(self, ended: float, stop: Stop | None) -> Recording:
        monitor = self._monitor
        hits = monitor.hits(ended)
        return self._recorder.recording(ended, self._sender.taken, stop, monitor.watch, hits, self._clock.stalls)

    def _live(self, now: float) -> Live:
        return Live(
            now, self._sender.taken, self._recorder, self._clock.stalls,
            hits=lambda: self._monitor.hits(now), whole=lambda: self._record(now, None),
        )  # fmt: skip

    # -- the stages -------------------------------------------------------------------------------------------------

    def _send_plan(self) -> None:
        sender, monitor = self._sender, self._monitor
        while not sender.done:
            self._take(sender.collect())
            now = sender.counted_until
            if self._poll(now):
                return
            reached = sender.step(now)
            if reached is not None and monitor.reach(reached, now) is None:
                sender.shed_rest()
                return
            if sender.blocked and sender.transport.given_up(now):
                self._target_stops(sender.transport.last_words)
            if monitor.stop is not None:
                return
            if sender.blocked or not self._send_ahead():
                sender.rest(now, self._next_poll)
        # A plan may end with a time without arrivals: the run lasts until its end all the same.
        while sender.look() < sender.end:
            sender.wait(min(self._next_poll, sender.end))
            self._take(sender.collect())
            if not sender.transport.in_flight:
                self._begin_watch()
            if self._poll(self._clock.now()):
                return
        if not sender.fits:
            # No job is lost, and yet the run is not the one that was planned: how it ends was not seen.
            monitor.reach("max_duration", self._clock.now())

    def _await_answers(self) -> None:
        sender, transport, heard, grace = self._sender, self._sender.transport, self._awake(), ANSWERS_GRACE
        while transport.in_flight and self._awake() - heard < grace:
            if self._monitor.interrupted():
                grace = INTERRUPTED_GRACE
            before = transport.in_flight
            sender.wait(self._clock.now() + POLL_INTERVAL)
            self._take(sender.collect())
            if transport.in_flight < before:
                heard = self._awake()
        if transport.in_flight:
            self._take(transport.abandon(self._clock.now(), f"no answer within {grace:g} s of the end"))
        if self._recorder.acked == 0 and self._recorder.errors > 0:
            self._target_stops(self._recorder.last_error)
        if transport.down:
            self._target_stops(transport.last_words)

    def _watch_queue(self) -> None:
        """Take the last look, and go on looking while jobs of the run wait and the watch is not over."""
        sender, monitor = self._sender, self._monitor
        if monitor.stop is not None and monitor.stop.name == "target":
            return
        self._begin_watch()
        self._take_last_look()
        # What plg sleeps through is no watching.
        end = (sender.last_send or 0.0) + monitor.watch.length - self._clock.lost_s
        while monitor.stop is None and not monitor.interrupted():
            if not (monitor.watch.waits and self._awake() < end) and not monitor.recovering(
                self._live(self._clock.now())
            ):
                break
            sender.wait(self._clock.now() + POLL_INTERVAL / 2)
            monitor.poll_drain(self._live(self._clock.now()))

    def _take_last_look(self) -> None:
        monitor = self._monitor
        monitor.hurry()
        begin, patience = self._awake(), LOOK_PATIENCE
        while not monitor.watch.looked and self._awake() - begin < patience:
            if monitor.interrupted():
                patience = INTERRUPTED_PATIENCE
            self._sender.wait(self._clock.now() + _LOOKING)
            monitor.sample(self._clock.now())

    def _begin_watch(self) -> None:
        self._monitor.watch.begin(self._sender.last_send, self._clock.now())

    def _awake(self) -> float:
        """Seconds of the run for which plg was awake."""
        return self._sender.look() - self._clock.lost_s

    # -- what every stage does ----------------------------------------------------------------------------------------

    def _take(self, answers: Answers) -> None:
        if answers:
            self._sender.take(answers)
            self._recorder.take(answers)
            self._monitor.take(answers)

    def _poll(self, now: float) -> bool:
        """Look at samples, limits and signals, if it is time. Whether the run has to end."""
        if now >= self._next_poll:
            self._next_poll = now + POLL_INTERVAL
            self._monitor.poll(now, self._live(min(now, self._sender.counted_until)))
            if self._sender.trouble is not None:
                self._target_stops(self._sender.trouble)
        return self._monitor.stop is not None

    def _target_stops(self, words: str) -> None:
        self._monitor.halt(Stop("target", words))

    # -- prepared batches ---------------------------------------------------------------------------------------------

    def _send_ahead(self) -> bool:
        """Send prepared batches, one behind the other, until there are none or something is out of the ordinary: while
        one leaves, the one before is counted and the next is made. False when there was nothing to prepare."""
        sender = self._sender
        batch = sender.first_batch()
        if batch is None:
            return False
        counting: Iterator[None] = iter(())
        self._over = False
        while batch is not None:
            following: list[PreparedBatch] = []
            background = self._background(counting, batch, following)
            sent = sender.transmit(batch, background)
            if sent is None:
                break
            self._over = not sent.whole or self._monitor.stop is not None
            for _ in background:  # what was left undone is done now: it counts what has happened
                self._over = self._over or self._monitor.stop is not None
            counting, batch = self._count(sent), None
            if following and self._over:
                sender.release(len(following[0].kept))
            elif following:
                [batch] = following
        for _ in counting:
            pass
        return True

    def _background(self, counting: Iterator[None], batch: PreparedBatch, following: list[PreparedBatch]) -> Background:
        """What is to be done while ``batch`` leaves; what is found behind it is put into ``following``."""
        for _ in counting:
            yield _AT_ONCE
        making = self._sender.prepare(batch)
        while not self._over:
            try:
                next(making)
            except StopIteration as made:
                if made.value is not None:
                    following.append(made.value)
                break
            yield _AT_ONCE
        while not self._over and self._next_poll < batch.end:
            yield self._next_poll
            yield None if self._poll(self._clock.now()) else _AT_ONCE

    def _count(self, sent: Sent) -> Iterator[None]:
        """Count what a batch did, in pieces with a ``yield`` between."""
        self._sender.count(sent)
        yield
        self._take(sent.answers)
        yield
        self._sender.counted_until = max(self._sender.counted_until, sent.done.looked)
        yield from self._recorder.tidy()
