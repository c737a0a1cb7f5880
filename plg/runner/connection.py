"""One connection under load: what is in flight on it, what was answered, and how it comes back after a loss."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from plg.clock import Clock
from plg.pacing import GLANCE, HELD_LAG, Pacing
from plg.runner.dialer import Dialer, Immediate
from plg.runner.recording import Floats
from plg.targets.base import TargetError
from plg.targets.encoding import Command
from plg.targets.replies import Reply
from plg.targets.wire import Link, LinkLost

ANSWER_TIMEOUT = 10.0
"""A connection with jobs in flight that says nothing for so many seconds counts as dead."""
GIVE_UP_AFTER = 15.0
"""Seconds of vain reconnecting after which the target counts as lost."""
STALE = 0.001
"""A departure made ahead tells jobs the moment it was meant for; later than this (s) it is made anew."""
PATIENCE = 4
"""Ticks for which other work that is due holds back because a timed answer is on its way."""
LEISURE = 0.3
"""So much of a tick may have gone by when a piece of other work begins; it must be done before the next departure."""
_BACKOFF_FIRST, _BACKOFF_MOST = 0.05, 1.0
_DIALLING = 0.005
"""Seconds between looks at an attempt to connect that is under way."""


Chores = Iterator[float | None]
"""Work in pieces for when there is time. After each piece: from when on (s of the run) the next one may be done, or
None where nothing may go on as before."""


class Transport(Protocol):
    """What the engine sends over: one `Connection`, or several as one. Times are seconds of the run."""

    @property
    def in_flight(self) -> int: ...
    @property
    def awaited(self) -> int: ...
    @property
    def down(self) -> bool: ...
    @property
    def backlog(self) -> int: ...
    @property
    def retry_at(self) -> float: ...
    @property
    def last_words(self) -> str: ...
    @property
    def links(self) -> list[Link]: ...
    @property
    def can_send_ahead(self) -> bool: ...
    def ready(self, now: float) -> bool: ...
    def given_up(self, now: float) -> bool: ...
    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool: ...
    def send_ahead(
        self, departures: Sequence[Departure], clock: Clock, zero: float, pacing: Pacing, chores: Chores
    ) -> Transmitted: ...
    def collect(self, now: float) -> list[Answer]: ...
    def wait(self, clock: Clock, deadline: float, *, answers: bool) -> None: ...
    def abandon(self, now: float, why: str) -> list[Answer]: ...
    def pardon(self, seconds: float) -> None: ...
    def close(self) -> None: ...


def wait_on(links: Sequence[Link], clock: Clock, deadline: float, *, answers: bool) -> None:
    """Return at ``deadline`` of the clock, or earlier as `Link.wait` does for any of ``links``, all of one kind."""
    if links:
        links[0].wait(deadline, answers=answers, others=links[1:])
    else:
        clock.sleep_until(deadline)


class Answer(NamedTuple):
    """Jobs that met the same fate: ``error`` is None for confirmed, else the server's words (or why it is unknown).

    ``timed``: somebody was waiting for this answer, so the moment it was read is the moment it came.
    """

    due: Floats
    sent_at: float
    error: str | None = None
    unknown: bool = False
    timed: bool = True


class Departure(NamedTuple):
    """Commands made ahead, to be written together as ``data`` at a ``moment`` (s of the run).

    ``replies`` is the number of answers they will have; ``timed`` as in `Connection.send`.
    """

    moment: float
    data: bytes
    replies: int
    timed: bool
    commands: Sequence[Command]

    @staticmethod
    def of(moment: float, commands: Sequence[Command], timed: bool) -> Departure:
        if len(commands) == 1:
            [command] = commands
            replies, pieces = command.replies * len(command.due) or 1, command.pieces
        else:
            replies = sum([command.expected for command in commands])
            pieces = [piece for command in commands for piece in command.pieces]
        return Departure(moment, b"".join(pieces), replies, timed, commands)


class Confirmed(NamedTuple):
    """Jobs that were found confirmed, in the order of their answers: ``sizes[i]`` of them at ``moments[i]`` (s of the
    run).

    ``dues`` are their due times, an array for each flight or part of one. Of the flights in ``timed`` somebody waited
    for the answer, which took so long (s) from the sending.
    """

    dues: list[Floats]
    moments: list[float]
    sizes: list[int]
    timed: list[tuple[Floats, float]]

    @staticmethod
    def nothing() -> Confirmed:
        return Confirmed([], [], [], [])


class Transmitted(NamedTuple):
    """What became of departures: when the first of them left (s of the run), what was ``confirmed``, other answers with
    the moments at which they were read, and when answers were last ``looked`` for (minus infinity: never). The clock
    was last read ``at`` a moment, and that was meant to be ``by`` another: sending ahead ends where plg overslept."""

    left: list[float]
    confirmed: Confirmed
    heard: list[tuple[float, list[Answer]]]
    looked: float
    by: float
    at: float

    @property
    def overslept(self) -> bool:
        """Whether what was read last had waited for plg to wake."""
        return self.at - self.by > HELD_LAG


class StepByStep:
    """A transport that never sends ahead: with several connections each step is decided anew."""

    can_send_ahead = False

    def send_ahead(
        self, departures: Sequence[Departure], clock: Clock, zero: float, pacing: Pacing, chores: Chores
    ) -> Transmitted:
        raise AssertionError("ask can_send_ahead before")


class Connection:
    """A link and its jobs in flight. Times are seconds of the run.

    ``answer_timeout``: a connection with jobs in flight that says nothing for so long (s) counts as dead.
    ``give_up_after``: so long (s) without a connection that answers, and the target counts as lost.
    """

    def __init__(
        self,
        connect: Callable[[], Link],
        jitter: random.Random,
        *,
        dialer: Dialer[Link] | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
        give_up_after: float = GIVE_UP_AFTER,
    ) -> None:
        self._connect = connect
        self._jitter = jitter
        self._dialer: Dialer[Link] = dialer or Immediate()
        self._answer_timeout, self._give_up_after = answer_timeout, give_up_after
        self._dialling = False
        self._proven = True
        self.link: Link | None = connect()
        self._flights: deque[tuple[Floats, float, int, bool]] = deque()
        """Due times, when they were sent, how many answers each job has (0: one for all of them), and whether timed."""
        self._answered, self._refused = 0, ""
        """Answers that the first job in flight has had, where it gets several, and the first error among them."""
        self.in_flight = 0
        self.awaited = 0
        self._heard_at = 0.0
        self._lost_at: float | None = None
        self._barred = False
        self._backoff = _BACKOFF_FIRST
        self.retry_at = 0.0
        self.last_words = ""

    @property
    def down(self) -> bool:
        """Whether the connection is lost and not yet back."""
        return self.link is None

    @property
    def backlog(self) -> int:
        """Bytes that the connection has not taken yet."""
        return 0 if self.link is None else self.link.backlog

    @property
    def links(self) -> list[Link]:
        """The connection, where there is one."""
        return [] if self.link is None else [self.link]

    def ready(self, now: float) -> bool:
        """Whether jobs can be handed over; reconnects when its time has come."""
        if self.link is None and now >= self.retry_at:
            self._reconnect(now)
        return self.link is not None and self.link.backlog == 0

    def given_up(self, now: float) -> bool:
        """Whether waiting on is pointless: the target has been gone for too long, or a policy keeps plg from it."""
        return self._barred or (self._lost_at is not None and now - self._lost_at > self._give_up_after)

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool:
        """Write commands; a loss shows at the next `collect`. Flights that are ``timed`` count as ``awaited``.

        True when everything was taken, so that more may follow at once.
        """
        assert self.link is not None, "send only when ready"
        if self.in_flight == 0:
            self._heard_at = now
        self._take_off(commands, now, timed)
        try:
            return self.link.gather([piece for command in commands for piece in command.pieces])
        except LinkLost as error:
            self._drop_link(now, str(error))
            return False

    @property
    def can_send_ahead(self) -> bool:
        """Whether `send_ahead` can be asked for: the connection is there and has taken all it was given."""
        return self.link is not None and not self.link.backlog

    def send_ahead(
        self, departures: Sequence[Departure], clock: Clock, zero: float, pacing: Pacing, chores: Chores
    ) -> Transmitted:
        """Write each departure at its moment and read the answers meanwhile, until the last one has left.

        It ends early, at once, with whatever is out of the ordinary: an error among the answers, a lost connection, one
        that does not take everything, or a wake-up so late that what the jobs say of their moment is `STALE`. ``zero``
        is the start of the run on the clock. Answers to timed flights are awaited; others are read at the next
        departure. Between departures, as long as there is time, pieces of the ``chores`` are done; each may end it.

        A server on this machine may have been woken by a write on this very processor: it goes first (`give_way`), or
        what was written would wait until plg sleeps.

        All of plg's work at a wake-up is in this loop, so it counts nothing that can be counted afterwards.
        """
        assert self.link is not None, "ask can_send_ahead before"
        wait, receive, send, sleep, time_of = self.link.wait, self.link.receive, self.link.send, clock.sleep, clock.now
        left: list[float] = []
        replies: list[tuple[float, Reply]] = []
        pending = self._pending()
        awaited = pending if self.awaited else 0
        patience, margin, resume = PATIENCE * pacing.tick, (1 - LEISURE) * pacing.tick, -math.inf
        fine = calm = True
        fresh, lost = False, ""
        now = by = time_of() - zero
        looked, held_until, had_its_turn = -math.inf, now, True
        try:
            for moment, data, expected, timed, _ in departures:
                while now < moment and fine:
                    ready = resume
                    if awaited > 0 and ready < held_until:
                        ready = held_until  # a timed answer on its way would be read late
                    if now >= ready and moment - now > margin:
                        if fresh:
                            clock.give_way()
                            fresh = False
                        verdict, had_its_turn = next(chores, math.inf), True
                        if verdict is None:
                            fine = False
                        else:
                            resume = verdict
                        by, now = now, time_of() - zero
                        if now - by > HELD_LAG:
                            fine = False
                        continue
                    by = ready if now < ready < moment - margin else moment
                    if awaited > 0:
                        if by - now > GLANCE:
                            by = now + GLANCE
                        wait(zero + by)
                    else:
                        sleep(by - now)
                    came = receive()
                    # The moment after the reading, never before: a job is not answered before it was executed.
                    now = looked = time_of() - zero
                    if now - by > HELD_LAG:
                        fine = False
                    for reply in came:
                        replies.append((now, reply))
                        pending -= reply[0]
                        awaited -= reply[0]
                        if reply[1] is not None or pending < 0:
                            fine = calm = False
                if not fine or now - moment > STALE:
                    break
                left.append(now)
                fine = send(data)
                fresh = True
                by, now = now, time_of() - zero
                if now - by > HELD_LAG:
                    fine = False
                pending += expected
                if timed:
                    if awaited <= 0 and (had_its_turn or resume > now):
                        held_until, had_its_turn = now + patience, False
                    awaited = pending
        except LinkLost as loss:
            lost = str(loss)
        if fresh:
            clock.give_way()
        # Only who has just looked for answers may complain that there are none.
        return self._transmitted(departures, left, replies, calm, lost, looked, by, now)

    def _transmitted(
        self,
        departures: Sequence[Departure],
        left: list[float],
        replies: list[tuple[float, Reply]],
        calm: bool,
        lost: str,
        looked: float,
        by: float,
        at: float,
    ) -> Transmitted:
        """Bring the flights up to what happened in `send_ahead`, where answers were last looked for at ``looked``.

        ``calm``: there was no error among the answers, nor more of them than were asked for.
        """
        if self.in_flight == 0 and left:
            self._heard_at = left[0]
        for moment, departure in zip(left, departures, strict=False):
            self._take_off(departure.commands, moment, departure.timed)
        confirmed = Confirmed.nothing()
        heard: list[tuple[float, list[Answer]]] = []
        if calm and not self._refused:
            confirmed = self._land(replies)
        else:
            try:
                for moment, reply in replies:
                    if not heard or heard[-1][0] != moment:
                        heard.append((moment, []))
                    self._resolve(*reply, heard[-1][1])
            except LinkLost as loss:
                lost = lost or str(loss)
        if replies:
            self._heard_at, self._proven = replies[-1][0], True
        if lost:
            self._drop_link(max(looked, *left[-1:], self._heard_at), lost)
        transmitted = Transmitted(left, confirmed, heard, looked, by, at)
        if not transmitted.overslept:
            self._check_silence(looked)
        return transmitted

    def _land(self, replies: Sequence[tuple[float, Reply]]) -> Confirmed:
        """The flights that so many good answers were for. As `_resolve`, with no object made for each."""
        flights = self._flights
        dues: list[Floats] = []
        sizes: list[int] = []
        timings: list[tuple[Floats, float]] = []
        for moment, (count, _) in replies:
            landed = 0
            while count > 0:
                due, sent_at, each, timed = flights.popleft()
                jobs = len(due)
                if not each:
                    count -= 1
                elif each > 1:
                    jobs, count = self._settled(count, jobs, each)
                else:
                    jobs, count = min(count, jobs), max(0, count - jobs)
                if jobs < len(due):
                    flights.appendleft((due[jobs:], sent_at, each, timed))
                    due = due[:jobs]
                    self.awaited += timed
                if timed:
                    self.awaited -= 1
                    timings.append((due, moment - sent_at))
                dues.append(due)
                landed += jobs
            sizes.append(landed)
        self.in_flight -= sum(sizes)
        return Confirmed(dues, [moment for moment, _ in replies], sizes, timings)

    def _settled(self, count: int, jobs: int, each: int) -> tuple[int, int]:
        """How many of so many ``jobs`` a ``count`` of answers settles, of which each job has ``each``; and what is left
        of them."""
        count += self._answered
        settled = min(jobs, count // each)
        left = count - settled * each
        self._answered = 0 if settled == jobs else left
        return settled, left - self._answered

    def _check_silence(self, now: float) -> None:
        if self.link is not None and self.in_flight and now - self._heard_at > self._answer_timeout:
            self._drop_link(now, f"no answer for {self._answer_timeout:g} s")

    def _take_off(self, commands: Sequence[Command], now: float, timed: bool) -> None:
        for command in commands:
            self._flights.append((command.due, now, command.replies, timed))
            self.in_flight += len(command.due)
            self.awaited += timed

    def _pending(self) -> int:
        """How many answers are outstanding."""
        return sum(each * len(due) or 1 for due, _, each, _ in self._flights) - self._answered

    def collect(self, now: float) -> list[Answer]:
        """What was answered since the last call, in order; after a loss everything in flight, as unknown."""
        answers: list[Answer] = []
        if self.link is not None:
            try:
                for count, error in self.link.receive():
                    self._heard_at = now
                    self._proven = True
                    self._resolve(count, error, answers)
            except LinkLost as error:
                self._drop_link(now, str(error))
            self._check_silence(now)
        if self.link is None and self._flights:
            answers += [Answer(due, at, self.last_words, unknown=True) for due, at, _, _ in self._flights]
            self._flights.clear()
            self._answered, self._refused = 0, ""
            self.in_flight = self.awaited = 0
        return answers

    def wait(self, clock: Clock, deadline: float, *, answers: bool) -> None:
        """Return at ``deadline`` of the clock, or earlier as `Link.wait` does."""
        if self.link is None:
            clock.sleep_until(deadline)
        else:
            self.link.wait(deadline, answers=answers)

    def abandon(self, now: float, why: str) -> list[Answer]:
        """Close the connection; what was in flight stays unknown."""
        if self.link is not None:
            self._drop_link(now, why)
        return self.collect(now)

    def pardon(self, seconds: float) -> None:
        """plg itself stood still for so long: the target's silence counts from then."""
        self._heard_at += seconds
        if self._lost_at is not None:
            self._lost_at += seconds

    def close(self) -> None:
        self._dialer.close()
        if self.link is not None:
            self.link.close()
            self.link = None

    def _resolve(self, count: int, error: str | None, answers: list[Answer]) -> None:
        while count > 0:
            if not self._flights:
                raise LinkLost("the server answered more than it was asked")
            due, sent_at, each, timed = self._flights[0]
            if each > 1:
                # The answers of one job, until one of them is an error or they are complete; the first error stands.
                part = min(count, each - self._answered)
                count, self._answered = count - part, self._answered + part
                self._refused = self._refused or error or ""
                if self._answered < each:
                    continue
                take, words = 1, self._refused or None
                self._answered, self._refused = 0, ""
            else:
                take, words = min(count, len(due)) if each else len(due), error
                count -= take if each else 1
            self.in_flight -= take
            if take == len(due):
                answers.append(Answer(due, sent_at, words, timed=timed))
                self._flights.popleft()
                self.awaited -= timed
            else:
                answers.append(Answer(due[:take], sent_at, words, timed=timed))
                self._flights[0] = (due[take:], sent_at, each, timed)

    def _drop_link(self, now: float, words: str) -> None:
        assert self.link is not None, "only a live link is lost"
        self.link.close()
        self.link = None
        self.last_words = words
        if self._proven or self._lost_at is None:
            self._lost_at = now
            self._backoff = _BACKOFF_FIRST
        else:
            # It let us in and hung up before it took a single job: no better than being turned away.
            self._backoff = min(self._backoff * 2, _BACKOFF_MOST)
        # Full jitter, so that many generators do not come back as one.
        self.retry_at = now + self._jitter.uniform(0, self._backoff)

    def _reconnect(self, now: float) -> None:
        if not self._dialling:
            self._dialer.start(self._connect)
            self._dialling = True
        try:
            self.link = self._dialer.poll()
        except (TargetError, LinkLost) as error:
            self._dialling = False
            self._barred = isinstance(error, TargetError) and error.kind == "forbidden"
            self.last_words = str(error)
            self._backoff = min(self._backoff * 2, _BACKOFF_MOST)
            self.retry_at = now + self._jitter.uniform(0, self._backoff)
            return
        self._dialling = self.link is None
        self._proven = False
        if self._dialling:
            self.retry_at = now + _DIALLING
