"""From an open target to the line that its jobs go over."""

from __future__ import annotations

import random
from contextlib import ExitStack

from plg.clock import Clock
from plg.runner.cluster_line import ClusterLine
from plg.runner.dialer import ThreadDialer
from plg.runner.lane import ANSWER_TIMEOUT, GIVE_UP_AFTER, Lane, Line
from plg.runner.lanes import Lanes
from plg.targets.base import Target
from plg.targets.slots import Node
from plg.targets.wire import Wire


def open_line(
    target: Target,
    connections: int,
    clock: Clock,
    *,
    answer_timeout: float = ANSWER_TIMEOUT,
    give_up_after: float = GIVE_UP_AFTER,
) -> Line:
    """A line of so many ``connections``, to each node of a cluster that holds a queue. Raises `TargetError`.

    The times are those of `Lane`.
    """

    def lane(node: Node | None) -> Lane:
        return Lane(
            lambda: Wire(target.connect(node), clock),
            random.Random(),
            dialer=ThreadDialer(),
            answer_timeout=answer_timeout,
            give_up_after=give_up_after,
        )

    def line(node: Node | None) -> Line:
        lanes: list[Lane] = []
        with ExitStack() as undo:
            for _ in range(connections):
                lanes.append(lane(node))
                undo.callback(lanes[-1].close)
            undo.pop_all()
        return Lanes(lanes) if connections > 1 else lanes[0]

    if target.cluster is None:
        return line(None)
    return ClusterLine(target.cluster, line, ThreadDialer())
