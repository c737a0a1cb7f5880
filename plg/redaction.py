"""Passwords out of URLs, and secrets out of texts, before anything is shown or written."""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import takewhile
from types import TracebackType
from urllib.parse import quote, quote_plus, unquote_plus

HIDDEN = "***"
_SCHEMELESS = re.compile(r"[^\s@]*:\S*@\S*")
_WORD = re.compile(r"""\"((?:[^"\\]|\\.)+)"?|'([^']+)'|([^\s"]+)""")
_NO_PORT = re.compile(r"^([^\[\]/?:]*:)(?!\d*(?:[/?]|$))[^/?]*")
"""What stands after a host where only a port may: a user and a password whose @ and host were forgotten."""
_SHOWN = frozenset(
    {
        "db", "timeout", "socket_timeout", "socket_connect_timeout", "wait", "protocol", "client_name",
        "decode_responses", "encoding", "encoding_errors", "health_check_interval", "legacy_responses",
        "max_connections", "retry_on_error", "retry_on_timeout", "socket_keepalive", "socket_read_size", "ssl_ca_certs",
        "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_ciphers", "ssl_keyfile",
        "ssl_min_version",
    }
)  # fmt: skip
"""Options of a URL whose values are no secrets. Others are hidden: a misspelled ``passwort`` holds a password too."""
_ESCAPE = re.compile("%[0-9A-F]{2}")
_SEPARATOR = re.compile(r"[;&=?@]")
"""In the value of an option: there may be another one behind it."""
_TRUNCATED = 12
"""So many characters of a secret are known for it where a server cut off the rest."""
_TELLING = 4
"""So many characters of a shorter one, where a text ends with them or a quotation mark or an ellipsis follows."""
_CUT_OFF = re.compile(r"""(?=$|…|\.\.\.|["'`])""")
_LINE = 8
"""A line of a secret with fewer characters is no secret by itself."""
SHORT = 4
"""A secret with fewer characters is hidden only where it stands by itself: it may be a part of any word."""


class PlainWord(str):
    """A secret that may also be a part of ordinary words, and is hidden only where it stands by itself."""

    __slots__ = ()


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
        return scheme + separator + _NO_PORT.sub(rf"\g<1>{HIDDEN}", rest, count=1)
    user, colon, _ = userinfo.partition(":")
    if colon:
        return f"{scheme}{separator}{user}:{HIDDEN}@{place}"
    return f"{scheme}{separator}{user if f'password={HIDDEN}' in place else HIDDEN}@{place}"


def conceal(text: str) -> str:
    """``text`` redacted where it looks like a URL: with ``://``, or without blanks and with a ``:`` before an ``@``."""
    return redact(text) if "://" in text or _SCHEMELESS.fullmatch(text) else text


_known: set[str] = set()


def remember(secrets: Iterable[str]) -> None:
    """Have `hide_known` hide these in this process from now on, and each longer line of those that have several.

    Those of fewer than four characters are left out.
    """
    for secret in secrets:
        lines = secret.splitlines()
        _known.update(line for line in lines[1:] + lines[:1] if len(lines) > 1 and len(line.strip()) >= _LINE)
        if len(secret) >= SHORT:
            _known.add(secret)


def hide_known(text: str) -> str:
    """``text``, which somebody else made, without the values that this process was given as secrets."""
    return hide(text, _known)


def hide_in_tracebacks() -> None:
    """Have this process and its threads end with tracebacks that hold no such secret."""

    def tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if issubclass(kind, SystemExit):
            return
        with suppress(OSError, ValueError):
            print(hide_known("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)

    sys.excepthook = tell
    threading.excepthook = lambda told: tell(told.exc_type, told.exc_value, told.exc_traceback)


def hide(text: str, secrets: Iterable[str]) -> str:
    """``text`` with each of the ``secrets`` replaced by ``***``, however a program may spell it: as it is, in percent
    encoding, as the inside of a JSON, HTML or Python string, in base64, on one line, or cut off."""
    given = list(secrets)
    words = [secret for secret in given if isinstance(secret, PlainWord)]
    spellings = {spelling for secret in given if secret not in words for spelling in _spellings(secret) if spelling}
    longest = sorted(spellings, key=len, reverse=True)
    for spelling in (*longest, *words):
        if len(spelling) < SHORT or isinstance(spelling, PlainWord):
            text = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", HIDDEN, text)
        else:
            text = text.replace(spelling, HIDDEN)
    text = _hide_beginnings(text, [spelling for spelling in longest if len(spelling) > _TRUNCATED])
    for spelling in longest:
        if _TELLING < len(spelling) <= _TRUNCATED:
            text = _hide_cut_off(text, spelling)
    return text


def _hide_beginnings(text: str, spellings: Sequence[str]) -> str:
    """``text`` without the beginnings of long secrets: servers repeat some hundred characters and no more."""
    for beginning in dict.fromkeys(spelling[:_TRUNCATED] for spelling in spellings):
        alike = [spelling for spelling in spellings if spelling.startswith(beginning)]
        start = text.find(beginning)
        while start >= 0:
            length = max(_alike(text[start:], spelling) for spelling in alike)
            text = text[:start] + HIDDEN + text[start + length :]
            start = text.find(beginning, start + len(HIDDEN))
    return text


def _hide_cut_off(text: str, spelling: str) -> str:
    """``text`` without the beginnings of a short secret that stand where a text was cut off."""
    lengths = range(len(spelling) - 1, _TELLING - 1, -1)
    beginnings = "|".join(re.escape(spelling[:length]) for length in lengths)
    return re.sub(rf"(?<!\w)(?:{beginnings}){_CUT_OFF.pattern}", HIDDEN, text)


def _spellings(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    percent = {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
    coded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {
        # A server makes blanks of line ends, so as to say all on one line.
        secret, secret.replace("\r", " ").replace("\n", " "), " ".join(secret.split()),
        *percent, *(_ESCAPE.sub(lambda escape: escape[0].lower(), spelling) for spelling in percent),
        *coded, *(spelling.rstrip("=") for spelling in coded),
        *(json.dumps(secret, ensure_ascii=ascii)[1:-1] for ascii in (True, False)), repr(secret)[1:-1], repr(raw)[2:-1],
        html.escape(secret), html.escape(secret, quote=False), html.escape(secret).replace("&#x27;", "&#39;"),
    }  # fmt: skip


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
    name, equals, value = piece.partition("=")
    shown = unquote_plus(name).lower() in _SHOWN and not _SEPARATOR.search(unquote_plus(value))
    return piece if not equals or shown else f"{name}={HIDDEN}"
