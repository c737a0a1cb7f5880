"""Where the reference consumers take their jobs from: lists by BRPOP or BLPOP, streams by a consumer group."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.faults import own_words

GROUP = "plg"
"""The consumer group that streams are read with."""
_BLOCK = 0.1
"""Seconds that one of up to ten consumers waits at empty queues before it looks whether it should stop."""
_GLANCE = 0.01
"""The same where lists and streams are both watched, or several nodes: one cannot wait for all at once."""
_LONGEST_BLOCK = 1.0

_POPS = {"pop": "BRPOP", "pop_left": "BLPOP"}

Taken = tuple[bytes, tuple[str, bytes] | None]
"""A job and, for a stream, what acknowledges it."""


class Jobs(Protocol):
    """What a consumer needs of the place its jobs come from. All of it may raise `TargetError`."""

    @property
    def holds_more(self) -> bool:
        """Whether entries were delivered to this consumer that it has yet to work on."""

    def open(self) -> None:
        """Connects, and sees that the server answers."""

    def take(self) -> Taken | None:
        """The next job; None when nothing came in a while."""

    def acknowledge(self, key: str, entry: bytes) -> None:
        """The job of a stream's entry is done."""

    def close(self) -> None: ...


class Source:
    """Takes the next job from any of the queues of one server, in turn, so that none of them starves.

    ``alone``: nobody looks elsewhere for jobs in the meantime, so that waiting at empty queues delays none.
    """

    def __init__(
        self, name: str, client: Client, queues: Sequence[tuple[str, str]], peers: int, *, alone: bool = True
    ) -> None:
        self._name = name
        self._client = client
        self._lists = [key for key, kind in queues if kind in _POPS]
        self._pops = {key: _POPS[kind] for key, kind in queues if kind in _POPS}
        self._streams = [key for key, kind in queues if kind == "group"]
        # The more there are, the longer each waits: together they ask an idle server about as often as ten would.
        self._glance = min(_BLOCK, _GLANCE * max(1.0, peers / 10))
        self._block = min(_LONGEST_BLOCK, _BLOCK * max(1.0, peers / 10)) if alone else self._glance
        self._turn = 0
        self._streams_first = False
        self._held: deque[tuple[bytes, tuple[str, bytes]]] = deque()

    @property
    def holds_more(self) -> bool:
        """Whether entries were delivered to this consumer that it has yet to work on."""
        return bool(self._held)

    def give_up_held(self) -> list[Taken]:
        """The entries that were delivered and not yet taken; they are no longer held here."""
        held = list(self._held)
        self._held.clear()
        return [*held]

    def open(self) -> None:
        """See `Jobs.open`."""
        self._client.ask([("PING",)])

    def close(self) -> None:
        self._client.close()

    def take_waiting(self) -> Taken | None:
        """A job that is there now; None, at once, where there is none."""
        if self._held:
            return self._held.popleft()
        taken: Taken | None = self._from_streams(None) if self._streams else None
        if taken is None and self._lists and self._lists_hold_jobs():
            taken = self._from_lists(self._glance)
        return taken

    def take(self) -> Taken | None:
        """See `Jobs.take`."""
        if self._held:
            return self._held.popleft()
        if not self._streams:
            return self._from_lists(self._block)
        if not self._lists:
            return self._from_streams(self._block)
        self._streams_first = not self._streams_first
        if self._streams_first or not self._lists_hold_jobs():
            taken = self._from_streams(None)
            if taken is not None:
                return taken
        return self._from_lists(self._glance)

    def _lists_hold_jobs(self) -> bool:
        return any(length != 0 for length in self._client.ask([("LLEN", key) for key in self._lists]))

    def _from_lists(self, block: float) -> tuple[bytes, None] | None:
        self._turn += 1
        first = self._turn % len(self._lists)  # the command serves the first of its keys that holds something
        keys = self._lists[first:] + self._lists[:first]
        pop = self._pops[keys[0]]
        # Where lists are taken from at both ends, one command serves those of one end, and the next turn the others.
        own = [key for key in keys if self._pops[key] == pop]
        answer = self._ask(pop, *own, block if len(own) == len(keys) else self._glance)
        return (answer[1], None) if answer else None

    def _from_streams(self, block: float | None) -> tuple[bytes, tuple[str, bytes]] | None:
        """One read may bring an entry from each stream: those beyond the first are held for the next calls."""
        answer = self._ask(
            "XREADGROUP", "GROUP", GROUP, self._name, "COUNT", 1, *(("BLOCK", round(block * 1e3)) if block else ()),
            "STREAMS", *self._streams, *[">"] * len(self._streams),
        )  # fmt: skip
        for key, entries in answer or ():
            self._held += [(_job_in(fields), (key.decode(), entry)) for entry, fields in entries]
        return self._held.popleft() if self._held else None

    def acknowledge(self, key: str, entry: bytes) -> None:
        self._ask("XACK", key, GROUP, entry)

    def _ask(self, *command: Any) -> Any:
        [answer] = self._client.ask([command])
        if not isinstance(answer, Exception):
            return answer
        words = own_words(answer)
        if words.startswith("NOGROUP"):  # the stream was deleted, and its group with it
            make_groups(self._client, self._streams)
            return None
        raise TargetError("refused", f"the consumers' {command[0]} was refused: {words}")


FIRST, NEXT = "0", "$"
"""Where a group begins to read: with all that the stream holds, or with what is added from now on."""


def make_groups(client: Client, streams: Sequence[str], begin: str = FIRST) -> None:
    """Makes the consumers' group on each stream, ``begin`` on; one that is there already stays as it is."""
    for key in streams:
        [answer] = client.ask([("XGROUP", "CREATE", key, GROUP, begin, "MKSTREAM")])
        words = own_words(answer) if isinstance(answer, Exception) else ""
        if words and "BUSYGROUP" not in words:
            raise TargetError("refused", f"the consumers cannot read the stream {key!r}: {words}")


def _job_in(fields: Sequence[bytes] | None) -> bytes:
    """The job among the fields of a stream's entry: the value of the first, as plg writes only one."""
    return fields[1] if fields else b""
