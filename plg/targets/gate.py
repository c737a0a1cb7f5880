"""Which hosts a run may connect to: what its policy says of each, as plain data that other processes can be given."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, field
from typing import Any

from plg.dataclass import dataclass
from plg.targets.dialing import look_up
from plg.targets.hosts import (
    ANY_DOOR,
    LOOPBACK,
    Door,
    canonical,
    holding,
    is_address,
    is_local,
    is_plain_name,
    names_at,
)

_PATIENCE = 1.0
"""Seconds in which the names of a policy are looked up."""
_FRESH = 30.0
"""Seconds after which they are looked up again."""


@dataclass(frozen=True, slots=True)
class Zone:
    """An environment of a policy as a connection meets it: its hosts, and what keeps the run from them.

    ``lowered`` is the first limit of the run that is higher than a ceiling there, "" where none is. Where there are no
    ``ports`` or ``databases``, all of them are meant. ``unasked``: it has rules beside its ceilings, such as hours,
    that the run was not held against.
    """

    name: str
    file: str
    patterns: tuple[str, ...]
    allow: bool = True
    lowered: str = ""
    ports: tuple[int, ...] = ()
    databases: tuple[int, ...] = ()
    unasked: bool = False

    def refusal(self, shown: str) -> str | None:
        """Why no connection may be made to the host ``shown``, which is in this zone; None where one may."""
        if not self.allow:
            return f"the policy allows no load on {shown} (environment {self.name} of {self.file})"
        if self.lowered:
            start = f"apply it from the start: --env {self.name}"
            return f"jobs would go to {shown}, where a lower ceiling holds: {self.lowered} ({start})"
        if self.unasked:
            start = f"apply them from the start: --env {self.name}"
            return (
                f"jobs would go to {shown}, where environment {self.name} of {self.file} has rules of its own ({start})"
            )
        return None


class Directory:
    """The hosts that a policy calls by name, and their addresses, so that an address alone is known for what it is.

    A name that is not found counts as having none. It may be asked by several threads.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._known = dict.fromkeys(names, frozenset[str]())
        self._until = float("-inf")
        self._lock = threading.Lock()

    def names_of(self, address: str) -> tuple[str, ...]:
        """The names that lead to an address."""
        with self._lock:
            if self._known and time.monotonic() > self._until:
                self._look_up()
                self._until = time.monotonic() + _FRESH
        place = _place(address)
        return tuple(name for name, places in self._known.items() if place in places)

    def _look_up(self) -> None:
        """Ask for all names at once; one that is not answered in time keeps the addresses it had."""
        threads = [threading.Thread(target=self._find, args=(name,), daemon=True) for name in self._known]
        end = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _find(self, name: str) -> None:
        try:
            found = look_up(name, 0, _PATIENCE)
        except OSError:
            return
        self._known[name] = frozenset(_place(str(place[0])) for *_, place in found)


def _place(address: str) -> str:
    """An address in one spelling; all addresses of this machine are one place."""
    return LOOPBACK[0] if is_local(address) else canonical(address)


@dataclass(frozen=True, slots=True)
class Gate:
    """Judges each host that a connection is about to be made to, by ``files`` of zones.

    A node of a cluster, a redirect and a name that changes during the run may lead where other rules hold. A host in a
    zone with lower ceilings is refused, since a run has one set of limits.
    """

    files: tuple[tuple[Zone, ...], ...]
    _directory: Directory = field(repr=False, compare=False)

    @staticmethod
    def of(files: Iterable[Sequence[Zone]]) -> Gate:
        kept = tuple(tuple(zones) for zones in files)
        patterns = [pattern for zones in kept for zone in zones for pattern in zone.patterns]
        return Gate(kept, Directory(canonical(pattern) for pattern in patterns if is_plain_name(pattern)))

    def refusal(self, host: str, address: str, door: Door = ANY_DOOR) -> str | None:
        """Why no jobs may go to a host that is called so and was found at this address; None where they may.

        It is held against the policy under its name, its address, and every name of the policy that leads there, each
        address of this machine counting as localhost; and under its name alone, as a URL with that name is: where
        another name of the same machine has an environment of its own, this one is still under the catch-all.
        """
        called = self._directory.names_of(address)
        here = LOOPBACK if is_local(address) else ()
        names = names_at(host, address, *called, *here)
        alone = names_at(host, *called) if is_address(host) else names_at(host)
        shown = host if canonical(host) == canonical(address) else f"{host} at {address}"
        others = [name for name in called if name != canonical(host)]
        shown += f", which is {' and '.join(others)}" if others else ""
        for zones in self.files:
            for zone in dict.fromkeys((*holding(zones, names, door), *holding(zones, alone, door))):
                refusal = zone.refusal(shown)
                if refusal:
                    return refusal
        return None

    def to_document(self) -> list[list[dict[str, Any]]]:
        """The gate as JSON has it."""
        return [[asdict(zone) for zone in zones] for zones in self.files]

    @staticmethod
    def from_document(document: Sequence[Sequence[Mapping[str, Any]]]) -> Gate:
        """What `to_document` gave."""
        lists = ("patterns", "ports", "databases")
        return Gate.of(
            [Zone(**{**zone, **{name: tuple(zone.get(name, ())) for name in lists}}) for zone in zones]
            for zones in document
        )
