"""From an open target to the transport that its jobs go over."""

from __future__ import annotations

import random
from contextlib import ExitStack

from plg.clock import Clock
from plg.runner.cluster_transport import ClusterTransport
from plg.runner.connection import ANSWER_TIMEOUT, GIVE_UP_AFTER, Connection
from plg.runner.dialer import ThreadDialer
from plg.runner.pool import Pool
from plg.runner.transport import Transport
from plg.targets.base import Target
from plg.targets.channel import SocketChannel
from plg.targets.sentinel import failover_time
from plg.targets.slots import Node


def open_transport(
    target: Target,
    connections: int,
    clock: Clock,
    *,
    answer_timeout: float = ANSWER_TIMEOUT,
    give_up_after: float | None = None,
) -> Transport:
    """A transport of a number of ``connections``, to each node of a cluster that holds a queue. Raises `TargetError`.

    The times are those of `Connection`; where Sentinels may make another server the master, a lost one is given the
    time for that.
    """
    patience = max(GIVE_UP_AFTER, failover_time(target.address)) if give_up_after is None else give_up_after

    def connection(node: Node | None) -> Connection:
        return Connection(
            lambda: SocketChannel(target.connect(node), clock),
            random.Random(),
            dialer=ThreadDialer(),
            answer_timeout=answer_timeout,
            give_up_after=patience,
            moves=lambda: target.address.roster.changes,
        )

    def transport(node: Node | None) -> Transport:
        opened: list[Connection] = []
        with ExitStack() as undo:
            for _ in range(connections):
                opened.append(connection(node))
                undo.callback(opened[-1].close)
            undo.pop_all()
        return Pool(opened) if connections > 1 else opened[0]

    if target.cluster is None:
        return transport(None)
    return ClusterTransport(target.cluster, transport, ThreadDialer())
