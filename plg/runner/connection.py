"""One connection under load: what is in flight on it, what was answered, and how it comes back after a loss."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence

from plg.answers import Answers
from plg.clock import Clock
from plg.pacing import Pacing
from plg.runner.dialer import Dialer
from plg.runner.recording import Floats
from plg.runner.transmit import Background, Departure, Transmitted, transmit
from plg.targets.base import TargetError
from plg.targets.channel import Channel, ChannelLost
from plg.targets.encoding import Command
from plg.targets.replies import Reply

ANSWER_TIMEOUT = 10.0
"""Seconds of silence after which a connection with jobs in flight counts as dead."""
GIVE_UP_AFTER = 15.0
"""Seconds of vain reconnecting after which the target counts as lost."""
_BACKOFF_FIRST, _BACKOFF_MOST = 0.05, 1.0
_DIALLING = 0.005
"""Seconds between looks at an attempt to connect that is under way."""


class Connection:
    """A link and its jobs in flight. Times are seconds of the run.

    ``answer_timeout`` is the silence (s) after which a connection with jobs in flight counts as dead, ``give_up_after``
    the time (s) without a connection that answers after which the target counts as lost. ``moves`` says how often the
    server has moved: after each time the connection is made anew, once all is answered that was sent.
    """

    def __init__(
        self,
        connect: Callable[[], Channel],
        jitter: random.Random,
        *,
        dialer: Dialer[Channel] | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
        give_up_after: float = GIVE_UP_AFTER,
        moves: Callable[[], int] = lambda: 0,
    ) -> None:
        self._connect = connect
        self._jitter = jitter
        self._dialer: Dialer[Channel] = dialer or Dialer()
        self._answer_timeout, self._give_up_after = answer_timeout, give_up_after
        self._dialling = False
        self._proven = True
        self._moves, self._moved = moves, moves()
        self.link: Channel | None = connect()
        self._unanswered: deque[tuple[Floats, float, int, bool]] = deque()
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
    def links(self) -> list[Channel]:
        """The connection, where there is one."""
        return [] if self.link is None else [self.link]

    def ready(self, now: float) -> bool:
        """See `Transport.ready`."""
        if self.link is not None and self._moves() != self._moved:
            if self.in_flight:
                return False
            self._drop_link(now, "another server is the master now")
        if self.link is None and now >= self.retry_at:
            self._reconnect(now)
        return self.link is not None and self.link.backlog == 0

    def given_up(self, now: float) -> bool:
        """Whether waiting on is pointless: the target has been gone for too long, or a policy keeps plg from it."""
        if self.link is not None or self._lost_at is None:
            return False
        return self._barred or now - self._lost_at > self._give_up_after

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool:
        """Write commands; a loss shows at the next `collect`. Flights that are ``timed`` count as ``awaited``.

        True when everything was taken, so that more may follow at once.
        """
        assert self.link is not None, "send only when ready"
        if self.in_flight == 0:
            self._heard_at = now
        self._note_sent(commands, now, timed)
        try:
            return self.link.gather([piece for command in commands for piece in command.pieces])
        except ChannelLost as error:
            self._drop_link(now, str(error))
            return False

    @property
    def sole(self) -> Connection | None:
        """This connection, where it is there and has taken all it was given."""
        return None if self.link is None or self.link.backlog or self._moves() != self._moved else self

    def send_ahead(
        self, departures: Sequence[Departure], clock: Clock, zero: float, pacing: Pacing, background: Background
    ) -> tuple[Transmitted, Answers]:
        """`transmit` departures, of a connection that is `sole`, and note what happened to its jobs."""
        assert self.link is not None, "ask for the sole connection first"
        pending = self._pending()
        awaited = pending if self.awaited else 0
        done = transmit(self.link, departures, clock, zero, pacing, background, pending, awaited)
        left, lost = done.left, done.lost
        if self.in_flight == 0 and left:
            self._heard_at = left[0]
        for moment, departure in zip(left, departures, strict=False):
            self._note_sent(departure.commands, moment, departure.timed)
        answers = Answers()
        try:
            self._match(done.replies, answers)
        except ChannelLost as loss:
            lost = lost or str(loss)
        if lost:
            self._drop_link(max(done.looked, *left[-1:], self._heard_at), lost)
        # Only who has just looked for answers may complain that there are none.
        if not done.overslept:
            self._check_silence(done.looked)
        return done, answers

    def collect(self, look: Callable[[], float]) -> Answers:
        """See `Transport.collect`."""
        answers = Answers()
        if self.link is not None:
            try:
                replies = self.link.receive()
                now = look()
                self._match([(now, reply) for reply in replies], answers)
                self._check_silence(now)
            except ChannelLost as error:
                self._drop_link(look(), str(error))
        if self.link is None and self._unanswered:
            self._write_off(look(), answers)
        return answers

    def abandon(self, now: float, why: str) -> Answers:
        """See `Transport.abandon`."""
        answers = Answers()
        if self.link is not None:
            self._drop_link(now, why)
        self._write_off(now, answers)
        return answers

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

    def _match(self, replies: Sequence[tuple[float, Reply]], answers: Answers) -> None:
        """Note which jobs the replies were for. Raises `ChannelLost` where there were more than were asked for."""
        unanswered, surplus, first = self._unanswered, False, len(answers)
        dues, sizes, moments = answers.dues, answers.sizes, answers.moments
        for moment, (count, error) in replies:
            while count > 0:
                if not unanswered:
                    surplus = True
                    break
                due, sent_at, each, timed = unanswered[0]
                size = jobs = len(due)
                words = error
                if not each:
                    count -= 1
                elif each == 1:
                    jobs, count = min(count, size), max(0, count - size)
                else:
                    jobs, count, words = self._complete(count, error, size, each)
                if not jobs:
                    continue
                if words is not None:
                    answers.failed[len(sizes)], answers.sent[len(sizes)] = words, sent_at
                elif timed:
                    answers.timed.append(len(sizes))
                    answers.sent[len(sizes)] = sent_at
                if jobs == size:
                    unanswered.popleft()
                    self.awaited -= timed
                else:
                    unanswered[0] = (due[jobs:], sent_at, each, timed)
                    due = due[:jobs]
                dues.append(due)
                sizes.append(jobs)
                moments.append(moment)
        if replies:
            self._heard_at, self._proven = replies[-1][0], True
        self.in_flight -= sum(sizes[first:])
        if surplus:
            raise ChannelLost("the server answered more than it was asked")

    def _complete(self, count: int, error: str | None, jobs: int, each: int) -> tuple[int, int, str | None]:
        """What a ``count`` of further answers does for the next ``jobs``, of which each has several (``each``).

        Returns how many jobs are complete now, how many answers are left for what follows, and the first error among
        those of the complete jobs.

        A job of which an answer was an error is settled by itself.
        """
        self._refused = self._refused or error or ""
        words, most = self._refused or None, 1 if self._refused else jobs
        count += self._answered
        complete = min(most, count // each)
        left = count - complete * each
        if complete == most:
            self._answered, self._refused = 0, ""
            return complete, left, words
        self._answered = left
        return complete, 0, words

    def _write_off(self, now: float, answers: Answers) -> None:
        """What is in flight was lost with the connection: it is unknown."""
        for due, *_ in self._unanswered:
            answers.unknown[len(answers)] = self.last_words
            answers.dues.append(due)
            answers.sizes.append(len(due))
            answers.moments.append(now)
        self._unanswered.clear()
        self._answered, self._refused = 0, ""
        self.in_flight = self.awaited = 0

    def _note_sent(self, commands: Sequence[Command], now: float, timed: bool) -> None:
        for command in commands:
            self._unanswered.append((command.due, now, command.replies, timed))
            self.in_flight += len(command.due)
            self.awaited += timed

    def _pending(self) -> int:
        """How many answers are outstanding."""
        return sum(each * len(due) or 1 for due, _, each, _ in self._unanswered) - self._answered

    def _check_silence(self, now: float) -> None:
        if self.link is not None and self.in_flight and now - self._heard_at > self._answer_timeout:
            self._drop_link(now, f"no answer for {self._answer_timeout:g} s")

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
            self._moved = self._moves()
            self._dialer.start(self._connect)
            self._dialling = True
        try:
            self.link = self._dialer.poll()
        except (TargetError, ChannelLost) as error:
            self._dialling = False
            self._barred = isinstance(error, TargetError) and error.kind == "forbidden"
            # To wait for a server that is not up yet is no advice once it was.
            self.last_words = error.message if isinstance(error, TargetError) and error.awaits else str(error)
            self._backoff = min(self._backoff * 2, _BACKOFF_MOST)
            self.retry_at = now + self._jitter.uniform(0, self._backoff)
            return
        self._dialling = self.link is None
        self._proven = False
        if self._dialling:
            self.retry_at = now + _DIALLING
