"""Which host a target is, in one spelling, so that no other spelling of it slips past a policy.

The host is taken from the very options that the connection is opened with, never parsed a second time. Case, a trailing
dot, brackets, userinfo, port, percent-escapes, full-width letters, old numeric forms of an IPv4 address and every way
to write the machine itself come out alike. What a name resolves to is not asked beforehand: a policy must say the same
with and without a network. Each address that a connection is about to be made to is judged then (`plg.targets.gate`).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from plg.dataclass import dataclass
from plg.target_url import WORDS

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names of this machine; a pattern that matches any of them matches all its spellings."""
ANY = "*"

_OLD_IPV4 = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+)){0,3}")
_NAME_PATTERN = re.compile(r"(?!-)[\w.*?-]+")
_IPV6_PATTERN = re.compile(r"[0-9a-f:.*?]*:[0-9a-f:.*?]*")
_LOCAL_NAMES = re.compile(r"(?:.*\.)?(?:localhost|localhost\.localdomain|ip6-localhost|ip6-loopback)")


def names_of(target: str) -> tuple[str, ...]:
    """The names a target goes by, the plainest first: several only for this machine.

    ``embedded`` and ``fake`` are themselves, a unix socket is this machine; a master goes by the names of its Sentinels
    until it is connected to. Raises `TargetError` for a URL that does
    not say clearly where it leads.
    """
    if "://" not in target:
        return (target,)
    from plg.targets.address import parse_address

    address = parse_address(target)
    if address.scheme == "unix":
        return LOOPBACK
    if address.sentinels:
        return names_at(*(str(each.options["host"]) for each in address.sentinels))
    return names_at(str(address.options.get("host") or "localhost"))


@dataclass(frozen=True, slots=True)
class Door:
    """What of a host is connected to; None where that cannot be told, as the port of a unix socket."""

    port: int | None = None
    database: int | None = None

    @staticmethod
    def of(options: Mapping[str, object]) -> Door:
        """By the options that a connection is opened with."""
        database = int(str(options.get("db") or 0))
        return Door(None if "path" in options else int(str(options.get("port") or 6379)), database)


ANY_DOOR = Door()


def door_of(target: str) -> Door:
    """The port and the database of a target. Raises `TargetError` as `names_of`."""
    if "://" not in target:
        return ANY_DOOR
    from plg.targets.address import parse_address

    address = parse_address(target)
    found = Door.of(address.options)
    # Where the master of some Sentinels listens is known once it is connected to.
    return Door(None, found.database) if address.sentinels else found


class Placed(Protocol):
    """A rule for some hosts, and some ports and databases of them; for all where there are none."""

    @property
    def patterns(self) -> tuple[str, ...]: ...
    @property
    def ports(self) -> tuple[int, ...]: ...
    @property
    def databases(self) -> tuple[int, ...]: ...


P = TypeVar("P", bound=Placed)


def holding(rules: Sequence[P], names: tuple[str, ...], door: Door) -> list[P]:
    """The rules that hold for a host of these names, in their order: those that name it, and the catch-alls where no
    other one is known to.

    A rule for some ports holds for a door whose port cannot be told, and leaves the catch-all in force there as well:
    of two rules that may hold both do.
    """
    there = [rule for rule in rules if _may_mean(rule, door)]
    named = [rule for rule in there if any(p != ANY and matches(names, p) for p in rule.patterns)]
    certain = any(
        (door.port is not None or not rule.ports) and (door.database is not None or not rule.databases)
        for rule in named
    )
    return [rule for rule in there if rule in named or (not certain and ANY in rule.patterns)]


def _may_mean(rule: Placed, door: Door) -> bool:
    port = not rule.ports or door.port is None or door.port in rule.ports
    return port and (not rule.databases or door.database is None or door.database in rule.databases)


def names_at(host: str, *addresses: str) -> tuple[str, ...]:
    """The names of a ``host`` that was found at some ``addresses``, the plainest first."""
    names = tuple(dict.fromkeys(map(canonical, (host, *addresses))))
    if any(map(_is_this_machine, names)):
        return tuple(dict.fromkeys((*LOOPBACK, *names)))
    return names


def canonical(host: str) -> str:
    """One spelling of a host name or address."""
    text = host.strip().removeprefix("[").removesuffix("]").partition("%")[0].strip()
    address = _address(text)
    if address is not None:
        return address
    # What the resolver does to a name, full-width letters and dots of other scripts included; it refuses the rest.
    with contextlib.suppress(UnicodeError):
        text = text.encode("idna").decode("ascii")
    text = text.lower().rstrip(".")
    return _address(text) or text


def _address(text: str) -> str | None:
    try:
        if _OLD_IPV4.fullmatch(text):
            return socket.inet_ntoa(socket.inet_aton(text))
        address = ipaddress.ip_address(text)
    except (ValueError, OSError):
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def is_address(host: str) -> bool:
    """Whether a host is written as an address, in whatever form, and not as a name."""
    return _address(canonical(host)) is not None


def is_local(address: str) -> bool:
    """Whether an address is one of this machine: of the loopback interface or of another one."""
    plain = canonical(address)
    if _is_this_machine(plain):
        return True
    try:
        with socket.socket(socket.AF_INET6 if ":" in plain else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((plain, 0))
    except OSError:
        return False
    return True


def is_plain_name(pattern: str) -> bool:
    """Whether a pattern is the name of one other machine: neither an address nor a network, and without wildcards."""
    if pattern in WORDS or not _NAME_PATTERN.fullmatch(pattern) or ANY in pattern or "?" in pattern:
        return False
    return _address(pattern) is None and not _is_this_machine(canonical(pattern))


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _LOCAL_NAMES.fullmatch(host) is not None
    # Connecting to the unspecified address reaches this machine as well.
    return address.is_loopback or address.is_unspecified


def pattern_fault(pattern: str) -> str | None:
    """Why ``pattern`` could never match a host, or None where it can."""
    if "://" in pattern or "@" in pattern:
        return "is a URL; write the host alone"
    if "/" in pattern:
        return None if _network(pattern) is not None else "is no network such as 10.1.0.0/16"
    bare = pattern.removeprefix("[").removesuffix("]").lower()
    if _IPV6_PATTERN.fullmatch(bare) and not re.fullmatch(r"[^:]*:\d+", bare):
        return None if ANY in bare or "?" in bare or _address(bare) is not None else "is no IPv6 address"
    if ":" in pattern:
        return "has a port; write it in the list `ports` beside `hosts`"
    return None if _NAME_PATTERN.fullmatch(pattern) else "is no host name, address, network or pattern of them"


def matches(names: tuple[str, ...], pattern: str) -> bool:
    """Whether ``pattern`` (a name, an address, a network, or ``*`` and ``?`` in them) covers one of ``names``."""
    network = _network(pattern)
    if network is not None:
        return any(_within(name, network) for name in names)
    wanted = canonical(pattern)
    if _is_this_machine(wanted):
        return names[: len(LOOPBACK)] == LOOPBACK
    # [ is no wildcard in a host.
    return any(fnmatchcase(name, wanted.replace("[", "[[]")) for name in names)


def _network(pattern: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in pattern:
        return None
    try:
        return ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return None


def _within(name: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(name) in network
    except ValueError:
        return False
