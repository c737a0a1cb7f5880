"""Passwords out of URLs, before anything is shown or written."""

from __future__ import annotations

import re
from itertools import takewhile
from urllib.parse import unquote_plus

HIDDEN = "***"
_SCHEMELESS = re.compile(r"[^\s@]*:\S*@\S*")
_WORD = re.compile(r"""\"((?:[^"\\]|\\.)+)"?|'([^']+)'|([^\s"]+)""")
_SECRETS = frozenset({"password", "passwd", "auth", "ssl_password"})


def redact(url: str) -> str:
    """``url`` with every password replaced by ``***``; holds for URLs that are malformed too, and without a scheme.

    A lone name before the ``@`` is hidden as well: it is as often a token as a name.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    place, mark, query = rest.partition("?")
    pieces = [_redact_option(piece) for piece in query.split("&")]
    rest = place + mark + "&".join(pieces)
    # From the right: a password may hold an unescaped @, / or ?.
    userinfo, at, place = rest.rpartition("@")
    if not at:
        return scheme + separator + rest
    user, colon, _ = userinfo.partition(":")
    if colon:
        return f"{scheme}{separator}{user}:{HIDDEN}@{place}"
    return f"{scheme}{separator}{user if f'password={HIDDEN}' in place else HIDDEN}@{place}"


def conceal(text: str) -> str:
    """``text`` redacted where it looks like a URL: with ``://``, or without blanks and with a ``:`` before an ``@``."""
    return redact(text) if "://" in text or _SCHEMELESS.fullmatch(text) else text


def hidden_stretches(line: str) -> list[tuple[int, int, str]]:
    """Start, end and stand-in of each stretch of a line of source that holds a password, in order.

    Strings in quotes are taken whole, since a password may hold blanks; other text word by word.
    """
    found = []
    for match in _WORD.finditer(line):
        word = match[match.lastindex or 0]
        shown = conceal(word)
        if shown == word:
            continue
        first, last = match.span(match.lastindex or 0)
        same = _alike(word, shown)
        tail = _alike(word[same:][::-1], shown[same:][::-1])
        found.append((first + same, last - tail, shown[same : len(shown) - tail]))
    return found


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _redact_option(piece: str) -> str:
    name, equals, _ = piece.partition("=")
    return f"{name}={HIDDEN}" if equals and unquote_plus(name).lower() in _SECRETS else piece
