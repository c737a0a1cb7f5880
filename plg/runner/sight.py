"""Whether what waits in the queues can be seen: before the run, and what a report says of it after."""

from __future__ import annotations

import math
from collections.abc import Sequence

from plg.clock import Clock
from plg.plan.watching import asks_for_workers
from plg.queues.base import Change
from plg.queues.use import QueueInUse
from plg.runner.recording import Recording
from plg.scenario import Guardrails, Scenario
from plg.targets.base import Depth, QueueProbe, Target, TargetError
from plg.units import format_duration


def first_look(probe: QueueProbe, limits: Guardrails) -> tuple[Depth | None, tuple[str, ...]]:
    """What waits before the first job, and remarks; None where the user may not ask.

    Raises `TargetError` where a limit hangs on what cannot be seen.
    """
    held = " and ".join(limits.queue_limits)
    try:
        ageless = probe.rehearse()
        look = probe.look()
    except TargetError as error:
        if error.kind != "refused":
            raise
        if held:
            raise TargetError("refused", f"{held} cannot be held: {error}") from error
        return None, (f"depth and age of the queues cannot be seen, so what is asked of them has no data: {error}",)
    if limits.max_queue_age is not None and look.waiting and look.oldest_age is None:
        told = "the oldest of the jobs that wait before the run does not say when it was enqueued"
        raise TargetError("refused", f"max_queue_age cannot be held: {told}")
    if ageless is None:
        return look, ()
    hidden = "the age of jobs that a worker has been given and not acknowledged cannot be seen"
    if limits.max_queue_age is not None:
        raise TargetError("refused", f"max_queue_age cannot be held: {hidden}: {ageless}") from ageless
    return look, (f"{hidden}, so queue_age has no data while there are any: {ageless}",)


def uncounted(before: Depth | None, scenario: Scenario) -> tuple[str, ...]:
    """A remark where a line asks for the workers, and the first look could not count them."""
    if before is None or before.workers is not None or scenario.own_workers is not None:
        return ()
    if not asks_for_workers(scenario):
        return ()
    why = "this user may not ask for their names, or more than 1,000 are registered"
    return (f"workers cannot be counted here, so what is asked of them has no data: {why}",)


def doubts(change: Change) -> tuple[str, ...]:
    """Remarks on why jobs may leave the queues though no worker takes them."""
    found = []
    if change.expires is not None:
        left = format_duration(max(0.1, round(change.expires, 1)))
        found.append(f"a queue's key expires in {left}: what waits in it then is deleted")
    if change.untold:
        found.append(
            "the server does not tell which commands it is given (INFO commandstats), "
            "so jobs that are deleted from a list count as taken"
        )
    return tuple(found)


def refuse_workers(before: Depth | None, target: Target) -> None:
    """Raise `TargetError` where plg's own workers would take jobs that somebody else put into the queues.

    On a server that was started for the run there are none.
    """
    if target.private or (before is not None and not before.waiting):
        return
    names = [repr(queue.key) for queue in target.queues]
    where = f"{', '.join(names[:_NAMED])}{' and others' * (len(names) > _NAMED)} at {target.server.url}"
    if before is None:
        found = f"what waits in {where} cannot be seen, and plg's own workers would take it"
    else:
        many, them = ("s wait", "them") if before.waiting != 1 else (" waits", "it")
        found = f"{before.waiting:,} job{many} in {where}, and plg's own workers would take {them}"
    raise TargetError("refused", found, _WAYS_OUT)


_NAMED = 3
_WAYS_OUT = "empty the queue, name another one, take `workers` out of the scenario, or let them take all with --force"


def blind_limits(limits: Guardrails, recording: Recording) -> tuple[str, ...]:
    """A remark where a limit stopped nothing, and could not have said that it was passed."""
    depths = recording.samples["queue_depth"]
    unseen = sum(math.isnan(depth) for depth in depths)
    if limits.emergency_stop or not unseen or not limits.queue_limits:
        return ()
    names = " and ".join(limits.queue_limits)
    return (f"{names} did not hold all the time: {unseen:,} of {len(depths):,} looks at the queues failed",)


_PATIENCE = 1.0
"""Seconds that jobs at hand get to fail before those that did are counted."""


def failed_since(before: Depth | None, target: Target, clock: Clock) -> int | None:
    """Jobs that have failed in the workers since the look ``before`` the run; None where that cannot be seen."""
    if before is None or before.dead is None:
        return None
    probe, until = target.probe(), clock.now() + _PATIENCE
    try:
        probe.rehearse()
        look = probe.look()
        while look.in_flight and clock.now() < until:
            clock.sleep_until(clock.now() + _PATIENCE / 10)
            look = probe.look()
    except TargetError:
        return None
    finally:
        probe.close()
    return None if look.dead is None else max(0, look.dead - before.dead)


def found_waiting(before: Depth | None, queues: Sequence[QueueInUse]) -> tuple[str, ...]:
    """A remark where the queues held jobs before the run, whose waiting counts into depth and age."""
    depth = 0 if before is None else before.waiting
    if not depth:
        return ()
    where = f"in {queues[0].key!r}" if len(queues) == 1 else "in the queues"
    return (f"{depth:,} job{'s' if depth != 1 else ''} waited {where} before the first job of this run",)
