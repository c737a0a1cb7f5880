"""The URL of a master that its Sentinels tell of, taken apart: rules of its text alone.

``redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/MASTER[/DB][?OPTIONS]``. User, password and options are
the master's, as in a URL of its own; ``sentinel_username`` and ``sentinel_password`` are those of the Sentinels.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlencode

from plg.dataclass import dataclass

SCHEMES = ("redis+sentinel", "rediss+sentinel")
PORT = 26379
OWN_OPTIONS = ("sentinel_username", "sentinel_password")
_PLACE = re.compile(r"\[[^\[\]]*\](?::(?P<in6>.*))?|[^:\[\]]+(?::(?P<port>.*))?")


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """``places`` are where the Sentinels listen, each ``HOST:PORT``; ``plain`` is the URL that the master would have at
    the first of them, and ``own`` what opens the Sentinels, by the names of `OWN_OPTIONS`."""

    places: tuple[str, ...]
    master: str
    plain: str
    own: dict[str, str]


def is_sentinel(url: str) -> bool:
    """Whether the URL names a master by its Sentinels."""
    return url.partition("://")[0] in SCHEMES


def take_apart(url: str) -> SentinelUrl:
    """The parts of a URL that `is_sentinel`. Raises `ValueError`, in words that repeat nothing of it."""
    scheme, _, rest = url.partition("://")
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    if "@" in path:
        raise ValueError("in a password write / as %2F, ? as %3F, # as %23, @ as %40")
    userinfo, at, hosts = authority.rpartition("@")
    places = tuple(map(_place, hosts.split(",")))
    master, _, database = path.partition("/")
    if not master:
        raise ValueError(f"the name of the master is missing: {scheme}://HOST:{PORT}/MASTER/0")
    options = parse_qsl(query, keep_blank_values=True)
    own = {name: value for name, value in options if name in OWN_OPTIONS}
    kept = urlencode([(name, value) for name, value in options if name not in OWN_OPTIONS])
    plain = f"{scheme.partition('+')[0]}://{userinfo}{at}{places[0]}/{database}" + f"?{kept}" * bool(kept)
    return SentinelUrl(places, unquote(master), plain, own)


def _place(text: str) -> str:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError("each Sentinel is HOST or HOST:PORT, with a comma between two of them")
    port = found["in6"] or found["port"]
    if port is None:
        return f"{text.rstrip(':')}:{PORT}"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("the port of each Sentinel must be a number from 1 to 65535")
    return text
