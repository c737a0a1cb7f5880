"""What a run needs before its first moment: connections, a first look at the queues, workers, the other shards."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import ExitStack

from plg.clock import Clock
from plg.dataclass import dataclass
from plg.plan import Plan
from plg.plan.watching import COUNT_NOW_AND_THEN, COUNT_OFTEN, asks_for_workers, watch_length
from plg.runner.budget import SharedBudget
from plg.runner.connect import open_transport
from plg.runner.far_side import FarReader, asks_what_workers_did, open_reader
from plg.runner.interlock import InterlockHolder
from plg.runner.sight import doubts, first_look, refuse_workers, uncounted
from plg.runner.transport import Transport
from plg.scenario import Guardrails, Scenario
from plg.targets.base import Depth, QueueProbe, Target
from plg.targets.continuity import Standing, take_standing
from plg.targets.interlock import NOTHING, Demand, Interlock, Lease
from plg.targets.register import Registration, RunEntry
from plg.targets.sentinel import MasterWatch
from plg.targets.shared_limit import SharedLimit
from plg.targets.worker import ReferenceWorkers


@dataclass(frozen=True, slots=True)
class Ready:
    """What a run goes over and has beside it. ``ends`` closes all of it."""

    ends: ExitStack
    transport: Transport
    probe: QueueProbe
    before: Depth | None
    notes: tuple[str, ...]
    consumers: ReferenceWorkers | None
    budget: SharedBudget | None
    standing: tuple[Standing, ...]
    registration: Registration
    interlock: InterlockHolder | None = None
    far: FarReader | None = None
    no_far: str = ""
    """Why nobody reads what the workers do, where a line asks for it."""

    def begin(self) -> None:
        """From now on jobs may be sent."""
        self.registration.begun = True

    def close(self) -> None:
        self.ends.close()


def get_ready(
    target: Target,
    scenario: Scenario,
    plan: Plan,
    limits: Guardrails,
    clock: Clock,
    run_id: str,
    *,
    shared: bool = False,
    start: float | None = None,
    force: bool = False,
    demand: Demand = NOTHING,
    account: str = "",
) -> Ready:
    """Connect, look at the queue, start the workers, join the other shards. Raises `TargetError`.

    ``limits`` are those of this generator. With ``shared`` the shards of the run share their limits and their stops by
    way of the target, under the ``run_id``. ``start`` is when all of them begin (s of the clock), where that is agreed.
    With ``force`` the workers may also take jobs that wait already. ``demand`` is what the policy asks of the server,
    ``account`` whose run it is.
    """
    with ExitStack() as ends:
        masters = MasterWatch(target.address)
        ends.callback(masters.stop)
        masters.start()
        transport = open_transport(target, scenario.connections, clock)
        ends.callback(transport.close)
        probe = target.probe()
        ends.callback(probe.close)
        probe.count_workers(COUNT_OFTEN if asks_for_workers(scenario) else COUNT_NOW_AND_THEN)
        before, notes = first_look(probe, limits)
        if before is not None and not target.private:
            notes += doubts(before.change)
        notes += uncounted(before, scenario)
        begun = plan.shard[1] > 1 and (start is None or clock.now() >= start)
        if scenario.own_workers is not None and not force and not begun:
            refuse_workers(before, target)
        interlock = None
        if not target.private:
            # A server of plg's own is gone with the run, and nobody else can load it.
            interlock = _interlock(target, scenario, plan, limits, run_id, demand, account)
            ends.callback(interlock.close)
            notes += interlock.open()
        registration = _registration(target, scenario, plan, clock, run_id, start)
        ends.callback(registration.close)
        # A server of plg's own is gone with the run.
        notes += () if target.private else registration.enter()
        target.announce()
        consumers = _start_workers(target, scenario, plan, run_id, all_of_it=force or begun)
        if consumers is not None:
            ends.callback(consumers.stop)
        budget = _share(target, scenario, plan, run_id) if shared else None
        if budget is not None:
            ends.callback(budget.stop)
        far, no_far = open_reader(target, scenario, plan, run_id)
        if far is not None:
            ends.callback(far.close)
        standing = take_standing(target)
        beside = (standing, registration, interlock, far, no_far)
        return Ready(ends.pop_all(), transport, probe, before, notes, consumers, budget, *beside)


def _interlock(
    target: Target, scenario: Scenario, plan: Plan, limits: Guardrails, run_id: str, demand: Demand, account: str
) -> InterlockHolder:
    """The run as the interlock of its server knows it; of a shard its part of the rate."""
    rate = min(plan.peak_rate / plan.shard[1], limits.max_rate)
    about = {
        "scenario": scenario.name, "account": account, "host": socket.gethostname(), "pid": os.getpid(),
        "shard": plan.shard[0] + 1, "shards": plan.shard[1],
    }  # fmt: skip
    lease = Lease(uuid.uuid4().hex, rate, run_id, about)
    jobs = min(plan.planned_total, scenario.guardrails.max_total_jobs)
    lasting = min(plan.duration, limits.max_duration)
    return InterlockHolder(Interlock(target), lease, demand, target.address.shown, jobs, lasting)


_SLACK = 60.0
"""Seconds that a run may take for its beginning and its end."""


def _registration(
    target: Target, scenario: Scenario, plan: Plan, clock: Clock, run_id: str, start: float | None
) -> Registration:
    """What is written down in the target of a run that may leave jobs there."""
    now = clock.wall()
    lasting = scenario.guardrails.max_duration + watch_length(scenario) + _SLACK
    until = now + lasting + (0.0 if start is None else max(0.0, start - clock.now()))
    entry = RunEntry(run_id, scenario.name, now, until, plan.planned_total, scenario.jobs)
    return Registration(target, entry)


def _start_workers(
    target: Target, scenario: Scenario, plan: Plan, run_id: str, *, all_of_it: bool
) -> ReferenceWorkers | None:
    """The reference consumers; of a shard its part of them."""
    asked, (index, shards) = scenario.own_workers, plan.shard
    count = 0 if asked is None else asked.count // shards + (index < asked.count % shards)
    if asked is None or count == 0:
        return None
    tell = asks_what_workers_did(scenario)
    workers = ReferenceWorkers(target, scenario.jobs, count, asked.each, run_id=run_id, all_of_it=all_of_it, tell=tell)
    workers.start()
    return workers


def _share(target: Target, scenario: Scenario, plan: Plan, run_id: str) -> SharedBudget:
    """What is left of the limit, from the counter that the shards of the run share. Raises `TargetError`."""
    limits, (index, shards) = scenario.guardrails, plan.shard
    shared = SharedLimit(target, run_id, index + 1, shards, limits.max_total_jobs)
    budget = SharedBudget(shared, min(plan.peak_rate, limits.max_rate) / shards)
    watched = 0.0 if plan.awaited is None else plan.awaited.until_s - plan.duration
    budget.start(limits.max_duration + max(watch_length(scenario), watched))
    return budget
