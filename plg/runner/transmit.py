"""The inner loop: prepared departures go out at their moments, and answers are read meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from plg.clock import Clock
from plg.pacing import GLANCE, HELD_LAG, Pacing
from plg.targets.channel import Channel, ChannelLost
from plg.targets.encoding import Command
from plg.targets.replies import Reply

STALE = 0.001
"""A departure made ahead tells jobs the moment it was meant for; later than this (s) it is made anew."""
PATIENCE = 4
"""Ticks for which other work that is due holds back because a timed answer is on its way."""
LEISURE = 0.3
"""So much of a tick may have gone by when a piece of other work begins; it must be done before the next departure."""

Background = Iterator[float | None]
"""Work in pieces for when there is time. After each piece: from when on (s of the run) the next one may be done, or
None where nothing may go on as before."""


class Departure(NamedTuple):
    """Commands made ahead, to be written together as ``data`` at a ``moment`` (s of the run).

    ``replies`` is the number of answers they will have; ``timed`` as in `Transport.send`.
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


class Transmitted(NamedTuple):
    """What became of departures: when the first of them ``left`` (s of the run), the ``replies`` with the moments at
    which they were read, why the connection was ``lost`` (empty: it was not), and when replies were last ``looked`` for
    (minus infinity: never). The clock was last read ``at`` a moment, and that was meant to be ``by`` another: sending
    ahead ends where plg overslept."""

    left: list[float]
    replies: list[tuple[float, Reply]]
    lost: str
    looked: float
    by: float
    at: float

    @property
    def overslept(self) -> bool:
        """Whether what was read last had waited for plg to wake."""
        return self.at - self.by > HELD_LAG


def transmit(
    link: Channel,
    departures: Sequence[Departure],
    clock: Clock,
    zero: float,
    pacing: Pacing,
    background: Background,
    pending: int,
    awaited: int,
) -> Transmitted:
    """Write each departure at its moment and read the answers meanwhile, until the last one has left.

    It ends early, at once, with whatever is out of the ordinary: an error among the answers, a lost connection, one
    that does not take everything, or a wake-up so late that what the jobs say of their moment is `STALE`. ``zero``
    is the start of the run on the clock. Of the ``pending`` answers the first ``awaited`` are waited for, and those
    of timed departures; others are read at the next departure. In between, as long as there is time, pieces of the
    ``background`` are done; each may end it.

    A server on this machine may have been woken by a write on this very processor: it goes first (`give_way`), or
    what was written would wait until plg sleeps.

    All of plg's work at a wake-up is in this loop, so it counts nothing that can be counted afterwards.
    """
    wait, receive, send, sleep, time_of = link.wait, link.receive, link.send, clock.sleep, clock.now
    left: list[float] = []
    replies: list[tuple[float, Reply]] = []
    patience, margin, resume = PATIENCE * pacing.tick, (1 - LEISURE) * pacing.tick, -math.inf
    fine, fresh, lost = True, False, ""
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
                    verdict, had_its_turn = next(background, math.inf), True
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
                        fine = False
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
    except ChannelLost as loss:
        lost = str(loss)
    if fresh:
        clock.give_way()
    return Transmitted(left, replies, lost, looked, by, now)
