"""Who calls, and what they may: asked in one place for every route and for the stream."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import HTTPConnection

from plg.access.audit import AuditLog
from plg.access.errors import AccessError, Forbidden, TooManyAttempts, Unauthorized
from plg.access.roles import Account, require
from plg.access.sign_in import SUBPROTOCOL, SignIn
from plg.access.tokens import Tokens
from plg.server.problems import Problem, plain_fault

COOKIE = "plg_session"
NOBODY = Account("", "")
"""Of a route that asks nobody who they are."""


class Access:
    """Recognises callers, holds them to their roles, and writes down what they do."""

    def __init__(self, tokens: Tokens, audit: AuditLog, *, open: bool) -> None:
        self.audit = audit
        self.sign_in = SignIn(tokens, open=open, failed=self._failed)

    async def account(self, connection: HTTPConnection, permission: str) -> Account:
        """Who calls, where they may do this; an empty ``permission`` is everybody's. Raises `Problem`."""
        if not permission:
            return NOBODY
        header, session = _shown(connection), connection.cookies.get(COOKIE)
        origin = origin_of(connection)
        try:
            # A hash is computed for a token that was never seen: not in the thread that serves.
            account = await asyncio.to_thread(self.sign_in.authenticate, header, origin=origin, session=session)
            require(account, permission)
        except AccessError as error:
            if isinstance(error, Forbidden):
                what = {"path": connection.url.path, "permission": permission}
                await self.record("access.refused", account.name, what, origin)
            raise problem_of(error) from None
        return account

    async def record(self, event: str, who: str, what: dict[str, Any], origin: str = "") -> None:
        """Write an event down before it is done. Raises `Problem` where that is not possible: then it is not done."""
        try:
            await asyncio.to_thread(self.audit.record, event, who, what, origin=origin)
        except AccessError as error:
            raise problem_of(error) from None

    def _failed(self, origin: str, why: str) -> None:
        self.audit.record("sign_in.failed", "", {"why": why}, origin=origin)


def origin_of(connection: HTTPConnection) -> str:
    """The address that a request came from."""
    return connection.client.host if connection.client else ""


def _shown(connection: HTTPConnection) -> str | None:
    """The header that has the token: of a WebSocket of a browser the list of subprotocols."""
    header = connection.headers.get("authorization")
    protocols = connection.headers.get("sec-websocket-protocol", "")
    return header or (protocols if SUBPROTOCOL in protocols else None)


def problem_of(error: AccessError) -> Problem:
    """The answer to what went wrong with access."""
    status, code, headers = 503, "access", {"Retry-After": "5"}
    if isinstance(error, Unauthorized):
        status, code, headers = 401, "unauthorized", {"WWW-Authenticate": 'Bearer realm="plg"'}
    elif isinstance(error, Forbidden):
        status, code, headers = 403, "forbidden", {}
    elif isinstance(error, TooManyAttempts):
        status, code, headers = 429, "too-many-attempts", {"Retry-After": str(int(error.retry_after) + 1)}
    faults = [plain_fault(code, error.message, help=error.help)] if error.help else []
    return Problem(status, code, error.message, faults=faults, headers=headers)
