"""Which node of a cluster a key lives on: hash slots, and the map of them that the cluster gives out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from plg.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """Where a node of a cluster listens, as the cluster itself names the place."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @staticmethod
    def named_in(refusal: str, asked: Node) -> Node | None:
        """The node that ``MOVED 1234 host:port`` (or ASK) names; None where it names none.

        A node that does not know its own name leaves the host out and means the one that was ``asked``.
        """
        words = refusal.split()
        host, colon, port = (words[2] if len(words) > 2 else "").rpartition(":")
        if not colon or not port.isdigit():
            return None
        return Node(host.strip("[]") or asked.host, int(port))


def slot_of(key: str) -> int:
    """The slot of a key: CRC16 modulo 16384 of what stands between the first ``{`` and the next ``}``, or of it all."""
    from redis.crc import key_slot

    return key_slot(key.encode())


@dataclass(frozen=True, slots=True)
class SlotMap:
    """Ranges of slots (first, last) and the node that takes writes for them."""

    ranges: tuple[tuple[int, int, Node], ...]

    @staticmethod
    def read(answer: Any, asked: Node) -> SlotMap:
        """From the answer to CLUSTER SLOTS of the node ``asked``; a host left out is that node's own.

        Raises `ValueError` where it is no such answer.
        """
        try:
            found = [
                (int(first), int(last), Node(_host(master[0], asked), int(master[1])))
                for first, last, master, *_ in answer
            ]
        except (TypeError, ValueError, IndexError, UnicodeDecodeError) as error:
            raise ValueError("the answer to CLUSTER SLOTS cannot be read") from error
        return SlotMap(tuple(sorted(found, key=lambda each: each[:2])))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that holds a slot."""
        return tuple(dict.fromkeys(node for _, _, node in self.ranges))

    def owner(self, key: str) -> Node | None:
        """Who takes writes to ``key``; None while no node does."""
        slot = slot_of(key)
        return next((node for first, last, node in self.ranges if first <= slot <= last), None)

    def homeless(self, keys: Iterable[str]) -> str | None:
        """The first of ``keys`` whose slot no node holds."""
        return next((key for key in keys if self.owner(key) is None), None)


def _host(name: bytes | None, asked: Node) -> str:
    # A node that does not know its own name says nothing, or "?" for one without a hostname.
    return asked.host if name in (None, b"", b"?") else name.decode()
