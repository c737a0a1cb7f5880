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
from itertools import groupby, takewhile
from types import TracebackType
from urllib.parse import quote, quote_plus, unquote_plus

HIDDEN = "***"
_SCHEMELESS = re.compile(r"[^\s@]*:\S*@\S*")
_WORD = re.compile(r"""\"((?:[^"\\]|\\.)+)"?|'([^']+)'|([^\s"]+)""")
_NO_PORT = re.compile(r"^([^\[\]/?:]*:)(?!\d*(?:[/?]|$))[^/?]*")
"""What stands after a host where only a port may: a user and a password whose @ and host were forgotten."""
_PLACE = r"(?:\[[^\[\]/?]*\]|[^\[\]/?:,]+)(?::\d*)?"
_PLACES = re.compile(rf"{_PLACE}(?:,{_PLACE})*(?=[/?]|$)")
"""Hosts with their ports, and a comma between two of them, as in the URL of Sentinels."""
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
        several = scheme.endswith("+sentinel") and _PLACES.match(rest)
        return scheme + separator + (rest if several else _NO_PORT.sub(rf"\g<1>{HIDDEN}", rest, count=1))
    user, colon, _ = userinfo.partition(":")
    if colon:
        return f"{scheme}{separator}{user}:{HIDDEN}@{place}"
    return f"{scheme}{separator}{user if f'password={HIDDEN}' in re.split('[?&]', place) else HIDDEN}@{place}"


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
    """``text`` with each of the ``secrets`` replaced by ``***``, however a program may spell it: as it is, in capitals,
    backwards, in hexadecimal, in base64, on one line, cut off, with any of its characters escaped as in URLs, in HTML
    or in strings of C, JSON and Python. Takes time in proportion to the text.
    """
    given = list(secrets)
    words = [secret for secret in given if isinstance(secret, PlainWord)]
    spellings = {spelling for secret in given if secret not in words for spelling in _spellings(secret) if spelling}
    for word in (*(spelling for spelling in spellings if len(spelling) < SHORT), *words):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", HIDDEN, text)
    folded = {_folded(spelling) for spelling in spellings if len(spelling) >= SHORT}
    spans = _found(_folded(text), folded)
    if folded and _RUN.search(text):
        read, starts, ends = _unescaped(text)
        spans += [(starts[first], ends[last - 1]) for first, last in _found(_folded(read), folded)]
    text = _without(text, spans)
    for spelling in sorted(spellings, key=len, reverse=True):
        if _TELLING < len(spelling) <= _TRUNCATED:
            text = _hide_cut_off(text, spelling)
    return text


def _folded(text: str) -> str:
    """``text`` in lower case, each character in its place: a few have no single one of lower case."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _found(text: str, spellings: Iterable[str]) -> list[tuple[int, int]]:
    """Where spellings stand in a text, and the beginnings of long ones: servers repeat some hundred characters and no
    more."""
    spans = []
    beginnings: dict[str, list[str]] = {}
    for spelling in spellings:
        if len(spelling) > _TRUNCATED:
            beginnings.setdefault(spelling[:_TRUNCATED], []).append(spelling)
            continue
        start = text.find(spelling)
        while start >= 0:
            spans.append((start, start + len(spelling)))
            start = text.find(spelling, start + len(spelling))
    for beginning, alike in beginnings.items():
        longest = max(map(len, alike))
        start = text.find(beginning)
        while start >= 0:
            here = text[start : start + longest]
            end = start + max(_alike(here, spelling) for spelling in alike)
            spans.append((start, end))
            start = text.find(beginning, end)
    return spans


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """``text`` with one stand-in for each of the spans, and for those together that overlap."""
    pieces, kept, last = [], 0, 0
    for start, end in sorted(spans):
        if start >= last:
            pieces += [text[kept:start], HIDDEN]
        last = kept = max(last, end)
    return "".join([*pieces, text[kept:]])


_ESCAPED = (
    r"\\+x([0-9a-fA-F]{2})|\\+([0-3]?[0-7]{2})|%([0-9a-fA-F]{2})|\\+u\{?([0-9a-fA-F]{4})\}?"
    r"|&\#[xX]([0-9a-fA-F]{1,6});|&\#([0-9]{1,7});"
)
_ONE, _RUN = re.compile(_ESCAPED), re.compile(rf"(?:{re.sub(r'[(](?![?])', '(?:', _ESCAPED)})+")
"""A character as a number: ``\\x68``, ``\\150``, ``%68``, ``\\u0068``, ``&#x68;``, ``&#104;``; and several in a row."""


def _unescaped(text: str) -> tuple[str, list[int], list[int]]:
    """``text`` with all characters that stand as numbers read, and where each character begins and ends in ``text``."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def take(read: str, places: Sequence[tuple[int, int]]) -> None:
        pieces.append(read)
        # A character of several bytes: what of it belongs to which is of no interest.
        spans = places if len(read) == len(places) else [(places[0][0], places[-1][1])] * len(read)
        starts.extend(start for start, _ in spans)
        ends.extend(end for _, end in spans)

    last = 0
    for run in _RUN.finditer(text):
        take_as_it_is = range(last, run.start())
        pieces.append(text[last : run.start()])
        starts.extend(take_as_it_is)
        ends.extend(place + 1 for place in take_as_it_is)
        units = list(_ONE.finditer(text, run.start(), run.end()))
        for is_bytes, group in groupby(units, lambda unit: (unit.lastindex or 0) <= _BYTES):
            found = list(group)
            take(_read_bytes(found) if is_bytes else "".join(map(_character, found)), [unit.span() for unit in found])
        last = run.end()
    pieces.append(text[last:])
    starts.extend(range(last, len(text)))
    ends.extend(range(last + 1, len(text) + 1))
    return "".join(pieces), starts, ends


_BYTES = 3
"""The first groups of `_ESCAPED` stand for bytes, the others for characters."""


def _read_bytes(units: Sequence[re.Match[str]]) -> str:
    raw = bytes(int(unit[unit.lastindex or 0], 8 if unit.lastindex == 2 else 16) for unit in units)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _character(unit: re.Match[str]) -> str:
    number = int(unit[unit.lastindex or 0], 10 if unit.lastindex == 6 else 16)
    return chr(number) if number <= sys.maxunicode else "?"


def _hide_cut_off(text: str, spelling: str) -> str:
    """``text`` without the beginnings of a short secret that stand where a text was cut off."""
    lengths = range(len(spelling) - 1, _TELLING - 1, -1)
    beginnings = "|".join(re.escape(spelling[:length]) for length in lengths)
    return re.sub(rf"(?<!\w)(?:{beginnings}){_CUT_OFF.pattern}", HIDDEN, text, flags=re.IGNORECASE)


def _spellings(secret: str) -> set[str]:
    if len(secret) < SHORT:
        return {secret}
    raw = secret.encode("utf-8", "surrogateescape")
    percent = {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
    coded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {
        # A server makes blanks of line ends, so as to say all on one line.
        secret, secret[::-1], *(raw.hex(sign) for sign in " :-"), raw.hex(), " ".join(f"0x{byte:02x}" for byte in raw),
        secret.replace("\r", " ").replace("\n", " "), " ".join(secret.split()),
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
