"""Depth and age over all nodes of a cluster that hold queues of the scenario."""

from __future__ import annotations

from collections.abc import Sequence

from plg.queues.use import QueueInUse
from plg.targets.base import Depth, TargetError
from plg.targets.cluster import Cluster
from plg.targets.probe import RedisProbe, together


class ClusterProbe:
    """`plg.targets.base.QueueProbe` with a `RedisProbe` to each node; one that fails has the slots asked for anew."""

    def __init__(self, cluster: Cluster, queues: Sequence[QueueInUse]) -> None:
        self._cluster = cluster
        self._queues = queues
        self._slots = cluster.slots
        self._probes: list[RedisProbe] = []
        self._every: float | None = None

    def count_workers(self, every: float) -> None:
        """See `plg.targets.base.QueueProbe.count_workers`."""
        self._every = every
        for probe in self._probes:
            probe.count_workers(every)

    def rehearse(self) -> TargetError | None:
        """See `plg.targets.base.QueueProbe.rehearse`."""
        self._place()
        denied = [probe.rehearse() for probe in self._probes]
        return next(filter(None, denied), None)

    def look(self) -> Depth:
        """See `plg.targets.base.QueueProbe.look`. The nodes are asked one after the other."""
        if not self._probes or self._cluster.slots is not self._slots:
            self._place()
        try:
            return together(probe.look() for probe in self._probes)
        except TargetError:
            # The queues may live elsewhere by now. This look is lost, the next one goes where they are.
            self._cluster.survey(self._slots)
            raise

    def _place(self) -> None:
        self.close()
        self._slots = self._cluster.slots
        for node, keys in self._cluster.holdings().items():
            own = [queue for queue in self._queues if queue.key in keys]
            self._probes.append(RedisProbe(self._cluster.address(node), own))
            if self._every is not None:
                self._probes[-1].count_workers(self._every)

    def close(self) -> None:
        for probe in self._probes:
            probe.close()
        self._probes = []
