"""Several connections, and the nodes of a cluster, as one transport on the virtual clock against simulated servers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.virtual_runs import build

from plg.guardrails.limiter import whole_jobs
from plg.patterns.registry import read
from plg.plan import make_plan
from plg.queues.base import Job, Queue
from plg.runner.cluster_transport import ClusterTransport
from plg.runner.connection import Connection
from plg.runner.dialer import Dialer
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.observer import Hooks
from plg.runner.pool import Pool
from plg.scenario import Guardrails, Scenario
from plg.targets.base import TargetError
from plg.targets.slots import Node, SlotMap, slot_of
from plg.testing import Gauges, Server, VirtualClock

LOOSE = Guardrails(max_rate=1e6, max_total_jobs=10**9, max_duration=1e6)
JOBS = (Job("a", queue=Queue("list", "qa")), Job("b", queue=Queue("list", "qb")), Job("c", queue=Queue("stream", "sc")))
KEYS = [job.queue.name for job in JOBS]


def steady(rate, duration):
    return {"type": "steady", "base_rate": rate, "duration": duration}


def run(pattern, transport, clock, *, jobs=JOBS, limits=LOOSE):
    scenario = Scenario("s", read(pattern, Path()), tuple(jobs), limits)
    plan = make_plan(scenario, seed=1)
    made = build(
        plan, limits, transport, batch_encoder(scenario, plan, "run"), clock, Gauges(),
        grid=Grid.of(plan), hooks=Hooks(),
    )  # fmt: skip
    recording = made.run(clock.now())
    t = recording.total
    assert t("planned") == t("sent") + t("shed") + t("late") + t("cancelled")
    assert t("sent") == t("acked") + t("failed") + t("unknown")
    return recording


def seqs(*servers):
    return sorted(json.loads(job)["seq"] for server in servers for job in server.jobs())


def several(server, count, **patience):
    return Pool([Connection(server.connect, random.Random(i), **patience) for i in range(count)])


class Town:
    """A simulated cluster: servers by node, and who holds which key. ``blind`` are spans in which nobody tells."""

    def __init__(self, clock, size=3, **server):
        self.clock = clock
        self.nodes = [Node("n", port) for port in range(1, size + 1)]
        self.servers = {node: Server(clock, **server) for node in self.nodes}
        self.home = {key: self.nodes[i % size] for i, key in enumerate(KEYS)}
        self.moves: list[tuple[float, str, Node]] = []
        self.blind: list[tuple[float, float]] = []
        self.surveys: list[float] = []
        self.slots = self._map()
        for node, simulated in self.servers.items():
            simulated.refuse_key = lambda key, at, node=node: self._refusal(node, key, at)

    def _home(self, key, at):
        return next((to for when, moved, to in reversed(self.moves) if moved == key and when <= at), self.home[key])

    def _refusal(self, node, key, at):
        home = self._home(key, at)
        return None if home == node else f"MOVED {slot_of(key)} {home}"

    def _map(self):
        now = self.clock.now()
        return SlotMap(tuple((slot_of(key), slot_of(key), self._home(key, now)) for key in KEYS))

    def survey(self, stale, hint=None):
        self.surveys.append(self.clock.now())
        if any(start <= self.clock.now() < end for start, end in self.blind):
            raise TargetError("unreachable", "no node answers")
        self.slots = self._map()
        return self.slots

    def holdings(self):
        found = {}
        for key in KEYS:
            found.setdefault(self.slots.owner(key), []).append(key)
        return found

    def transport(self, connections=1):
        def open_transport(node):
            transport = several(self.servers[node], connections)
            return transport if connections > 1 else transport._connections[0]

        return ClusterTransport(self, open_transport, Dialer())


def test_the_slots_of_the_keys_differ():
    assert len({slot_of(key) for key in KEYS}) == 3


@pytest.mark.parametrize("connections", [2, 5])
def test_several_connections_hold_schedule_and_rate(connections):
    clock = VirtualClock()
    server = Server(clock)
    recording = run(steady(400, 5), several(server, connections), clock, limits=Guardrails(300, 10**9, 1e6))
    assert seqs(server) == sorted(set(seqs(server)))
    assert recording.total("acked") == len(server.jobs())
    assert recording.total("acked") >= 1490
    times = np.array(server.times())
    assert (np.searchsorted(times, times + 1.0 - 1e-9) - np.arange(len(times))).max() <= 300


def test_several_connections_share_the_jobs():
    clock = VirtualClock()
    servers = [Server(clock) for _ in range(3)]  # one for each connection, to see what went over it
    transport = Pool([Connection(server.connect, random.Random(1)) for server in servers])
    recording = run(steady(300, 4), transport, clock, jobs=JOBS[:1])
    assert recording.total("acked") == 1200
    assert [len(server.jobs()) for server in servers] == [400, 400, 400]
    late = recording.histograms["latency"].over(recording.whole())
    assert late.max < 0.005


def test_the_loss_of_one_connection_is_the_loss_of_its_flights():
    clock = VirtualClock()
    servers = [Server(clock, delay=0.01), Server(clock, delay=0.01, down=[(1.0, 1.2)])]
    transport = Pool([Connection(server.connect, random.Random(1)) for server in servers])
    recording = run(steady(1000, 3), transport, clock, jobs=JOBS[:1])
    # 20 ms are in flight, half of them over the lost connection.
    assert 5 <= recording.total("unknown") <= 15
    assert recording.total("acked") + recording.total("unknown") == 3000
    assert len(seqs(*servers)) == len(set(seqs(*servers)))


def test_a_connection_that_came_back_long_ago_does_not_end_the_run_when_another_is_lost():
    clock = VirtualClock()
    servers = [Server(clock, down=[(1.0, 1.1)]), Server(clock, down=[(25.0, 25.1)])]
    transport = Pool([Connection(server.connect, random.Random(1)) for server in servers])
    recording = run(steady(50, 30), transport, clock, jobs=JOBS[:1])
    assert recording.stop is None


def test_each_job_goes_to_the_node_that_holds_its_queue():
    clock = VirtualClock()
    town = Town(clock)
    recording = run(steady(300, 5), town.transport(), clock)
    assert recording.total("acked") == 1500
    assert [sorted(server.held) for server in town.servers.values()] == [["qa"], ["qb"], ["sc"]]
    assert seqs(*town.servers.values()) == list(range(1500))
    assert town.surveys == []


def test_jobs_after_a_move_go_right_and_those_refused_are_never_sent_again():
    clock = VirtualClock()
    town = Town(clock, size=2, delay=0.02)
    town.moves = [(2.0, "qa", town.nodes[1]), (3.5, "qa", town.nodes[0])]
    recording = run(steady(600, 5), town.transport(connections=2), clock)
    # What was in flight at either move: 200 a second for some 45 ms.
    assert 10 <= recording.total("failed") <= 20
    assert recording.total("acked") + recording.total("failed") == 3000
    assert len(seqs(*town.servers.values())) == len(set(seqs(*town.servers.values()))) == recording.total("acked")
    assert len(town.surveys) == 2, "the refusals of what was under way by then tell nothing new"
    assert recording.stop is None


def test_a_node_that_held_nothing_gets_a_line_when_it_holds_something():
    clock = VirtualClock()
    town = Town(clock, size=4)
    town.moves = [(1.0, "qb", town.nodes[3])]
    recording = run(steady(300, 3), town.transport(), clock)
    assert len(town.servers[town.nodes[3]].held["qb"]) == pytest.approx(200, abs=3)
    assert recording.total("failed") <= 3


def test_another_node_takes_over_from_one_that_died():
    clock = VirtualClock()
    town = Town(clock, size=3, delay=0.02)
    town.servers[town.nodes[0]].down = [(2.0, 1e9)]
    town.moves = [(2.6, "qa", town.nodes[1])]
    recording = run(steady(300, 6), town.transport(), clock)
    assert recording.stop is None
    assert recording.total("unknown") >= 1
    assert recording.total("late") == 0, "it took less than max_lag"
    assert recording.total("acked") + recording.total("unknown") == 1800
    assert len(town.servers[town.nodes[1]].held["qa"]) > 300
    # Asked again and again while the node was lost, but not without end.
    assert 2 <= len(town.surveys) <= 6


def test_a_node_that_stays_away_ends_the_run():
    clock = VirtualClock()
    town = Town(clock)
    town.servers[town.nodes[2]].down = [(2.0, 1e9)]
    recording = run(steady(300, 60), town.transport(), clock)
    assert recording.stop == "target"
    assert "n:3: connection refused" in recording.stop_detail
    assert recording.ended_s == pytest.approx(17, abs=1.5)


def test_jobs_wait_for_the_cluster_to_answer_but_not_for_ever():
    clock = VirtualClock()
    town = Town(clock, size=2)
    town.moves = [(2.0, "qa", town.nodes[1])]
    town.blind = [(0.0, 4.0)]
    recording = run(steady(300, 6), town.transport(), clock)
    t = recording.total
    assert t("acked") + t("failed") == 1800, "nothing was late: the jobs waited half a second at most"
    # A third of what was sent from the end of the wait until the cluster told where the queue is.
    assert t("failed") == pytest.approx(200, abs=30)
    assert recording.stop is None


def test_a_move_of_the_last_job_is_no_loss_of_the_target():
    clock = VirtualClock()
    town = Town(clock, size=2)
    town.moves = [(0.99, "qa", town.nodes[1])]
    recording = run(steady(50, 1), town.transport(), clock, jobs=JOBS[:1])
    assert (recording.total("failed"), recording.total("acked"), recording.stop) == (1, 49, None)


spans = st.tuples(st.floats(0.2, 4), st.floats(0.01, 1.5)).map(lambda p: (p[0], p[0] + p[1]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    moves=st.lists(st.tuples(st.floats(0.1, 4), st.sampled_from(KEYS), st.integers(0, 2)), max_size=5),
    downs=st.lists(st.tuples(st.integers(0, 2), spans), max_size=3),
    blind=st.lists(spans, max_size=2),
    connections=st.integers(1, 3),
    delay=st.floats(0.0001, 0.03),
    max_rate=st.floats(50, 500),
)
def test_the_ledger_agrees_with_all_nodes_whatever_happens(moves, downs, blind, connections, delay, max_rate):
    clock = VirtualClock()
    town = Town(clock, delay=delay)
    town.moves = sorted((at, key, town.nodes[to]) for at, key, to in moves)
    town.blind = blind
    for node, span in downs:
        town.servers[town.nodes[node]].down.append(span)
    limits = Guardrails(max_rate, 10**9, 1e6)
    recording = run(steady(250, 5), town.transport(connections), clock, limits=limits)
    held = seqs(*town.servers.values())
    assert len(held) == len(set(held))
    assert recording.total("acked") <= len(held) <= recording.total("acked") + recording.total("unknown")
    times = np.sort([at for server in town.servers.values() for at in server.times()])
    if len(times):
        capacity, width = whole_jobs(max_rate, limits.rate_limit_window)
        inside = np.searchsorted(times, times + width - 1e-9) - np.arange(len(times))
        assert inside.max() <= capacity
