"""What a route declares: its path, who may use it, what it takes and what it answers. All else is read from that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from plg.access.roles import Account
from plg.dataclass import dataclass
from plg.server.problems import Problem
from plg.server.service import Service

Schema = Mapping[str, Any]
MOST_BODY = 4 * 2**20
"""Bytes of a body; more are refused."""
BODY_PATIENCE = 15.0
"""Seconds in which a body has to be there."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a route."""

    service: Service
    request: Request
    caller: Account

    @property
    def origin(self) -> str:
        """The address that it came from."""
        return self.request.client.host if self.request.client else ""

    @property
    def test_id(self) -> str:
        """Of the path."""
        return str(self.request.path_params["test_id"])

    def query(self, name: str, convert: Callable[[str], Any], default: Any = None) -> Any:
        """The value of a query parameter. Raises `Problem` 422."""
        given = self.request.query_params.getlist(name)
        if not given:
            return default
        try:
            if len(given) > 1:
                raise ValueError("it is given more than once")
            return convert(given[0])
        except ValueError as error:
            raise Problem(422, "bad-query", f"the parameter {name}: {error}") from None

    async def body(self) -> bytes:
        """The whole body. Raises `Problem` 408, 413 or 415."""
        import asyncio

        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(415, "not-json", "the body must be application/json")
        declared = self.request.headers.get("content-length", "0")
        too_large = Problem(413, "too-large", f"a body holds at most {MOST_BODY // 2**20} MiB")
        if declared.isdigit() and int(declared) > MOST_BODY:
            raise too_large
        data = bytearray()
        try:
            async with asyncio.timeout(BODY_PATIENCE):
                async for piece in self.request.stream():
                    data += piece
                    if len(data) > MOST_BODY:
                        raise too_large
        except (TimeoutError, ClientDisconnect):
            raise Problem(408, "slow-body", f"the body did not come within {BODY_PATIENCE:g} s") from None
        return bytes(data)


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. ``permission`` is one of `plg.access.roles.PERMISSIONS`; empty: everybody may.

    ``answers`` has the schema of each status that is no error, ``problems`` the statuses of errors beside those that
    every route can answer with, ``query`` the schemas of parameters, ``media`` the type of what is no JSON.
    """

    method: str
    path: str
    handler: Handler
    permission: str
    summary: str
    answers: Mapping[int, Schema]
    problems: tuple[int, ...] = ()
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    media: str = "application/json"
    headers: tuple[str, ...] = ()


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number of a query."""

    def convert(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 17 or not least <= int(text) <= most:
            raise ValueError(f"it must be a whole number from {least} to {most}")
        return int(text)

    return convert
