"""Commands to the servers that hold their keys: to one, or to the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plg.targets.address import Address
from plg.targets.base import Target
from plg.targets.client import Client, Command
from plg.targets.faults import explain
from plg.targets.slots import slot_of

_CONNECT, _ANSWER = 5.0, 10.0
"""Seconds to connect, and for the answers to one round trip."""


class Routed:
    """Connections of its own to an open target. Keys are text or bytes; answers that are errors stand in the list."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._clients: dict[str, Client] = {}

    @property
    def shown(self) -> str:
        """The target for people."""
        return self._target.address.shown

    @property
    def alone(self) -> bool:
        """Whether one server holds all keys, so that one command may name any of them."""
        return self._target.cluster is None

    def client(self, key: str | bytes) -> Client:
        """The connection to the server that holds ``key``."""
        return self._to(self._address(key.decode("utf-8", "replace") if isinstance(key, bytes) else key))

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip to each server that is concerned. Raises `TargetError` where one is lost."""
        if self.alone:
            return self._to(self._target.address).ask(commands) if commands else []
        answers: list[Any] = [None] * len(commands)
        parts: dict[Client, list[int]] = {}
        for at, command in enumerate(commands):
            parts.setdefault(self.client(_key(command)), []).append(at)
        for client, places in parts.items():
            for at, answer in zip(places, client.ask([commands[at] for at in places]), strict=True):
                answers[at] = answer
        return answers

    def told(self, commands: Sequence[Command], about: str = "") -> list[Any]:
        """`ask`, where an error is raised as a `TargetError`; ``about`` follows the name of the server."""
        answers = self.ask(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise explain(answer, f"{self.shown}{about}")
        return answers

    def together(self, keys: Sequence[str]) -> bool:
        """Whether one command may name all ``keys``."""
        return self.alone or len(set(map(slot_of, keys))) == 1

    def _address(self, key: str) -> Address:
        cluster = self._target.cluster
        held = None if cluster is None else cluster.holder(key)
        return self._target.address if held is None else held

    def _to(self, address: Address) -> Client:
        if address.shown not in self._clients:
            self._clients[address.shown] = Client(address, connect_timeout=_CONNECT, answer_timeout=_ANSWER)
        return self._clients[address.shown]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def _key(command: Command) -> str | bytes:
    key = command[2] if command[0] == "XINFO" else command[1]
    assert isinstance(key, str | bytes), "a command names its key first"
    return key
