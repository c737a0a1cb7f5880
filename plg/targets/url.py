"""A Redis, Valkey or anything that speaks their protocol, by URL."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import TracebackType
from typing import ClassVar, Self

from plg.scenario import Job
from plg.targets.address import Address, parse_address
from plg.targets.base import Server
from plg.targets.client import Client
from plg.targets.faults import explain
from plg.targets.inspection import Findings, inspect
from plg.targets.probe import RedisProbe
from plg.targets.queues import Queue, queues_of


class UrlTarget:
    """An open target at an address. Opening connects, and raises `TargetError` where the jobs cannot be written.

    ``url`` is what another client connects to, password included: for workers, never for people or files.
    """

    kind: ClassVar[str] = "url"

    def __init__(self, where: str, jobs: Sequence[Job], *, connect_timeout: float = 5.0) -> None:
        self._queues = queues_of(jobs)
        self._address = parse_address(where)
        self._connect_timeout = self._address.connect_timeout or connect_timeout
        self._findings = self._look_round()

    def _look_round(self) -> Findings:
        client = self._client(self._connect_timeout)
        try:
            return inspect(client, self._queues, patience=self._connect_timeout)
        finally:
            client.close()

    def _client(self, timeout: float) -> Client:
        return Client(self._address, connect_timeout=timeout, answer_timeout=timeout)

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def address(self) -> Address:
        return self._address

    @property
    def queues(self) -> tuple[Queue, ...]:
        """The keys of the scenario's jobs."""
        return self._queues

    @property
    def server(self) -> Server:
        return Server(self.kind, self._address.shown, self._findings.name, self._findings.version)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the server that a person should read, one sentence each."""
        return self._findings.notes

    def connect(self) -> socket.socket:
        """See `plg.targets.base.Target.connect`."""
        client = self._client(self._connect_timeout)
        # A port that listens is no server yet: it may be paused, still loading its data, or have no place for us.
        [answer] = client.ask([("PING",)])
        if isinstance(answer, Exception):
            client.close()
            raise explain(answer, self._address.shown)
        return client.detach()

    def probe(self) -> RedisProbe:
        """A probe over these queues. It connects when it first looks."""
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


