"""Where the reference consumers take their jobs from in a cluster: one slot after the other, each at its node."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.cluster import Cluster
from plg.targets.job_source import FIRST, Source, Taken, make_groups
from plg.targets.slots import Node, slot_of


class ClusterSource:
    """`Jobs` from a `Source` for each slot, in turn: one command takes only keys of one slot, even on the same node.

    Where one of them fails, the cluster is asked where its slots are, and the sources are made anew.
    """

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        queues: Sequence[tuple[str, str]],
        peers: int,
        client: Callable[[Address], Client],
        begin: str,
    ) -> None:
        self._name, self._cluster, self._queues, self._peers = name, cluster, queues, peers
        self._client, self._begin = client, begin
        self._slots = cluster.slots
        self._sources: list[Source] = []
        self._by_key: dict[str, Source] = {}
        self._held: deque[Taken] = deque()
        self._turn = 0

    @property
    def holds_more(self) -> bool:
        """See `Jobs.holds_more`."""
        return bool(self._held) or any(source.holds_more for source in self._sources)

    def open(self) -> None:
        """See `Jobs.open`."""
        self._place()
        self._begin = FIRST  # a stream that is made anew during the run holds nothing from before it

    def take(self) -> Taken | None:
        """See `Jobs.take`. What waits at any slot is taken before this waits at one of them."""
        if self._held:
            return self._held.popleft()
        try:
            if self._cluster.slots is not self._slots or not self._sources:
                self._place()
            return self._take()
        except TargetError:
            self._cluster.survey(self._slots)
            raise

    def _take(self) -> Taken | None:
        self._turn += 1
        first = self._turn % len(self._sources)
        in_turn = [*self._sources[first:], *self._sources[:first]]
        for source in in_turn:
            taken = source.take_waiting()
            if taken is not None:
                return taken
        return in_turn[0].take()

    def acknowledge(self, key: str, entry: bytes) -> None:
        """See `Jobs.acknowledge`. Said again to the node that holds the key now; saying it twice does no harm."""
        try:
            self._by_key[key].acknowledge(key, entry)
        except TargetError:
            self._cluster.survey(self._slots)
            self._place()
            self._by_key[key].acknowledge(key, entry)

    def close(self) -> None:
        """See `Jobs.close`."""
        for source in self._sources:
            source.close()

    def _place(self) -> None:
        """Make the sources anew, by the present map of the slots."""
        for source in self._sources:
            self._held += source.give_up_held()
            source.close()
        self._slots, self._sources, self._by_key = self._cluster.slots, [], {}
        for node, keys in self._cluster.holdings().items():
            for slot in dict.fromkeys(map(slot_of, keys)):
                self._add(node, [key for key in keys if slot_of(key) == slot])

    def _add(self, node: Node, keys: Sequence[str]) -> None:
        client = self._client(self._cluster.address(node))
        own = [(key, kind) for key, kind in self._queues if key in keys]
        source = Source(self._name, client, own, self._peers, alone=False)
        self._sources.append(source)
        self._by_key |= dict.fromkeys(keys, source)
        source.open()
        make_groups(client, [key for key, kind in own if kind == "group"], self._begin)
