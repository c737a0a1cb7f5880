"""Where a server listens and how to be let in, read from a URL; the password never shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plg.redaction import redact
from plg.target_url import PASSED_OVER, TIMEOUTS, url_fault
from plg.targets.base import TargetError


@dataclass(frozen=True, slots=True)
class Address:
    """One server. ``shown`` is the URL without its password: the only spelling that may reach a person or a file.

    ``options`` are the keyword arguments of a redis-py connection, ``connect_timeout`` (s) is the URL's own wish.
    """

    shown: str
    scheme: str
    url: str = field(repr=False)
    options: Mapping[str, object] = field(repr=False)
    connect_timeout: float | None = None


def parse_address(url: str) -> Address:
    """Reads ``redis://``, ``rediss://`` (TLS) and ``unix://`` URLs.

    Raises `TargetError` of kind ``refused`` for a URL that cannot be meant, rather than guess a host or a database.
    """
    shown = redact(url)
    fault = url_fault(url)
    if fault:
        raise TargetError("refused", f"{shown} is not a usable target: {fault}")
    from redis.connection import parse_url

    try:
        options = dict(parse_url(url))  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    except ValueError as error:
        raise TargetError("refused", f"{shown} is not a usable target: {str(error).rstrip('.')}") from None
    options.pop("connection_class", None)
    wish = next((options[name] for name in TIMEOUTS if name in options), None)
    kept = {name: value for name, value in options.items() if name not in TIMEOUTS and name not in PASSED_OVER}
    return Address(shown, url.partition("://")[0], url, kept, wish)
