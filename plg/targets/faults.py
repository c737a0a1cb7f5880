"""From an exception of the socket, TLS or redis-py to one `TargetError`: the server's own words and what to look at."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator

from plg.redaction import hide_known
from plg.targets.base import Kind, TargetError

_HUNG_UP = "it hung up: it may ask for a certificate, ?ssl_certfile=FILE&ssl_keyfile=FILE"
_WAIT = "the server is still reading its data from disk: wait, then start again"
_ADVICE: tuple[tuple[str, Kind, str], ...] = (
    ("WRONGPASS", "refused", "check user and password: redis://USER:PASSWORD@HOST:PORT/DB"),
    ("invalid password", "refused", "check the password: redis://:PASSWORD@HOST:PORT/DB"),
    ("invalid username-password", "refused", "check user and password: redis://USER:PASSWORD@HOST:PORT/DB"),
    ("without any password configured", "refused", "this server has no password: leave it out of the URL"),
    ("no password is set", "refused", "this server has no password: leave it out of the URL"),
    ("NOAUTH", "refused", "the server wants a password: redis://:PASSWORD@HOST:PORT/DB"),
    ("Authentication required", "refused", "the server wants a password: redis://:PASSWORD@HOST:PORT/DB"),
    ("NOPERM", "refused", "give the user the permission (ACL SETUSER), or use another user"),
    ("no permissions", "refused", "give the user the permission (ACL SETUSER), or use another user"),
    ("max number of clients", "refused", "see maxclients and CLIENT LIST on the server"),
    ("protected mode", "refused", "the server takes only local clients: set a password or bind address on it"),
    ("LOADING", "refused", _WAIT),
    ("loading the dataset", "refused", _WAIT),
    ("DB index is out of range", "refused", "the database in the URL does not exist: see databases on the server"),
    ("MOVED", "refused", "another node holds the queue: permit CLUSTER SLOTS, or give its URL"),
    ("CLUSTERDOWN", "refused", "see CLUSTER INFO on the server"),
    ("no TLS comes back", "refused", "the port does not speak TLS: write redis:// instead of rediss://"),
    ("self-signed", "refused", "name its authority with ?ssl_ca_certs=FILE, or accept any with ?ssl_cert_reqs=none"),
    ("self signed", "refused", "name its authority with ?ssl_ca_certs=FILE, or accept any with ?ssl_cert_reqs=none"),
    ("unable to get local issuer", "refused", "name its authority with ?ssl_ca_certs=FILE"),
    ("mismatch", "refused", "use the name in the certificate, or ?ssl_check_hostname=false"),
    ("not valid for", "refused", "use the name in the certificate, or ?ssl_check_hostname=false"),
    ("certificate required", "refused", "the server asks for a certificate: ?ssl_certfile=FILE&ssl_keyfile=FILE"),
    ("in the middle of TLS", "refused", _HUNG_UP),
)
"""What the words hold → kind of fault, advice. The first that fits counts."""


NOBODY = "is a server there? --wait 30s waits for one to come up, --target embedded needs none"
_ONE_ATTEMPT = "a timeout in the URL is that of one attempt; ?wait=30s or --wait 30s waits for a server to come up"
_AWAITING = (NOBODY, _ONE_ATTEMPT, _WAIT)
_LOADING = ("LOADING", "loading the dataset")
_BEGINNING = (*_LOADING, "CLUSTERDOWN", "MASTERDOWN", _HUNG_UP)
"""What a server says (or is said of it) that may be ready in a moment."""


class NoRedis(TargetError):
    """What answers does not speak as Redis does."""

    def __init__(self, shown: str, words: str) -> None:
        super().__init__("refused", f"{shown} refused: {words}", "check the port: something else listens there")


def explain(
    error: BaseException, shown: str, *, lost: bool = False, hide: Callable[[str], str] = lambda text: text
) -> TargetError:
    """The `TargetError` for ``error`` at the server ``shown``; ``lost`` where the connection had stood before.

    ``hide`` takes secrets out of what the server says, before it is cut to a bearable length.
    """
    if isinstance(error, TargetError):
        return error
    words, kind, advice = _judge(error, hide)
    if words == NOT_REDIS:
        return NoRedis(shown, words)
    if lost and kind == "unreachable":
        kind, advice = "lost", ""
    elif kind == "unreachable" and shown.startswith("rediss") and _hung_up(error):
        # Its complaint about a missing certificate may be on the way while what we wrote already meets a closed door.
        kind, advice = "refused", _HUNG_UP
    elif kind == "unreachable" and advice == NOBODY and "timeout=" in shown:
        advice = _ONE_ATTEMPT
    elif kind == "unreachable":
        advice = advice or _about_tls(shown)
    verb = {"refused": "refused", "unreachable": "cannot be reached", "lost": "was lost", "missing": "is missing"}[kind]
    passing = kind in ("unreachable", "lost") or any(part in words or part == advice for part in _BEGINNING)
    return TargetError(kind, f"{shown} {verb}: {words}", advice, passing=passing, awaits=advice in _AWAITING)


def is_loading(error: TargetError) -> bool:
    """Whether the server is there and reads its data from disk."""
    return error.passing and any(part in error.message for part in _LOADING)


def _hung_up(error: BaseException) -> bool:
    return _holds(tuple(_chain(error)), ConnectionResetError, BrokenPipeError)


def _about_tls(shown: str) -> str:
    """Advice for a server that hangs up or keeps silent: the two sides may not mean the same protocol."""
    if shown.startswith(("redis://", "redis+sentinel://")):
        return "check host, port and firewall; where the server expects TLS, write rediss://"
    if shown.startswith(("rediss://", "rediss+sentinel://")):
        return "check host, port and firewall; where the server does not speak TLS, write redis://"
    return "check that the server is not paused"


def _judge(error: BaseException, hide: Callable[[str], str]) -> tuple[str, Kind, str]:
    words, unhidden = own_words(error, hide), own_words(error)
    for part, kind, advice in _ADVICE:
        if part in unhidden:
            return words, kind, advice
    return _judge_by_type(error, words)


def _judge_by_type(error: BaseException, words: str) -> tuple[str, Kind, str]:
    from redis import exceptions as redis_errors

    chain = tuple(_chain(error))
    if _holds(chain, ssl.SSLError):
        return words, "refused", "TLS could not be agreed: see the certificate and the ssl_ options of the URL"
    if _holds(chain, socket.gaierror):
        return words, "unreachable", "check the name of the host"
    if _holds(chain, ConnectionRefusedError):
        return words, "unreachable", NOBODY
    if _holds(chain, FileNotFoundError):
        return words, "unreachable", "there is no such socket or file"
    if _holds(chain, PermissionError):
        return words, "refused", "this user may not open it"
    if _holds(chain, TimeoutError, redis_errors.TimeoutError):
        return "no answer in time", "unreachable", ""
    if _holds(chain, redis_errors.ResponseError):
        return words, "refused", ""
    return words, "unreachable", ""


def _holds(chain: tuple[BaseException, ...], *types: type[BaseException]) -> bool:
    return any(isinstance(link, types) for link in chain)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()  # an error that is raised from itself is its own cause
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def own_words(error: BaseException, hide: Callable[[str], str] = lambda text: text) -> str:
    """What the server, TLS or the operating system said, without what to ``hide``; else what happened, in plg's words.

    What a library says of its own failure reaches nobody: it speaks of what the library did, and not of the server.
    """
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError) and link.verify_message:
            return str(link.verify_message).rstrip(".")
        if isinstance(link, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return _CUT_OFF
        if isinstance(link, ssl.SSLError):
            reason = link.reason or "TLS failed"
            return _TLS.get(reason, reason.replace("_", " ").lower())
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
    if isinstance(error, TargetError):
        return str(error)
    if not _is_answer(error):
        return _happened(error)
    # Hidden first: a password with two blanks in a row would not be found in words with one.
    text = " ".join(hide_known(hide(str(error))).split())
    # redis-py takes the code off the front of the answer and keeps it aside; older releases drop it.
    code = getattr(error, "status_code", None)
    if isinstance(code, str) and code.isupper() and not text.startswith(code):
        text = f"{code} {text}".rstrip()
    return _first_sentences(text) or "an error without words"


_CUT_OFF = "the server closed the connection in the middle of TLS"
_TLS = {
    "WRONG_VERSION_NUMBER": "no TLS comes back",
    "UNEXPECTED_EOF_WHILE_READING": _CUT_OFF,
    "RECORD_LAYER_FAILURE": "no TLS comes back",
    "HTTP_REQUEST": "no TLS comes back",
}
"""The reason that OpenSSL names, in words; other reasons are words once their underscores are blanks."""
NOT_REDIS = "the answer is not the Redis protocol"
_CLOSED = "the server closed the connection"
_LIBRARY = ("Invalid Username or Password", "Invalid Database", "Invalid RESP version")
"""What redis-py says itself where a server answers a greeting with neither OK nor an error."""


def _is_answer(error: BaseException) -> bool:
    """Whether an exception of redis-py stands for an error that the server answered with."""
    from redis import exceptions as known

    if type(error) is known.ConnectionError:
        return bool(getattr(error, "status_code", None)) or "max number of clients" in str(error)
    if str(error) in _LIBRARY:
        return False
    return isinstance(error, known.ResponseError | known.ConnectionError)


def _happened(error: BaseException) -> str:
    from redis import exceptions as known

    if isinstance(error, TimeoutError | known.TimeoutError):
        return "no answer in time"
    if str(error) not in _LIBRARY and isinstance(error, known.ConnectionError | OSError | EOFError):
        return _CLOSED
    # Whatever else went wrong, it was in reading: a number that is none, lists in lists without an end.
    return NOT_REDIS


def _first_sentences(text: str, limit: int = 240) -> str:
    if len(text) <= limit:
        return text.rstrip(".")
    cut = text[:limit]
    return cut[: cut.rfind(". ")] if ". " in cut else cut + "…"
