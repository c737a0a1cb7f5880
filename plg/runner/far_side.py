"""Reads beside the schedule what the workers did: for each job of the run, or a sample of them, what is recorded of it.

Records may expire soon after a job has ended, so they are read while the run goes on, slowly, and faster once all is
sent. Nothing is written, no command waits for anything, and each names the keys that it reads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from plg.clock import Clock, MonotonicClock
from plg.measures import FAR
from plg.plan import Plan
from plg.plan.watching import watch_length
from plg.queues.base import Question
from plg.queues.registry import format_of
from plg.runner.far_hooks import Hooks
from plg.runner.far_jobs import FEW, MOST, FarJobs
from plg.scenario import Scenario
from plg.targets.base import Target, TargetError
from plg.targets.inquiry import Inquiry

WHILE_SENDING, AFTERWARDS = 400, 4000
"""Most jobs asked after a second: while jobs are sent, and after the last send."""
TOLD_WHILE_SENDING, TOLD_AFTERWARDS = 1000, 20_000
"""Most records of workers read a second."""
MOST_BYTES = 4_000_000
"""Most bytes of answers a second."""
_TICK = 0.1
_BATCH = 50
"""Jobs of one round trip: so few that who sends is not kept from Python for long."""
_LAST_BATCH = 500
_SETTLE = 1.0
"""Seconds after it is due that a job is first asked after, while others are still sent."""
_AGAIN = 0.5
"""Seconds until a job that had not ended is asked after again."""
_SILENT = 3.0
"""Seconds after the queue is empty that a worker may take to tell of its first job."""
_TO_WRITE_DOWN = 0.3
"""Seconds in which a framework has written down that a job is done, of which its worker has just told."""
LAST_LOOK = 15.0
"""Seconds that the last look at all jobs that had not ended may take."""


def asks_what_workers_did(scenario: Scenario) -> bool:
    """Whether a line asks what the workers did."""
    return any(side.measure in FAR for line in scenario.expect for side in (line.subject, line.relative) if side)


def open_reader(target: Target, scenario: Scenario, plan: Plan, run_id: str) -> tuple[FarReader | None, str]:
    """A reader that is connected, or why there is none: empty where no line misses it.

    Workers are listened to where a line asks for what they do, or else only the framework's own records are read.
    """
    wanted = asks_what_workers_did(scenario)
    tracings = [format_of(job.queue.kind).tracing(job, run_id) for job in scenario.jobs]
    if not wanted:
        tracings = [tracing if tracing is not None and tracing.read is not None else None for tracing in tracings]
    if not any(tracings):
        return None, "the jobs do not say which they are, so no worker can tell of them" if wanted else ""
    inquiry = Inquiry(target)
    try:
        reader = FarReader(FarJobs(plan, tracings, MOST if wanted else FEW), inquiry, wanted=wanted)
        reader.prepare(run_id, scenario.guardrails.max_duration + watch_length(scenario))
    except TargetError as error:
        inquiry.close()
        return None, f"what the workers do cannot be read: {error}" if wanted else ""
    return reader, ""


class FarReader:
    """Asks after jobs from a thread of its own. ``wanted``: a line asks for what it finds, so the watch waits.

    ``looked`` is when it last asked (s of the run), ``offset`` how far (s) the server's clock is ahead of this one's.
    """

    def __init__(self, jobs: FarJobs, inquiry: Inquiry, *, wanted: bool) -> None:
        self.jobs, self.wanted = jobs, wanted
        self._inquiry = inquiry
        self.hooks = Hooks(jobs.tracings, inquiry, jobs.parts) if wanted else None
        self._silent_since: float | None = None
        self._queue: deque[tuple[float, int]] = deque()
        self._next = 0
        self.questions = self.size = self.failed = 0
        self.looked = 0.0
        self.offset: float | None = None
        self.fault = self.deaf = self.odd = ""
        self._all_sent = self._stopped = False
        self._wake = threading.Event()
        self._clock: Clock = MonotonicClock()
        self._zero = 0.0
        self._thread = threading.Thread(target=self._run, name="plg-far-side", daemon=True)

    def prepare(self, run_id: str, lasting: float) -> None:
        """Connect, compare the clocks, and make the streams that workers tell of their jobs in, for a run that lasts so
        many seconds. Raises `TargetError`."""
        self.offset = self._inquiry.clock_offset()
        if self.hooks is None:
            return
        try:
            self.hooks.open(run_id, lasting)
        except TargetError as error:
            if not self.jobs.recorded.any():
                raise
            self.hooks, self.deaf = None, str(error)

    def start(self, clock: Clock, zero: float) -> None:
        """Begin; the run counts its seconds from ``zero`` of the clock."""
        self._clock, self._zero = clock, zero
        self._thread.start()

    def all_sent(self) -> None:
        """Nothing is sent any more: from now on there is time to ask."""
        self._all_sent = True
        self._wake.set()

    def awaits(self) -> bool:
        """Whether the watch has to go on for jobs that a worker may have and has not finished; asked once no job waits
        in the queue any more."""
        if not self.wanted or self.fault or not self.jobs.any_open():
            return False
        if self.jobs.recorded.all() or (self.hooks is not None and self.hooks.heard):
            return True
        now = self._now()
        self._silent_since = now if self._silent_since is None else self._silent_since
        return now - self._silent_since < _SILENT

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)

    def last_look(self) -> None:
        """Ask once more after every job that had not ended, after `stop`."""
        until = self._now() + LAST_LOOK
        self.fault = ""
        stock = self._stock()
        while self._listen(TOLD_AFTERWARDS // 10) and self._now() < until:
            pass
        stock()
        if self._ask_uncertain(until):
            # Of these their worker was done just before: the framework writes that down in a moment.
            self._wake.clear()
            self._wake.wait(_TO_WRITE_DOWN)
            self._ask_uncertain(until)

    def _stock(self) -> Callable[[], None]:
        if self.hooks is not None:
            with suppress(TargetError):
                return self.hooks.take_stock()
        return lambda: None

    def _ask_uncertain(self, until: float) -> bool:
        """Ask after every job whose end is not certain. Whether a worker has told the end of one that its framework
        still has."""
        jobs = self.jobs
        places = [p for p in range(len(jobs)) if jobs.recorded[p] and not jobs.is_certain(p)]
        for first in range(0, len(places), _LAST_BATCH):
            if self._now() > until:
                self.fault = f"the server was too slow to tell of all jobs within {LAST_LOOK:g} s"
                return False
            if not self._ask(places[first : first + _LAST_BATCH]):
                return False
        return any(jobs.settled(p) and not jobs.is_certain(p) for p in places)

    def close(self) -> None:
        """Stop, remove the streams of the workers, and hang up."""
        self.stop()
        if self.hooks is not None:
            with suppress(TargetError):
                self.hooks.close()
        self._inquiry.close()

    def _now(self) -> float:
        return float(self._clock.now()) - self._zero

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(_TICK)
            self._wake.clear()
            began, size = self._now(), self.size
            self._listen(round((TOLD_AFTERWARDS if self._all_sent else TOLD_WHILE_SENDING) * _TICK))
            budget = round((AFTERWARDS if self._all_sent else WHILE_SENDING) * _TICK)
            while budget > 0 and not self._stopped and self.size - size < MOST_BYTES * _TICK:
                places = self._due_for_a_look(min(budget, _BATCH), began)
                if not places or not self._ask(places):
                    break
                self._queue.extend((began, place) for place in places if not self.jobs.is_certain(place))
                budget -= len(places)

    def _listen(self, most: int) -> bool:
        """Take in what workers told. Whether there may be more."""
        if self.hooks is None:
            return False
        try:
            found, more = self.hooks.read(most)
        except TargetError as error:
            self.failed, self.fault = self.failed + 1, str(error)
            return False
        for told in found:
            try:
                self.jobs.hear(told)
            except (ValueError, OverflowError) as error:
                self.odd = self.odd or f"a worker's entry cannot be read: {error}"
        self.looked = self._now()
        return more

    def _due_for_a_look(self, most: int, now: float) -> list[int]:
        """Those that were never asked after and are due, then those that were so longest ago."""
        jobs, places = self.jobs, list[int]()
        patience = 0.0 if self._all_sent else _SETTLE
        while self._next < len(jobs) and len(places) < most and jobs.due[self._next] + patience <= now:
            if jobs.recorded[self._next]:
                places.append(self._next)
            self._next += 1
        while self._queue and len(places) < most and self._queue[0][0] + _AGAIN <= now:
            places.append(self._queue.popleft()[1])
        return places

    def _ask(self, places: Sequence[int]) -> bool:
        """Ask after these jobs. False where nobody answers."""
        jobs, questions, cuts = self.jobs, list[Question](), [0]
        kinds = jobs.kind[list(places)].tolist()
        tracings = [jobs.tracings[kind] for kind in kinds]
        for place, tracing in zip(places, tracings, strict=True):
            assert tracing is not None, "only jobs with a record are asked after"
            assert tracing.questions is not None, "only jobs with a record are asked after"
            questions += tracing.questions(tracing.id_of(int(jobs.seq[place])))
            cuts.append(len(questions))
        asked = self._now()
        try:
            answers = self._inquiry.ask(questions)
        except TargetError as error:
            return self._not_answered(places, str(error))
        self.questions += len(questions)
        self.size += sum(map(_size, answers))
        for number, (place, tracing) in enumerate(zip(places, tracings, strict=True)):
            own = answers[cuts[number] : cuts[number + 1]]
            failed = next((answer for answer in own if isinstance(answer, Exception)), None)
            if failed is not None:
                return self._not_answered(places[number:], str(failed))
            assert tracing is not None, "only jobs with a record are asked after"
            assert tracing.read is not None, "only jobs with a record are asked after"
            try:
                jobs.note(place, tracing.read(own), asked)
            except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
                # Whatever stands there in place of a record: it tells nothing of this job, and the others are read.
                self.odd = self.odd or f"a record cannot be read: {error}"
        self.fault, self.looked = "", asked
        return True

    def _not_answered(self, places: Sequence[int], words: str) -> bool:
        self.failed, self.fault = self.failed + 1, words
        self._queue.extend((self._now(), place) for place in places)
        return False


def _size(answer: Any) -> int:
    """Bytes of an answer, roughly."""
    if isinstance(answer, bytes):
        return len(answer) + 6
    return sum(map(_size, answer)) + 4 if isinstance(answer, list) else 4
