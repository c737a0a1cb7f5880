"""What of the queues would surprise whoever runs plg against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from plg.queues.owners.base import Owner
from plg.queues.owners.registry import OWNERS
from plg.targets.doctor.diagnosis import FoundQueue, Remark
from plg.targets.ownership import strange
from plg.targets.slots import slot_of
from plg.units import format_duration

_NAMED = 3
_BIG = 1000
"""Elements from which a list that no framework is known to own is called big."""


def on_queues(found: Sequence[FoundQueue]) -> Iterator[Remark]:
    """What the counts tell."""
    unread = [each for each in found if each.sight is None]
    if unread:
        yield Remark("queue-not-read", f"{_names(unread)} could not be read: {unread[0].why}")
    filled = [
        each for each in found if each.sight and (each.sight.waiting or each.sight.delayed or each.sight.in_flight)
    ]
    if filled:
        yield Remark(
            "queue-not-empty",
            f"{_names(filled)} {_verb(filled, 'holds', 'hold')} jobs already: a run counts them in queue_depth, "
            "queue_age and drain_time",
        )
    for each in found:
        if each.sight and each.sight.change.expires is not None:
            left = format_duration(each.sight.change.expires)
            yield Remark(
                "ttl", f"the key {each.queue.key!r} has a time to live: in {left} all that waits in it is gone"
            )
    big = [each for each in found if each.kind == "list" and each.sight and each.sight.waiting >= _BIG]
    if big:
        yield Remark(
            "unknown-list",
            f"{_names(big)} {_verb(big, 'is a list', 'are lists')} of {_BIG:,} elements or more, and no framework "
            "is known to own it: it may be no queue at all",
        )


def on_frameworks(found: Sequence[FoundQueue]) -> Iterator[Remark]:
    """What each framework among them is known for."""
    for owner in OWNERS:
        own = [each for each in found if each.kind in owner.kinds]
        if own:
            yield from (Remark(code, f"{owner.name}: {words}") for code, words in owner.surprises.items())


def on_streams(silent: Sequence[FoundQueue]) -> Iterator[Remark]:
    """``silent``: those that no consumer group reads."""
    if silent:
        yield Remark(
            "stream-without-groups",
            f"no consumer group reads {_names(silent)}: nothing is ever taken, and workers whose group is made later "
            "may see only what comes after it",
        )


def on_foreign_jobs(found: Sequence[FoundQueue], ends: Mapping[str, Sequence[bytes]]) -> Iterator[Remark]:
    """Queues of one framework that hold jobs of another one, by the jobs at the ends."""
    for each in found:
        own, values = _owner(each), ends.get(each.queue.key, ())
        if own is None:
            continue
        others = [owner for owner in OWNERS if owner is not own]
        how = next((how for owner in others for value in values if (how := owner.by_value(value))), None)
        if how is None and any(map(own.alien, values)):
            how = strange(own)
        if how:
            words = f"{each.queue.key!r} is a queue of {own.name}, but {how}: one of the two sends to the wrong queue"
            yield Remark("foreign-jobs", words)


def on_cluster(found: Sequence[FoundQueue]) -> Iterator[Remark]:
    """Queues of which one job is written to several slots, which scripts of a framework cannot reach together."""
    split = [each for each in found if len(set(_slots_of_a_job(each))) > 1]
    if split:
        yield Remark(
            "no-hash-tag",
            f"the keys of {_names(split)} lie in several slots of the cluster: scripts and transactions of a "
            "framework fail there, unless a part of the name or prefix stands in { }",
        )


def _slots_of_a_job(each: FoundQueue) -> Iterator[int]:
    announced = each.queue.announcement()
    for command in each.queue.rehearsal():
        if command not in announced:
            key = command[1]
            yield slot_of(key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key))


def _owner(each: FoundQueue) -> Owner | None:
    return next((owner for owner in OWNERS if each.kind in owner.kinds), None)


def _names(found: Sequence[FoundQueue]) -> str:
    told = ", ".join(f'{each.kind} "{each.name}"' for each in found[:_NAMED])
    return told + f" and {len(found) - _NAMED:,} more" * (len(found) > _NAMED)


def _verb(found: Sequence[FoundQueue], one: str, many: str) -> str:
    return one if len(found) == 1 else many
