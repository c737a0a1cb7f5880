"""A real cluster of a few nodes on the loopback interface, and what a test does to it."""

from __future__ import annotations

import contextlib
import time

from redis.crc import key_slot

from support.real_servers import RealServer

SLOTS = 16384


class RealCluster:
    """``nodes`` that share all slots in equal parts; ``start`` is `real_servers.launcher`'s."""

    def __init__(self, start, program, size: int = 3, *options: str, timeout_ms: int = 1000) -> None:
        common = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(timeout_ms), "--appendonly", "no")
        self.nodes: list[RealServer] = [start(program, *common, *options) for _ in range(size)]
        self.ids = [node.ask("CLUSTER", "MYID").split(b"\r\n")[1].decode() for node in self.nodes]
        bounds = [SLOTS * i // size for i in range(size + 1)]
        for i, node in enumerate(self.nodes):
            said = node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
            assert said == b"+OK\r\n", said
        for other in self.nodes[1:]:
            assert self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", other.port) == b"+OK\r\n"
        self.await_agreement()

    def await_agreement(self, seconds: float = 20.0) -> None:
        """Until every node knows all of the others and says that all slots are served."""
        deadline = time.monotonic() + seconds
        known = f"cluster_known_nodes:{len(self.nodes)}".encode()
        while time.monotonic() < deadline:
            infos = [node.ask("CLUSTER", "INFO", many=True) for node in self.nodes]
            if all(b"cluster_state:ok" in info and known in info and b"slots_ok:16384" in info for info in infos):
                return
            time.sleep(0.05)
        raise AssertionError("the nodes did not become a cluster")

    def place(self, key: str) -> int:
        """Which node holds ``key``, by its own account: it is the one that does not send elsewhere."""
        found = [i for i, node in enumerate(self.nodes) if not node.ask("TYPE", key).startswith(b"-MOVED")]
        assert len(found) == 1
        return found[0]

    def key_at(self, place: int, stem: str = "q") -> str:
        """A key that the node ``place`` holds."""
        return next(key for n in range(1000) if self.place(key := f"{stem}{n}") == place)

    def move_empty_slot(self, key: str, to: int) -> None:
        """Hand the slot of ``key`` over. What is in it stays behind, so it must be empty or no longer looked for."""
        slot = key_slot(key.encode())
        # The new owner first, as a cluster is moved by its own tools: nobody is sent to a node that denies the slot.
        order = [to, *(i for i in range(len(self.nodes)) if i != to)]
        for place in order:
            said = self.nodes[place].ask("CLUSTER", "SETSLOT", slot, "NODE", self.ids[to])
            assert said == b"+OK\r\n", said

    def hand_over(self, key: str, to: int) -> None:
        """Move the slot of ``key`` with what is in it, as ``redis-cli --cluster reshard`` does."""
        slot, source = key_slot(key.encode()), self.place(key)
        self.nodes[to].ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        self.nodes[source].ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[to])
        said = self.nodes[source].ask("MIGRATE", "127.0.0.1", self.nodes[to].port, key, 0, 5000)
        assert said in (b"+OK\r\n", b"+NOKEY\r\n"), said
        self.move_empty_slot(key, to)

    def length(self, key: str) -> int:
        return self.nodes[self.place(key)].number("LLEN", key)

    def stored(self, key: str) -> list[bytes]:
        """What the list holds at its node, oldest first."""
        import redis

        with contextlib.closing(redis.Redis(port=self.nodes[self.place(key)].port)) as client:
            return client.lrange(key, 0, -1)[::-1]
