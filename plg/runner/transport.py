"""What jobs are sent over, and what holds for several of them taken as one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from plg.answers import Answers
from plg.clock import Clock
from plg.targets.channel import Channel
from plg.targets.encoding import Command

if TYPE_CHECKING:
    from plg.runner.connection import Connection


class Transport(Protocol):
    """One `Connection`, or several as one. Times are seconds of the run.

    ``in_flight`` jobs have no answer yet; ``awaited`` counts the commands among theirs that are timed. ``backlog`` is
    the number of bytes that were not taken yet. While it is ``down`` nothing can be sent: it is to be asked again at
    ``retry_at``, and ``last_words`` tell why. ``links`` are the open connections.
    """

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
    def links(self) -> list[Channel]: ...

    @property
    def sole(self) -> Connection | None:
        """The only connection, where it is up and has taken all it was given; None where each step is decided anew."""

    def ready(self, now: float) -> bool:
        """Whether jobs can be handed over; reconnects what is lost when its time has come."""

    def given_up(self, now: float) -> bool:
        """Whether waiting on is pointless: the target has been gone for too long, or a policy keeps plg from it."""

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool:
        """Write commands; a loss shows at the next `collect`. Commands that are ``timed`` count as ``awaited``.

        True when everything was taken, so that more may follow at once.
        """

    def collect(self, look: Callable[[], float]) -> Answers:
        """What was answered since the last call; after a loss everything in flight, as unknown.

        ``look`` tells the moment. It is called after the reading, never before: a job is not answered before it was
        executed.
        """

    def abandon(self, now: float, why: str) -> Answers:
        """Close what is open; what was in flight is unknown."""

    def pardon(self, seconds: float) -> None:
        """plg itself stood still for so long: the target's silence does not count for that time."""

    def close(self) -> None: ...


def wait_on(links: Sequence[Channel], clock: Clock, deadline: float, *, answers: bool) -> None:
    """Return at ``deadline`` of the clock, or earlier as `Channel.wait` does for any of ``links``, all of one kind."""
    if links:
        links[0].wait(deadline, answers=answers, others=links[1:])
    else:
        clock.sleep_until(deadline)


class Several:
    """What is common to transports that are made of others: sums over all of them, and each step decided anew."""

    sole = None

    @abstractmethod
    def _all(self) -> Iterable[Transport]: ...

    @property
    def in_flight(self) -> int:
        return sum(transport.in_flight for transport in self._all())

    @property
    def awaited(self) -> int:
        return sum(transport.awaited for transport in self._all())

    @property
    def links(self) -> list[Channel]:
        return [link for transport in self._all() for link in transport.links]

    def abandon(self, now: float, why: str) -> Answers:
        answers = Answers()
        for transport in self._all():
            answers.extend(transport.abandon(now, why))
        return answers

    def pardon(self, seconds: float) -> None:
        for transport in self._all():
            transport.pardon(seconds)

    def close(self) -> None:
        for transport in self._all():
            transport.close()
