"""What the runner needs of a target, and how one fails."""

from __future__ import annotations

import socket
from dataclasses import field
from typing import TYPE_CHECKING, Literal, Protocol

from plg.dataclass import dataclass
from plg.queues.base import Change

if TYPE_CHECKING:
    from plg.queues.use import QueueInUse
    from plg.targets.address import Address
    from plg.targets.cluster import Cluster
    from plg.targets.slots import Node


Kind = Literal["refused", "unreachable", "lost", "missing", "forbidden"]


class TargetError(Exception):
    """The target refused, could not be reached, or was lost. The message holds the server's own words.

    ``forbidden`` is what a policy does not allow. ``advice`` follows the ``message`` in brackets. ``passing``: the
    server may only need more time. ``awaits``: to wait for that is the advice, which is none where it was waited for,
    or where the server was there before.
    """

    def __init__(
        self, kind: Kind, message: str, advice: str = "", *, passing: bool = False, awaits: bool = False
    ) -> None:
        super().__init__(f"{message} ({advice})" if advice else message)
        self.kind, self.message, self.advice, self.passing, self.awaits = kind, message, advice, passing, awaits


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers: ``name`` is redis, valkey, fakeredis …; ``url`` has its password redacted.

    ``kind`` is how it was reached: url, sentinel, cluster, embedded or fake.

    ``nodes``: how many hold slots, where it is a cluster; else 1.
    """

    kind: str
    url: str
    name: str
    version: str
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Depth:
    """Jobs waiting over all queues of a scenario, and the age (s) of the oldest.

    Where that cannot be known it is None, and ``at_least`` the greatest age that is known of. ``untaken`` of them no
    worker has been given; None: all. ``in_flight`` are with a worker, ``delayed`` not due yet and ``dead`` have
    failed for good, where the framework keeps that in Redis; None where it does not, or one of several does not.
    ``workers`` are the names of those alive, where they were asked for.
    ``change`` is what became of the queues since the look before.
    """

    waiting: int
    oldest_age: float | None
    at_least: float = 0.0
    untaken: int | None = None
    in_flight: int | None = None
    dead: int | None = None
    change: Change = field(default=Change(), compare=False)
    delayed: int | None = None
    workers: frozenset[str] | None = None

    @property
    def not_taken(self) -> int:
        """Jobs that no worker has been given."""
        return self.waiting if self.untaken is None else self.untaken


class QueueProbe(Protocol):
    """Looks at the queues over a connection of its own. Blocking; used from a thread beside the schedule."""

    def rehearse(self) -> TargetError | None:
        """Ask all that a look may come to ask; what was refused where that hides the age of some jobs alone.

        Raises `TargetError` where this user may not look at all, now or later.
        """

    def look(self) -> Depth:
        """Raises `TargetError` when the server does not answer in time."""

    def count_workers(self, every: float) -> None:
        """From now on look also at who works at the queues, every so many seconds."""

    def close(self) -> None: ...


class Target(Protocol):
    """An open target."""

    @property
    def server(self) -> Server: ...

    @property
    def url(self) -> str:
        """What another client connects to, password included: for workers, never for people or files."""

    @property
    def address(self) -> Address:
        """Where it listens, with what judges each connection to it."""

    @property
    def private(self) -> bool:
        """Whether the server was started for this run, so that nobody else can have a queue there."""

    @property
    def queues(self) -> tuple[QueueInUse, ...]:
        """The queues that the scenario's jobs go to."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the server that a person should read, one sentence each."""

    @property
    def cluster(self) -> Cluster | None:
        """The cluster that the server is a node of; None for a server of its own."""

    def connect(self, node: Node | None = None) -> socket.socket:
        """A fresh connection, to a ``node`` of the cluster where one is given.

        Authenticated, database selected, over TLS where asked, ready for raw RESP2 commands. The caller owns the socket
        and makes it non-blocking. Raises `TargetError`.
        """

    def announce(self) -> None:
        """Writes what a framework's client writes once before its first job. Raises `TargetError`."""

    def probe(self) -> QueueProbe: ...

    def close(self) -> None:
        """Ends what `open_target` started (the embedded server with its folder); touches nothing in the queues."""
