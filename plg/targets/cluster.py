"""A Redis Cluster: its nodes, who holds which queue, and how to find out again when slots have moved."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.faults import own_words
from plg.targets.slots import Node, SlotMap, slot_of

_SLOTS = ("CLUSTER", "SLOTS")
SURVEY_TIMEOUT = 1.0
"""Seconds a node gets to connect, and again to answer, before another one is asked where the slots are."""


class Cluster:
    """What plg knows of a cluster. ``seed`` is the address in the URL: user, password, TLS and the like hold for all.

    The map is replaced as a whole and never changed, so that threads may look at it while another one asks anew.
    """

    def __init__(self, seed: Address, slots: SlotMap, keys: Sequence[str]) -> None:
        self.seed = seed
        self.slots = slots
        self._keys = tuple(keys)
        self._asking = threading.Lock()
        self._refuse_homeless(slots)

    @staticmethod
    def found_by(client: Client, keys: Sequence[str]) -> Cluster | None:
        """The cluster behind ``client``; None where it is a single server, or does not say.

        Raises `TargetError` where no node holds the slot of one of ``keys``.
        """
        answers = client.ask_gently([_SLOTS])
        if answers is None:
            return None
        try:
            slots = _slots(answers[0], client.address)
        except ValueError:
            return None
        return Cluster(client.address, slots, keys)

    def address(self, node: Node) -> Address:
        """The address of a node: as the seed's, at another place."""
        scheme = "rediss" if self.seed.scheme == "rediss" else "redis"
        options = {name: value for name, value in self.seed.options.items() if name != "path"}
        url = f"{scheme}://{node}"
        return replace(
            self.seed, shown=url, scheme=scheme, url=url, options=options | {"host": node.host, "port": node.port}
        )

    def holder(self, key: str) -> Address | None:
        """The address of the node that holds ``key``; None while none does."""
        node = self.slots.owner(key)
        return None if node is None else self.address(node)

    def holdings(self) -> dict[Node, tuple[str, ...]]:
        """The nodes that hold a key of the scenario, and their keys."""
        slots, found = self.slots, dict[Node, tuple[str, ...]]()
        for key in self._keys:
            node = slots.owner(key)
            assert node is not None, "a map with a homeless key is never taken"
            found[node] = (*found.get(node, ()), key)
        return found

    def survey(self, stale: SlotMap, hint: Node | None = None) -> SlotMap:
        """Ask anew who holds which slot, unless another thread has done so since ``stale`` was current.

        ``hint`` is asked first: a node that was named as the new holder of a slot. Blocks until one node has answered;
        raises `TargetError` where none does, or where nobody holds the slot of one of the keys.
        """
        with self._asking:
            if self.slots is stale:
                self.slots = self._ask_any(hint)
            return self.slots

    def _ask_any(self, hint: Node | None) -> SlotMap:
        first = () if hint is None else (hint,)
        places = [self.address(node) for node in dict.fromkeys((*first, *self.slots.nodes))]
        trouble: TargetError | None = None
        for address in (*places, self.seed):
            client = Client(address, connect_timeout=SURVEY_TIMEOUT, answer_timeout=SURVEY_TIMEOUT)
            try:
                slots = _ask_slots(client)
                self._refuse_homeless(slots)
                return slots
            except ValueError as error:
                trouble = TargetError("refused", f"{address.shown} refused: {error}")
            except TargetError as error:
                trouble = error
            finally:
                client.close()
        assert trouble is not None, "the seed at least was asked"
        raise trouble

    def _refuse_homeless(self, slots: SlotMap) -> None:
        key = slots.homeless(self._keys)
        if key is not None:
            raise TargetError(
                "refused",
                f"{self.seed.shown} refused, queue {key!r}: CLUSTERDOWN no node of the cluster holds its slot "
                f"{slot_of(key)}",
                "see CLUSTER INFO on the server",
                passing=True,
            )


def _ask_slots(client: Client) -> SlotMap:
    """Raises `TargetError` where the connection fails, `ValueError` where the answer is no map of slots."""
    [answer] = client.ask([_SLOTS])
    return _slots(answer, client.address)


def _slots(answer: Any, asked: Address) -> SlotMap:
    if isinstance(answer, Exception):
        raise ValueError(own_words(answer))
    return SlotMap.read(answer, _place(asked))


def _place(address: Address) -> Node:
    options: dict[str, Any] = dict(address.options)
    return Node(str(options.get("host", "localhost")), int(options.get("port", 6379)))
