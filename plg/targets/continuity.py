"""Whether a server kept what it confirmed, by what its INFO says before a run and after it."""

from __future__ import annotations

import re

from plg.dataclass import dataclass
from plg.targets.address import Address
from plg.targets.base import Target, TargetError
from plg.targets.client import Client

_TIMEOUT = 0.5
_TOLD = ("run_id", "evicted_keys", "expired_keys")
_MOVED = "the master changed during the run, from {} to {}: what the former had confirmed and not yet handed on is lost"
RESTARTED = "the server was restarted during the run: jobs that were confirmed may be lost"


@dataclass(frozen=True, slots=True)
class Standing:
    """The process that answers at an address (``run_id``), where that listens (``place``), how many keys it has
    ``evicted``, and how many have ``expired``; None: not told."""

    address: Address
    run_id: str | None
    evicted: int | None
    expired: int | None
    place: str


@dataclass(frozen=True, slots=True)
class Lapse:
    """What servers did not keep: they were ``restarted``, ``moved`` to others (in words), or removed keys by
    themselves."""

    restarted: bool = False
    moved: str = ""
    evicted: int = 0
    expired: int = 0

    @property
    def words(self) -> str:
        """Why jobs that were confirmed may be lost; "" where nothing tells of it."""
        many = f"{self.evicted:,} key{'s' if self.evicted != 1 else ''}"
        keys = f"the server evicted {many} during the run" if self.evicted else ""
        return "; ".join(part for part in (RESTARTED if self.restarted else "", self.moved, keys) if part)


def take_standing(target: Target) -> tuple[Standing, ...]:
    """The standing of each server that holds queues of the scenario; none of those that do not answer soon."""
    cluster = target.cluster
    addresses = [target.address] if cluster is None else [cluster.address(node) for node in cluster.holdings()]
    return tuple(found for found in map(_ask, addresses) if found is not None)


def what_was_lost(before: tuple[Standing, ...]) -> Lapse:
    """What the servers did not keep since ``before``."""
    restarted, moved, evicted, expired = False, "", 0, 0
    for old in before:
        new = _ask(old.address)
        if new is None or None in (old.run_id, new.run_id):
            continue
        if new.run_id != old.run_id and new.place != old.place:
            moved = _MOVED.format(old.place, new.place)
        else:
            restarted |= new.run_id != old.run_id
        if new.run_id == old.run_id:
            evicted += _more(old.evicted, new.evicted)
            expired += _more(old.expired, new.expired)
    return Lapse(restarted, moved, evicted, expired)


def _more(old: int | None, new: int | None) -> int:
    return 0 if old is None or new is None else max(0, new - old)


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
    found = [re.search(rb"^%s:(\w+)" % name.encode(), about, re.MULTILINE) for name in _TOLD]
    run_id, *counts = [match and match[1].decode() for match in found]
    evicted, expired = (int(count) if count and count.isdigit() else None for count in counts)
    return Standing(address, run_id, evicted, expired, place)
