"""Who is asking: by a token, by a session that a one-time link began, or on a machine of its own where nobody has a
token yet."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from plg.access.bucket import Buckets
from plg.access.errors import TooManyAttempts, Unauthorized
from plg.access.roles import Account
from plg.access.tokens import Tokens
from plg.redaction import remember

SUBPROTOCOL = "plg.token."
"""What stands before the token in the subprotocol of a WebSocket."""
LINK_LASTING = 600.0
"""Seconds for which a one-time link is good."""
SESSION_LASTING = 12 * 3600.0
"""Seconds for which a browser stays signed in."""
_SESSIONS = 256
_BURST, _REFILL = 10, 6.0
"""Failed sign-ins that one address may have at once, and the seconds after which it may have another one."""
_ALL_BURST, _ALL_REFILL = 100, 0.6
"""The same for all addresses together."""
_LONGEST = 256
LOCAL = "local"
"""The name of who is let in where there is no token yet."""


class SignIn:
    """Says who is asking. ``open`` lets everybody in as long as nobody has a token: for a server on the loopback
    interface alone. ``failed`` is told of each attempt that failed: from where, and why.

    Safe for threads. Links and sessions end with the process.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        open: bool = False,
        failed: Callable[[str, str], None] = lambda origin, why: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tokens, self._open, self._failed, self._clock = tokens, open, failed, clock
        self._by_address = Buckets(_BURST, _REFILL, clock)
        self._by_all = Buckets(_ALL_BURST, _ALL_REFILL, clock)
        self._lock = threading.Lock()
        self._links: OrderedDict[str, tuple[Account, float]] = OrderedDict()
        self._sessions: OrderedDict[str, tuple[Account, float]] = OrderedDict()

    def authenticate(self, header: str | None, *, origin: str = "", session: str | None = None) -> Account:
        """Whose request it is, by its ``Authorization`` header, the subprotocol of a WebSocket, or a session.

        ``origin`` is the address that it came from. Raises `Unauthorized`, and `TooManyAttempts` where too many from
        there have failed; a token that is good is let in all the same once it was recognised.
        """
        if header:
            return self._by_token(header, origin)
        if session:
            account = self._of_session(session)
            if account is not None:
                return account
        if self._open and not self.tokens.any_valid:
            return Account(LOCAL, "admin")
        raise Unauthorized("this needs a token", "send it as Authorization: Bearer TOKEN; plg token create makes one")

    def _by_token(self, header: str, origin: str) -> Account:
        wait = max(self._by_address.wait(origin), self._by_all.wait(""))
        text = _token_in(header)
        if wait and not self.tokens.known(text):
            raise TooManyAttempts(wait)
        account = self.tokens.recognise(text) if len(text) <= _LONGEST else None
        if account is None:
            self._by_address.take(origin)
            self._by_all.take("")
            why = "the token is not one that is valid here"
            self._failed(origin, why)
            raise Unauthorized(why, "plg token list shows which are; plg token create makes one")
        return account

    def one_time_code(self, account: Account) -> str:
        """A code that begins one session of ``account``, once, within ten minutes."""
        code = secrets.token_urlsafe(32)
        remember([code])
        with self._lock:
            _put(self._links, code, (account, self._clock() + LINK_LASTING))
        return code

    def redeem(self, code: str, *, origin: str = "") -> tuple[str, Account]:
        """The session (a secret for a cookie) that a code begins, and whose it is. Raises as `authenticate`."""
        wait = max(self._by_address.wait(origin), self._by_all.wait(""))
        if wait:
            raise TooManyAttempts(wait)
        with self._lock:
            found = self._links.pop(_digest(code), None)
        if found is None or self._clock() >= found[1]:
            self._by_address.take(origin)
            self._by_all.take("")
            why = "this link was used before, or is too old"
            self._failed(origin, why)
            raise Unauthorized(why, "start the server again for another one, or sign in with a token")
        return self.begin_session(found[0]), found[0]

    def begin_session(self, account: Account) -> str:
        """A session for somebody who is known: a secret for a cookie."""
        session = secrets.token_urlsafe(32)
        remember([session])
        with self._lock:
            _put(self._sessions, session, (account, self._clock() + SESSION_LASTING))
        return session

    def end_session(self, session: str) -> None:
        """Sign out."""
        with self._lock:
            self._sessions.pop(_digest(session), None)

    def _of_session(self, session: str) -> Account | None:
        with self._lock:
            found = self._sessions.get(_digest(session))
        if found is None or self._clock() >= found[1]:
            return None
        account = found[0]
        # A session lasts no longer than the token that it was begun with, or than nobody has one.
        good = self.tokens.still_valid(account.token) if account.token else not self.tokens.any_valid
        return account if good else None


def _token_in(header: str) -> str:
    """The token in an ``Authorization`` header or a list of subprotocols; "" where there is none."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    for protocol in header.split(","):
        if protocol.strip().startswith(SUBPROTOCOL):
            return protocol.strip().removeprefix(SUBPROTOCOL)
    return ""


def _put(kept: OrderedDict[str, tuple[Account, float]], secret: str, value: tuple[Account, float]) -> None:
    kept[_digest(secret)] = value
    while len(kept) > _SESSIONS:
        kept.popitem(last=False)


def _digest(secret: str) -> str:
    """What is kept in place of a secret of 256 bits, so that no look into memory finds one."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
