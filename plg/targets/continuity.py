"""Whether a server kept what it confirmed, by what its INFO says before a run and after it."""

from __future__ import annotations

import re

from plg.dataclass import dataclass
from plg.targets.address import Address
from plg.targets.base import Target, TargetError
from plg.targets.client import Client

_TIMEOUT = 0.5
_MOVED = "the master changed during the run, from {} to {}: what the former had confirmed and not yet handed on is lost"
RESTARTED = "the server was restarted during the run: jobs that were confirmed may be lost"


@dataclass(frozen=True, slots=True)
class Standing:
    """The process that answers at an address (``run_id``), where that listens (``place``), and how many keys it has
    ``evicted``; None: not told."""

    address: Address
    run_id: str | None
    evicted: int | None
    place: str = ""


def take_standing(target: Target) -> tuple[Standing, ...]:
    """The standing of each server that holds queues of the scenario; none of those that do not answer soon."""
    cluster = target.cluster
    addresses = [target.address] if cluster is None else [cluster.address(node) for node in cluster.holdings()]
    return tuple(found for found in map(_ask, addresses) if found is not None)


def what_was_lost(before: tuple[Standing, ...]) -> str:
    """Why jobs that were confirmed since ``before`` may be lost; "" where nothing tells of it."""
    restarted, evicted, moved = False, 0, ""
    for old in before:
        new = _ask(old.address)
        if new is None or None in (old.run_id, new.run_id):
            continue
        if new.run_id != old.run_id and new.place != old.place:
            moved = _MOVED.format(old.place, new.place)
        else:
            restarted |= new.run_id != old.run_id
        if new.run_id == old.run_id and old.evicted is not None and new.evicted is not None:
            evicted += max(0, new.evicted - old.evicted)
    keys = f"the server evicted {evicted:,} key{'s' if evicted != 1 else ''} during the run" if evicted else ""
    return "; ".join(part for part in (RESTARTED if restarted else "", moved, keys) if part)


def _ask(address: Address) -> Standing | None:
    patience = _TIMEOUT * (1 + len(address.sentinels))
    client = Client(address, connect_timeout=patience, answer_timeout=_TIMEOUT)
    try:
        [about] = client.ask([("INFO",)])
        place = client.place
    except TargetError:
        return None
    finally:
        client.close()
    if not isinstance(about, bytes):
        return None
    run_id, evicted = (
        re.search(rb"^" + name + rb":(\w+)", about, re.MULTILINE) for name in (b"run_id", b"evicted_keys")
    )
    return Standing(
        address,
        run_id[1].decode() if run_id else None,
        int(evicted[1]) if evicted and evicted[1].isdigit() else None,
        place,
    )
