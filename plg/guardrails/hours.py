"""Hours of the week in which load is allowed, such as ``Mon-Fri 09:00-17:30``, in a time zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from plg.dataclass import dataclass

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPAN = re.compile(r"(?:([A-Za-z, -]+?)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_DAY = 24 * 60
EXAMPLE = "for example Mon-Fri 09:00-17:30, Sat,Sun 10:00-12:00, or 22:00-06:00 for every night"


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of minutes on some days (Monday is 0). One that ends before it begins goes on into the next day."""

    days: tuple[int, ...]
    begin: int
    end: int
    text: str

    @staticmethod
    def read(text: str) -> Hours:
        """The hours in a text. Raises `ValueError` with what is wrong."""
        match = _SPAN.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} are no hours")
        begin, end = (int(match[at]) * 60 + int(match[at + 1]) for at in (2, 4))
        if int(match[3]) > 59 or int(match[5]) > 59 or begin >= _DAY or end > _DAY:
            raise ValueError(f"{text!r} holds a time that no day has")
        if begin == end:
            raise ValueError(f"{text!r} is no time at all (00:00-24:00 is the whole day)")
        return Hours(_days(match[1], text), begin, end, text.strip())

    def minutes(self, day: int) -> tuple[tuple[int, int], ...]:
        """The spans that lie on a day of the week, of which one may come from the day before."""
        spans = []
        if day in self.days:
            spans.append((self.begin, self.end if self.end > self.begin else _DAY))
        if self.end < self.begin and (day - 1) % 7 in self.days:
            spans.append((0, self.end))
        return tuple(spans)


def _days(text: str | None, whole: str) -> tuple[int, ...]:
    if text is None:
        return tuple(range(7))
    found: set[int] = set()
    for part in text.split(","):
        ends = [_day(name, whole) for name in part.strip().split("-")]
        if len(ends) > 2:
            raise ValueError(f"{whole!r} are no hours")
        first, last = ends[0], ends[-1]
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return tuple(sorted(found))


def _day(name: str, whole: str) -> int:
    short = name.strip().title()[:3]
    if short not in DAYS or not name.strip().isalpha():
        raise ValueError(f"{whole!r} holds {name.strip()!r}, which is no day")
    return DAYS.index(short)


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises `ValueError`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called {name!r}") from None


def outside(hours: Sequence[Hours], place: str, start: float, lasting: float) -> float | None:
    """The first moment (s since the epoch) of a stretch at which none of ``hours`` holds; None where they all do."""
    where, moment, end = zone(place), start, start + lasting
    while True:
        closes = _closes(hours, where, moment)
        if closes is None:
            return moment
        if closes >= end:
            return None
        moment = closes


def _closes(hours: Sequence[Hours], where: tzinfo, moment: float) -> float | None:
    """When the hours that hold at a moment end; None where none do."""
    now = datetime.fromtimestamp(moment, where)
    at = now.hour * 60 + now.minute + (now.second + now.microsecond / 1e6) / 60
    ends = [end for each in hours for begin, end in each.minutes(now.weekday()) if begin <= at < end]
    if not ends:
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    last = max(ends)
    # By the wall clock of the place, which jumps where summer time begins or ends.
    closing = (midnight + timedelta(days=last // _DAY)).replace(hour=last % _DAY // 60, minute=last % 60)
    return max(closing.timestamp(), moment + 1e-3)


def shown(moment: float, place: str) -> str:
    """A moment for people: ``Sat 18:05 Europe/Berlin``."""
    now = datetime.fromtimestamp(moment, zone(place))
    return f"{DAYS[now.weekday()]} {now:%H:%M} {place}"
