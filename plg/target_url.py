"""What the URL of a target may look like: rules of its text alone, which hold before anything is connected."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from plg.diagnostics import nearest
from plg.sentinel_url import SCHEMES as BY_SENTINELS
from plg.sentinel_url import is_sentinel, take_apart
from plg.units import parse_duration

SCHEMES = ("redis", "rediss", "unix", *BY_SENTINELS)

_ALIASES = {
    "valkey": "redis", "valkeys": "rediss", "valkey+sentinel": "redis+sentinel", "valkeys+sentinel": "rediss+sentinel",
}  # fmt: skip
"""Schemes of other clients for the same protocol."""
_UNSEEN = "\ufeff\u200b\u2060"
"""A byte order mark and blanks of no width."""
WORDS = ("embedded", "fake")
"""Targets that are no URL."""

TIMEOUTS = ("socket_connect_timeout", "socket_timeout", "timeout")
_TAKEN = frozenset(
    {
        "db", "username", "wait", "password", "client_name", *TIMEOUTS,
        "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname",
        "ssl_ciphers", "ssl_keyfile", "ssl_min_version", "ssl_password",
    }
)  # fmt: skip
# Applications put these into the same URL. They steer a client's pool and decoding, which plg has none of.
PASSED_OVER = frozenset(
    {
        "decode_responses", "encoding", "encoding_errors", "health_check_interval", "legacy_responses",
        "max_connections", "protocol", "retry_on_error", "retry_on_timeout", "socket_keepalive", "socket_read_size",
    }
)  # fmt: skip
_WHOLE = ("max_connections", "health_check_interval", "protocol")


def normalized(target: str) -> str:
    """``target`` as it is meant: without the blanks, line ends and quotes that files and secrets put around it, the
    scheme in small letters, Valkey's own schemes as those of Redis."""
    text = _bare(target)
    if text.lower() in WORDS:
        return text.lower()
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    return f"{_ALIASES.get(scheme.lower(), scheme.lower())}://{rest}"


def missing(variable: str, environ: Mapping[str, str]) -> str | None:
    """Why a variable names no target: ``not set``, or ``empty`` as CI makes a missing secret. None where it does."""
    if normalized(environ.get(variable, "")):
        return None
    return "empty" if variable in environ else "not set"


def fallen_back(target: object, environ: Mapping[str, str]) -> tuple[str, ...]:
    """A remark where the ``target`` of a document is a variable that names none, and something else instead."""
    if isinstance(target, Mapping):
        target = target.get("url", target)
    if not isinstance(target, Mapping) or not isinstance(variable := target.get("env"), str):
        return ()
    how = missing(variable, environ)
    place = target.get("default")
    return () if how is None else (f"{variable} is {how}: the jobs go to {place}, as the scenario says",)


def _bare(text: str) -> str:
    """``text`` without what files of variables put around a value: blanks, marks that nobody sees, quotes."""
    while True:
        bare = text.strip().strip(_UNSEEN)
        if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
            bare = bare[1:-1]
        if bare == text:
            return bare
        text = bare


def wait_of(target: str) -> float:
    """Seconds that the target's own URL asks to wait for a server that is not up yet; 0 where it says nothing."""
    _, _, query = target.partition("?")
    found = dict(parse_qsl(query)).get("wait")
    return parse_duration(found) if found is not None and _is_duration(found) else 0.0


def url_fault(url: str) -> str | None:
    """What is wrong with the URL, in words that repeat no part of it that might be a password."""
    if any(not " " <= character != "\x7f" for character in url):
        return "it holds control characters"
    if is_sentinel(url):
        return _sentinel_fault(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        if "[" not in url and "]" not in url:
            return "it holds letters that no host can have; in a password write them in percent encoding"
        return "an address in [ ] must be one of IPv6, such as [::1]; in a password write [ as %5B and ] as %5D"
    try:
        port = parts.port
    except ValueError:
        return "the port must be a number from 1 to 65535; in a password write / as %2F, ? as %3F, # as %23, @ as %40"
    if parts.scheme not in SCHEMES:
        return (
            "it must start with redis://, rediss://, redis+sentinel://, valkey://, valkeys:// or unix://, or be "
            "embedded or fake"
        )
    if parts.fragment:
        return "it holds a #; in a password write it as %23"
    return _place_fault(parts, port) or _option_fault(parts)


def _sentinel_fault(url: str) -> str | None:
    if "#" in url:
        return "it holds a #; in a password write it as %23"
    try:
        parts = take_apart(url)
    except ValueError as error:
        return str(error)
    scheme = parts.plain.partition("://")[0]
    places = (url_fault(f"{scheme}://{place}") for place in parts.places)
    return next(filter(None, places), None) or url_fault(parts.plain)


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
        if (name in TIMEOUTS and not _is_number(value)) or (
            name in _WHOLE and not (value.isascii() and value.isdigit())
        ):
            return f"{name} must be a number"
        if name in PASSED_OVER:
            continue
        if name == "wait" and not _is_duration(value):
            return "wait must be a duration such as 30s"
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


def _is_duration(value: str) -> bool:
    try:
        parse_duration(value)
    except ValueError:
        return False
    return True


def _is_number(value: str) -> bool:
    try:
        return value.isascii() and 0 <= float(value) < float("inf")
    except ValueError:
        return False
