"""A common moment to start at, for generators that run one schedule together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from plg.clock import Clock
from plg.dataclass import dataclass
from plg.stop import Stop
from plg.units import format_duration, parse_duration, plain_digits

TOO_LATE = 1.0
"""Seconds by which a start may lie in the past: what a command takes to begin, not more."""
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Start:
    """When the schedule begins: ``wall`` in seconds since the Unix epoch, ``at`` on the monotonic clock.

    The two are related once, when the moment is read, so that a correction of the wall clock does not move the start.
    """

    wall: float
    at: float

    def text(self) -> str:
        """The moment in UTC by ISO 8601, to the millisecond."""
        return utc(self.wall)


def utc(wall: float) -> str:
    """Seconds since the epoch as UTC by ISO 8601, to the millisecond."""
    return datetime.fromtimestamp(round(wall, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_start(text: str, clock: Clock) -> Start:
    """``2026-11-23T18:30:05Z`` (any offset; none means UTC) or ``+5s``. Raises `ValueError` with a sentence."""
    now, wall = clock.now(), clock.wall()
    if text.startswith("+"):
        try:
            ahead = parse_duration(text[1:])
        except ValueError as fault:
            written = plain_digits(text)
            why = f"write {written}" if written != text else str(fault)
            raise ValueError(f"{text!r} is no time to start at: {why}") from None
        return Start(wall + ahead, now + ahead)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        written = plain_digits(text)
        raise ValueError(f"{text!r} is no time to start at" + f": write {written}" * (written != text)) from None
    given = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if wall - given > TOO_LATE:
        raise ValueError(f"the start {text} is {format_duration(round(wall - given, 1))} in the past")
    return Start(given, now + given - wall)


def wait_until(moment: float, clock: Clock, interrupted: Callable[[], Stop | None]) -> Stop | None:
    """Sleep until ``moment`` of the clock. Returns the stop that ended the wait early, if one did."""
    while (left := moment - clock.now()) > 0:
        found = interrupted()
        if found:
            return found
        clock.sleep_until(clock.now() + min(left, _LOOK))
    return interrupted()
