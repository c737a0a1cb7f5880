"""What stands in a place where jobs of many runs may lie, page by page."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from plg.dataclass import dataclass
from plg.queues.traces import Place
from plg.targets.base import TargetError
from plg.targets.client import Command
from plg.targets.faults import explain
from plg.targets.routed import Routed

_STEP, _BYTES = 500, 256 * 1024
"""Elements and bytes of a page: a few milliseconds of the server's time."""
_FIRST = 20
"""Elements of the first page: nobody knows how long they are."""
_AGAIN = 4
"""How often, on average, an element of a list may be seen, where others put in jobs meanwhile."""
_A_SECOND = 50_000
"""Commands a second at the most."""


@dataclass(frozen=True, slots=True)
class Found:
    """An element of a job of the run: of a hash the field, of a stream the id of the entry."""

    element: bytes
    seq: int


@dataclass(slots=True)
class Page:
    """One page of a place: the elements of the run. Whoever removes some of a list says how many: ``removed``.

    ``from_left``: which end of a list the page is nearer to. ``groups`` are the consumer groups of a stream.
    """

    found: list[Found]
    from_left: bool = True
    removed: int = 0
    groups: Sequence[bytes] = ()


@dataclass(slots=True)
class Server:
    """The target as whoever looks through it asks: in small steps, with a rest of the length of the step after each."""

    routed: Routed
    pause: Callable[[float], None] = time.sleep

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Answers to ``commands``. None stands for a key of another type, which is none of a queue. Raises
        `TargetError`."""
        begun = time.monotonic()
        answers = self.routed.ask(commands)
        for at, answer in enumerate(answers):
            if isinstance(answer, Exception):
                if "WRONGTYPE" not in str(answer) and "wrong kind of value" not in str(answer):
                    key = commands[at][1]
                    shown = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
                    raise explain(answer, f"{self.routed.shown}, key {shown!r},")
                answers[at] = None
        took = time.monotonic() - begun
        self.pause(max(took, len(commands) / _A_SECOND))
        return answers

    def in_steps(self, commands: Sequence[Command]) -> Iterator[Any]:
        """The answers to any number of commands."""
        for start in range(0, len(commands), _STEP):
            yield from self.ask(commands[start : start + _STEP])

    def pages(self, place: Place) -> Iterator[Page]:
        """All that is in the place. What is put in or taken out by others meanwhile may be seen or not, what is there
        all the time is seen."""
        yield from {"list": self._list, "stream": self._stream}.get(place.kind, self._scan)(place)

    def _list(self, place: Place) -> Iterator[Page]:
        """From the end that jobs are put in at: what is taken from the other end moves nothing on the way there.

        What is put in meanwhile is moved over what was seen before, and seen again.
        """
        offset, size, left, seen, most = 0, _FIRST, place.worker == "right", 0, math.inf
        while seen <= most:
            first, last = (offset, offset + size - 1) if left else (-offset - size, -offset - 1)
            length, values = self.ask((("LLEN", place.key), ("LRANGE", place.key, first, last)))
            if not values:
                return
            most = _AGAIN * (length + _STEP) if most == math.inf else most
            seen += len(values)
            page = Page(self._mine(place, [(value, value) for value in values]), left == (offset <= length / 2))
            yield page
            offset += len(values) - page.removed
            size = max(1, min(_STEP, _BYTES * len(values) // max(1, sum(map(len, values)))))
        words = f"jobs are put into {place.key!r} faster than plg looks through it"
        raise TargetError("refused", f"{self.routed.shown}: {words}", "try again when it is calmer")

    def _scan(self, place: Place) -> Iterator[Page]:
        cursor, command = b"0", {"zset": "ZSCAN", "hash": "HSCAN", "set": "SSCAN"}[place.kind]
        while True:
            [answer] = self.ask(((command, place.key, cursor, "COUNT", _STEP),))
            if answer is None:
                return
            cursor, flat = answer
            pairs = zip(flat[::2], flat[1::2], strict=True)
            told = {"hash": pairs, "zset": ((member, member) for member, _ in pairs)}
            yield Page(self._mine(place, list(told.get(place.kind, ((member, member) for member in flat)))))
            if cursor == b"0":
                return

    def _stream(self, place: Place) -> Iterator[Page]:
        groups = self.groups(place.key)
        held = {entry for group in groups for entry in self._pending(place.key, group)}
        after, size = "-", _FIRST
        [last] = self.ask((("XREVRANGE", place.key, "+", "-", "COUNT", 1),))
        while last:
            # Not what comes meanwhile: that might go on for ever.
            [entries] = self.ask((("XRANGE", place.key, after, last[0][0], "COUNT", size),))
            if not entries:
                return
            size = _STEP
            found = self._mine(place, [(entry, value_of(fields)) for entry, fields in entries])
            kept = [each for each in found if (each.element in held) == place.held]
            yield Page(kept, groups=groups)
            after = _next(entries[-1][0])

    def groups(self, key: str) -> list[bytes]:
        """The consumer groups of a stream; none where there is no stream."""
        answer = self.routed.ask((("XINFO", "GROUPS", key),))[0]
        if isinstance(answer, Exception):
            if "no such key" in str(answer).lower() or "wrong kind of value" in str(answer):
                return []
            raise explain(answer, f"{self.routed.shown}, key {key!r},")
        return [dict(zip(fields[::2], fields[1::2], strict=True))[b"name"] for fields in answer]

    def _pending(self, key: str, group: bytes) -> Iterator[bytes]:
        """The entries that consumers of a group were given and have not acknowledged."""
        after = "-"
        while True:
            [rows] = self.ask((("XPENDING", key, group, after, "+", _STEP),))
            if not rows:
                return
            yield from (row[0] for row in rows)
            after = _next(rows[-1][0])

    def _mine(self, place: Place, pairs: Sequence[tuple[bytes, bytes]]) -> list[Found]:
        if place.messages is not None and pairs:
            [messages] = self.ask((("HMGET", place.messages, *(element for element, _ in pairs)),))
            given = zip(pairs, messages or [None] * len(pairs), strict=True)
            pairs = [(element, message) for (element, _), message in given if message is not None]
        told = ((element, place.mine(element, value)) for element, value in pairs)
        return [Found(element, seq) for element, seq in told if seq is not None]


def value_of(fields: Sequence[bytes] | None) -> bytes:
    """What an entry of a stream holds: the value of its only field, or all of them with zero bytes between."""
    told = fields or ()
    return told[1] if len(told) == 2 else b"\0".join(told)


def _next(entry: bytes) -> str:
    """The id after that of an entry."""
    milliseconds, _, sequence = entry.decode().partition("-")
    return f"{milliseconds}-{int(sequence) + 1}"
