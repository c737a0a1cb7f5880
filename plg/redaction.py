"""Passwords out of URLs, before anything is shown or written."""

from __future__ import annotations

from urllib.parse import unquote_plus

HIDDEN = "***"
_SECRETS = frozenset({"password", "passwd", "auth", "ssl_password"})


def redact(url: str) -> str:
    """``url`` with every password replaced by ``***``; holds for URLs that are malformed too.

    A lone name before the ``@`` is hidden as well: it is as often a token as a name.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    place, mark, query = rest.partition("?")
    pieces = [_redact_option(piece) for piece in query.split("&")]
    rest = place + mark + "&".join(pieces)
    # From the right: a password may hold an unescaped @, / or ?.
    userinfo, at, place = rest.rpartition("@")
    if not at:
        return url if rest == url.partition("://")[2] else f"{scheme}://{rest}"
    user, colon, _ = userinfo.partition(":")
    if colon:
        return f"{scheme}://{user}:{HIDDEN}@{place}"
    return f"{scheme}://{user if f'password={HIDDEN}' in place else HIDDEN}@{place}"


def _redact_option(piece: str) -> str:
    name, equals, _ = piece.partition("=")
    return f"{name}={HIDDEN}" if equals and unquote_plus(name).lower() in _SECRETS else piece
