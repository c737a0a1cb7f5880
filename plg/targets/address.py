"""Where a server listens and how to be let in, read from a URL; the password never shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from plg.diagnostics import nearest
from plg.redaction import redact
from plg.targets.base import TargetError

SCHEMES = ("redis", "rediss", "unix")

_TIMEOUTS = ("socket_connect_timeout", "socket_timeout", "timeout")
_TAKEN = frozenset(
    {
        "db", "username", "password", "client_name", *_TIMEOUTS,
        "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname",
        "ssl_ciphers", "ssl_keyfile", "ssl_min_version", "ssl_password",
    }
)  # fmt: skip
# Applications put these into the same URL. They steer a client's pool and decoding, which plg has none of.
_PASSED_OVER = frozenset(
    {
        "decode_responses", "encoding", "encoding_errors", "health_check_interval", "legacy_responses",
        "max_connections", "protocol", "retry_on_error", "retry_on_timeout", "socket_keepalive", "socket_read_size",
    }
)  # fmt: skip


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
    fault = _fault(url)
    if fault:
        raise TargetError("refused", f"{shown} is not a usable target: {fault}")
    from redis.connection import parse_url

    try:
        options = dict(parse_url(url))  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    except ValueError as error:
        raise TargetError("refused", f"{shown} is not a usable target: {str(error).rstrip('.')}") from None
    options.pop("connection_class", None)
    wish = next((options[name] for name in _TIMEOUTS if name in options), None)
    kept = {name: value for name, value in options.items() if name not in _TIMEOUTS and name not in _PASSED_OVER}
    return Address(shown, url.partition("://")[0], url, kept, wish)


def _fault(url: str) -> str | None:
    """What is wrong with the URL, in words that repeat no part of it that might be a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the port must be a number from 1 to 65535; in a password write / as %2F, ? as %3F, # as %23, @ as %40"
    if parts.scheme not in SCHEMES:
        return "it must start with redis://, rediss:// or unix://, or be the word embedded or fake"
    if parts.fragment:
        return "it holds a #; in a password write it as %23"
    return _place_fault(parts, port) or _option_fault(parts)


def _place_fault(parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme == "unix":
        if parts.hostname:
            return "a socket needs an absolute path: unix:///run/redis.sock (three slashes)"
        if "\0" in unquote(parts.path):
            return "the path of a socket holds no NUL"
        return None if parts.path.strip("/") else "the path of the socket is missing: unix:///run/redis.sock"
    # What a library makes of the rest of such a name is not what a person or a policy reads: a NUL, for one, ends it.
    if any(not character.isprintable() or character.isspace() for character in unquote(parts.hostname or "")):
        return "the name of a host holds neither blanks nor control characters"
    if port == 0:
        return "the port must be a number from 1 to 65535"
    database = parts.path.strip("/")
    if database and not (database.isascii() and database.isdigit()):
        return "the part after the host is the number of a database, such as /0"
    return None


def _option_fault(parts: SplitResult) -> str | None:
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _PASSED_OVER:
            continue
        if name not in _TAKEN:
            near = nearest(name, _TAKEN)
            # The name itself is repeated only where it resembles a known one: it may be a piece of a password.
            return f"unknown option {name!r}, did you mean {near!r}?" if near else "the part after the ? is not known"
        if name == "db" and not (value.isascii() and value.isdigit()):
            return "db must be the number of a database"
        if name.startswith("ssl_") and parts.scheme != "rediss":
            return f"{name} has a meaning only for rediss://"
        if name == "ssl_cert_reqs" and value not in ("none", "optional", "required"):
            return "ssl_cert_reqs must be none, optional or required"
    return None
