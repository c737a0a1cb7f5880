"""Where a server listens and how to be let in, read from a URL; the password never shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from plg.dataclass import dataclass
from plg.redaction import SHORT, PlainWord, hide, redact
from plg.sentinel_url import is_sentinel, take_apart
from plg.target_url import PASSED_OVER, TIMEOUTS, normalized, url_fault
from plg.targets.base import TargetError
from plg.units import parse_duration

if TYPE_CHECKING:
    from plg.targets.gate import Gate


_ORDINARY = frozenset({"user", "username", "default", "redis", "valkey", "admin", "root", "client", "server"})
"""Names that servers use for words of their own: to hide them would hide nothing and make sentences of riddles."""


class Roster:
    """Where the master is by what its Sentinels said last, and how often that changed, for all who connect to it."""

    def __init__(self) -> None:
        self.place: tuple[str, int] | None = None
        self.changes = 0

    def heard(self, place: tuple[str, int]) -> None:
        """A Sentinel said that the master is there."""
        if self.place not in (None, place):
            self.changes += 1
        self.place = place


@dataclass(frozen=True, slots=True)
class Address:
    """One server. ``shown`` is the URL without its password: the only spelling that may reach a person or a file.

    ``options`` are the keyword arguments of a redis-py connection, ``connect_timeout`` (s) is the URL's own wish,
    ``wait`` (s) how long a server that is not up yet is waited for. A ``gate`` judges each host before it is let in to.
    Where there are ``sentinels``, one of them is asked for the server, called ``master``, at each connection: the host
    and port among the options are those of the first Sentinel.
    """

    shown: str
    scheme: str
    url: str = field(repr=False)
    options: Mapping[str, object] = field(repr=False)
    connect_timeout: float | None = None
    wait: float | None = None
    gate: Gate | None = field(default=None, repr=False)
    sentinels: tuple[Address, ...] = ()
    master: str = ""
    roster: Roster = field(default_factory=Roster, repr=False, compare=False)

    def hide(self, text: str) -> str:
        """What somebody else said, without the secrets of this address in it."""
        return hide(text, self.secrets)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Each password as it is, as the URL spells it, and with the name it is for, as it is sent by some."""
        user, password = (str(self.options.get(name) or "") for name in ("username", "password"))
        written, _, _ = self.url.partition("://")[2].partition("?")[0].rpartition("@")
        spelled = written.partition(":")[2] if ":" in written else ""
        found = [password, str(self.options.get("ssl_password") or ""), spelled]
        if len(password) >= SHORT:
            found.append(f"{user}:{password}")
        if not password and user.lower() not in _ORDINARY:
            # A lone name is as often a token. One of letters alone may be a part of what a server says anyway.
            found += [PlainWord(user)] if user.isalpha() else [user, written]
        found += [secret for each in self.sentinels[:1] for secret in each.secrets]
        return tuple(dict.fromkeys(filter(None, found)))


def secrets_of(target: str) -> tuple[str, ...]:
    """The secrets in a target; none where it is no URL that could be connected to."""
    if "://" not in target:
        return ()
    try:
        return parse_address(target).secrets
    except TargetError:
        return ()


def parse_address(url: str, gate: Gate | None = None) -> Address:
    """Reads ``redis://``, ``rediss://`` (TLS) and ``unix://`` URLs; ``valkey://`` and ``valkeys://`` are the first two.
    With ``+sentinel`` before the colon the URL names the Sentinels of a master (`plg.sentinel_url`).

    Raises `TargetError` of kind ``refused`` for a URL that cannot be meant, rather than guess a host or a database.
    """
    url = normalized(url)
    shown = redact(url)
    fault = url_fault(url)
    if fault:
        raise TargetError("refused", f"{shown} is not a usable target: {fault}")
    if is_sentinel(url):
        return _by_sentinels(url, shown, gate)
    options = _options(url, shown)
    wait = options.pop("wait", None)
    wish = next((options[name] for name in TIMEOUTS if name in options), None)
    kept = {name: value for name, value in options.items() if name not in TIMEOUTS and name not in PASSED_OVER}
    return Address(
        shown, url.partition("://")[0], url, kept, wish, None if wait is None else parse_duration(str(wait)), gate
    )


def _options(url: str, shown: str) -> dict[str, Any]:
    """The options of a URL as redis-py reads them. Raises `TargetError`."""
    from redis.connection import parse_url

    try:
        options = dict(parse_url(url))  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    except ValueError:
        raise TargetError("refused", f"{shown} is not a usable target: an option after the ? cannot be read") from None
    options.pop("connection_class", None)
    return options


def _by_sentinels(url: str, shown: str, gate: Gate | None) -> Address:
    """The address of a master that its Sentinels tell of. TLS, where it is asked for, holds for them too."""
    parts = take_apart(url)
    master = parse_address(parts.plain, gate)
    scheme = parts.plain.partition("://")[0]
    of_all = {name: value for name, value in master.options.items() if name.startswith("ssl_")}
    opening = {name.removeprefix("sentinel_"): value for name, value in parts.own.items()}
    spelled = ""
    if "password" in opening:
        spelled = ":".join(quote(opening.get(name, ""), safe="") for name in ("username", "password")) + "@"
    sentinels = []
    for place in parts.places:
        there = _options(f"{scheme}://{place}", shown)
        options = of_all | opening | {"host": there["host"], "port": there["port"]}
        sentinels.append(Address(f"{scheme}://{place}", scheme, f"{scheme}://{spelled}{place}", options, gate=gate))
    return replace(
        master, shown=shown, scheme=url.partition("://")[0], url=url, sentinels=tuple(sentinels), master=parts.master
    )
