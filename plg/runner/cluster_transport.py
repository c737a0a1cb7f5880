"""A cluster as one transport: each job goes to the node that holds its queue, also after slots have moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

from plg.answers import Answers
from plg.dataclass import dataclass
from plg.runner.dialer import Dialer
from plg.runner.transport import Several, Transport
from plg.targets.base import TargetError
from plg.targets.channel import ChannelLost
from plg.targets.encoding import Command
from plg.targets.slots import Node, SlotMap

PATIENCE = 0.5
"""Seconds for which jobs wait until the cluster has said where a slot that was not where it should be is now."""
PAUSE = 0.05
"""Least seconds between two surveys of the slots."""
RETRY = 0.25
"""Seconds between surveys while a node is lost, or no node answers."""
_LOOK = 0.002
"""Seconds between looks at a survey under way while jobs wait for it."""


class Holders(Protocol):
    """Who holds which queue (`plg.targets.cluster.Cluster`)."""

    slots: SlotMap

    def holdings(self) -> Mapping[Node, Sequence[str]]: ...
    def survey(self, stale: SlotMap, hint: Node | None = None) -> SlotMap: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a survey brought: who holds which queue, and transports to nodes that had none."""

    slots: SlotMap
    holdings: Mapping[Node, Sequence[str]]
    opened: dict[Node, Transport]

    def close(self) -> None:
        for transport in self.opened.values():
            transport.close()


class ClusterTransport(Several):
    """One transport to each node that holds a queue, as one. Nothing is sent while one of them is down or full.

    A job refused with MOVED has failed and is never sent again; those after it wait until the slots have been asked for
    anew. The same is done while a node is lost: another may have taken its slots. Asking and connecting are the
    ``dialer``'s, so that no time of the schedule is spent on them.
    """

    def __init__(self, cluster: Holders, open_transport: Callable[[Node], Transport], dialer: Dialer[Found]) -> None:
        self._cluster, self._open_transport, self._dialer = cluster, open_transport, dialer
        self._slots = cluster.slots
        self._transports: dict[Node, Transport] = _opened(open_transport, tuple(cluster.holdings()))
        self._home = {key: node for node, keys in cluster.holdings().items() for key in keys}
        self._retired: list[Transport] = []
        self._asking = self._wanted = self._holding = False
        self._next_survey = self._look_at = 0.0
        self._settled_at = float("-inf")
        self._misled_at: float | None = None
        self._hint: Node | None = None
        self._barred = ""
        """Why a policy keeps plg from a node that jobs would have to go to."""

    @property
    def down(self) -> bool:
        """Whether a node that holds a queue is lost or barred, or jobs wait to learn who does."""
        return bool(self._barred) or self._holding or any(transport.down for transport in self._transports.values())

    @property
    def backlog(self) -> int:
        return sum(transport.backlog for transport in self._transports.values())

    @property
    def retry_at(self) -> float:
        moments = [transport.retry_at for transport in self._transports.values() if transport.down]
        return min([*moments, self._look_at] if self._holding else moments, default=0.0)

    @property
    def last_words(self) -> str:
        if self._barred:
            return self._barred
        lost = [f"{node}: {transport.last_words}" for node, transport in self._transports.items() if transport.down]
        return lost[0] if lost else "no node of the cluster said where its slots are" if self._holding else ""

    def ready(self, now: float) -> bool:
        self._attend(now)
        # Each is asked, for it may reconnect then.
        states = [transport.ready(now) for transport in self._transports.values()]
        self._holding = self._misled_at is not None and now - self._misled_at < PATIENCE
        self._look_at = now + _LOOK
        return all(states) and not self.down

    def given_up(self, now: float) -> bool:
        down = (transport for transport in self._transports.values() if transport.down)
        return bool(self._barred) or any(transport.given_up(now) for transport in down)

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool:
        parts: dict[Node, list[Command]] = {}
        for command in commands:
            parts.setdefault(self._home[command.key], []).append(command)
        clear = [self._transports[node].send(part, now, timed=timed) for node, part in parts.items()]
        return all(clear)

    def collect(self, look: Callable[[], float]) -> Answers:
        answers = Answers()
        for node, transport in self._transports.items():
            came = transport.collect(look)
            for row, error in came.failed.items():
                self._on_failure(error, came.sent[row], node, came.moments[row])
            answers.extend(came)
        for transport in self._retired:
            answers.extend(transport.collect(look))
            if transport.in_flight == 0:
                transport.close()
        self._retired = [transport for transport in self._retired if transport.in_flight]
        return answers

    def close(self) -> None:
        self._dialer.close()
        super().close()

    def _all(self) -> Iterator[Transport]:
        yield from self._transports.values()
        yield from self._retired

    def _on_failure(self, error: str, sent_at: float, asked: Node, now: float) -> None:
        if sent_at <= self._settled_at:
            return  # sent by a map that has been replaced since
        if error.startswith("MOVED "):
            self._hint = Node.named_in(error, asked)
            self._misled_at = now if self._misled_at is None else self._misled_at
            self._wanted = True
        elif error.startswith(("ASK ", "CLUSTERDOWN", "TRYAGAIN")):
            # The slot is on its way, or no node's: what the cluster says may not have changed yet.
            self._wanted = True

    def _attend(self, now: float) -> None:
        """Begin a survey that is due; take up what one has brought."""
        lost = any(transport.down for transport in self._transports.values())
        if not self._asking and (self._wanted or lost) and now >= self._next_survey:
            stale, hint, known = self._slots, self._hint, frozenset(self._transports)
            self._dialer.start(lambda: self._survey(stale, hint, known))
            self._asking, self._wanted, self._hint = True, False, None
        if not self._asking:
            return
        try:
            found = self._dialer.poll()
        except (TargetError, ChannelLost) as error:
            if isinstance(error, TargetError) and error.kind == "forbidden":
                self._barred = str(error)
            self._asking, self._wanted = False, self._wanted or self._misled_at is not None
            self._next_survey = now + RETRY
            return
        if found is not None:
            self._asking = False
            self._next_survey = now + (RETRY if lost else PAUSE)
            self._take_up(found, now)

    def _survey(self, stale: SlotMap, hint: Node | None, known: frozenset[Node]) -> Found:
        slots = self._cluster.survey(stale, hint)
        holdings = self._cluster.holdings()
        return Found(slots, holdings, _opened(self._open_transport, [node for node in holdings if node not in known]))

    def _take_up(self, found: Found, now: float) -> None:
        transports = self._transports | found.opened
        self._transports = {node: transports.pop(node) for node in found.holdings}
        self._retired += transports.values()
        self._home = {key: node for node, keys in found.holdings.items() for key in keys}
        self._slots = found.slots
        self._settled_at, self._misled_at, self._wanted = now, None, False


def _opened(open_transport: Callable[[Node], Transport], nodes: Sequence[Node]) -> dict[Node, Transport]:
    """A transport to each node; where one cannot be had, none stays open."""
    transports: dict[Node, Transport] = {}
    with ExitStack() as undo:
        for node in nodes:
            transports[node] = open_transport(node)
            undo.callback(transports[node].close)
        undo.pop_all()
    return transports
