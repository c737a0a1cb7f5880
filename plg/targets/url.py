"""A Redis, Valkey or anything that speaks their protocol, by URL."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import ClassVar, Self

from plg.queues.base import Job
from plg.queues.use import KeyConflict, QueueInUse, queues_of
from plg.targets.address import Address, parse_address
from plg.targets.asked import Alone, Asked, Nodes
from plg.targets.base import QueueProbe, Server, TargetError
from plg.targets.client import Client
from plg.targets.cluster import Cluster
from plg.targets.cluster_fit import refuse_split
from plg.targets.cluster_probe import ClusterProbe
from plg.targets.faults import explain
from plg.targets.gate import Gate
from plg.targets.ownership import heed_owners
from plg.targets.preflight import Findings, greet, inspect, key_of, may_be_cluster
from plg.targets.probe import RedisProbe
from plg.targets.routed import Routed
from plg.targets.slots import Node

_SILENT_CLUSTER = (
    "the server is a node of a cluster and does not tell of the others: plg writes to this node alone, and looks there "
    "alone whose the queues are"
)

_SHARE = 0.4
"""Of the time that opening may take, what the look for the marks of frameworks gets."""


class UrlTarget:
    """An open target at an address. Opening connects, and raises `TargetError` where the jobs cannot be written.

    ``url`` is what another client connects to, password included: for workers, never for people or files. With
    ``force`` jobs are also written to queues that belong to a framework.
    """

    kind: ClassVar[str] = "url"
    private: ClassVar[bool] = False
    """Whether the server was started for this run, so that nobody else can have a queue there."""

    def __init__(
        self,
        where: str,
        jobs: Sequence[Job],
        *,
        connect_timeout: float = 5.0,
        gate: Gate | None = None,
        force: bool = False,
    ) -> None:
        self._force = force
        self._queues = _queues(jobs)
        self._address = parse_address(where, gate)
        self._connect_timeout = self._address.connect_timeout or connect_timeout
        self._cluster: Cluster | None = None
        self._findings = self._look_round()

    def _look_round(self) -> Findings:
        client = self._client(self._address)
        try:
            facts = greet(client)
            if may_be_cluster(facts):
                self._cluster = Cluster.found_by(client, [queue.key for queue in self._queues])
            if self._cluster is None or not self._queues:
                found = inspect(client, facts, self._queues)
                alone = self._cluster is None and facts.get("cluster_enabled") == "1"
                owned = self._heed_owners(None if self.private else Alone(client))
                return replace(found, notes=(*found.notes, *[_SILENT_CLUSTER] * alone, *owned))
        finally:
            client.close()
        refuse_split(self._queues, self._address.shown)
        found = _together([self._look_at(node) for node in self._nodes_of_all_keys()])
        addresses = [self._cluster.address(node) for node in self._cluster.slots.nodes]
        nodes = Nodes(addresses, self._cluster.holder, self._client)
        try:
            return replace(found, notes=(*found.notes, *self._heed_owners(nodes)))
        finally:
            nodes.close()

    def _heed_owners(self, asked: Asked | None) -> tuple[str, ...]:
        hide, patience = self._address.hide, self._connect_timeout * _SHARE
        remarks = heed_owners(self._queues, asked, self._address.shown, force=self._force, patience=patience)
        return tuple(map(hide, remarks))

    def _nodes_of_all_keys(self) -> list[Node]:
        """The nodes that hold queues, and those that hold what is written beside their jobs."""
        assert self._cluster is not None, "only a cluster has nodes"
        slots = self._cluster.slots
        written = [key_of(command) for queue in self._queues for command in queue.announcement()]
        others = [slots.owner(key) for key in (*(key for queue in self._queues for key in queue.keys), *written)]
        return list(dict.fromkeys((*self._cluster.holdings(), *filter(None, others))))

    def _look_at(self, node: Node) -> Findings:
        """What is found at one node of a cluster, each remark with the node's name."""
        assert self._cluster is not None, "only a cluster has nodes"
        slots = self._cluster.slots
        client = self._client(self._cluster.address(node))
        try:
            facts = greet(client)
            found = inspect(client, facts, self._queues, lambda key: slots.owner(key) == node)
        finally:
            client.close()
        return replace(found, notes=tuple(f"{node}: {note}" for note in found.notes))

    def _client(self, address: Address) -> Client:
        """A connection that gets the timeout for all it does: a server that is slow at each step is slow."""
        client = Client(address, connect_timeout=self._connect_timeout, answer_timeout=self._connect_timeout)
        client.limit(self._connect_timeout)
        return client

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def address(self) -> Address:
        return self._address

    @property
    def queues(self) -> tuple[QueueInUse, ...]:
        """The keys of the scenario's jobs."""
        return self._queues

    @property
    def cluster(self) -> Cluster | None:
        """See `plg.targets.base.Target.cluster`."""
        return self._cluster

    @property
    def server(self) -> Server:
        name, version, shown = self._findings.name, self._findings.version, self._address.shown
        if self._cluster is None:
            return Server("sentinel" if self._address.sentinels else self.kind, shown, name, version)
        return Server("cluster", shown, name, version, len(self._cluster.slots.nodes))

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the server that a person should read, one sentence each."""
        return self._findings.notes

    def connect(self, node: Node | None = None) -> socket.socket:
        """See `plg.targets.base.Target.connect`."""
        address = self._address
        if node is not None:
            assert self._cluster is not None, "only a cluster has nodes"
            address = self._cluster.address(node)
        client = self._client(address)
        # A port that listens is no server yet: it may be paused, still loading its data, or have no place for us.
        [answer] = client.ask([("PING",)])
        if isinstance(answer, Exception):
            client.close()
            raise explain(answer, address.shown)
        return client.detach()

    def announce(self) -> None:
        """Write what the frameworks' own clients write once before their first job. Raises `TargetError`."""
        routed = Routed(self)
        try:
            for queue in self._queues:
                for answer in routed.ask(queue.announcement()):
                    if isinstance(answer, Exception):
                        raise explain(answer, f"{self._address.shown}, queue {queue.key!r},")
        finally:
            routed.close()

    def probe(self) -> QueueProbe:
        """A probe over these queues. It connects when it first looks."""
        if self._cluster is not None:
            return ClusterProbe(self._cluster, self._queues)
        return RedisProbe(self._address, self._queues)

    def close(self) -> None:
        """Nothing here outlives its use; an embedded server does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._address.shown}>"


def _queues(jobs: Sequence[Job]) -> tuple[QueueInUse, ...]:
    try:
        return queues_of(jobs)
    except KeyConflict as conflict:
        raise TargetError("refused", str(conflict)) from None


def _together(found: Sequence[Findings]) -> Findings:
    """Of several nodes: who the first is, and all their remarks."""
    return replace(found[0], notes=tuple(note for each in found for note in each.notes))
