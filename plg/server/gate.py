"""What every request passes before a route sees it: Host and Origin, the number at a time, the headers of answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plg.server.problems import Problem

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
MOST_AT_A_TIME = 256
"""Requests that are answered at a time, without streams."""
HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer that does not say otherwise itself."""


class Gate:
    """Wraps an application; ``hosts`` are the names it answers to, with or without a port."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)
        self._at_a_time = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one upgrade."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(Headers(scope=scope))
            if scope["type"] == "http" and self._at_a_time >= MOST_AT_A_TIME:
                raise Problem(503, "busy", "too many requests at a time", headers={"Retry-After": "1"})
        except Problem as problem:
            await problem.response()(scope, receive, _with_headers(send))
            return
        self._at_a_time += scope["type"] == "http"
        try:
            await self._app(scope, receive, _with_headers(send))
        finally:
            self._at_a_time -= scope["type"] == "http"

    def _check(self, headers: Headers) -> None:
        """Raise `Problem` where a page of another site may be behind the request."""
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            raise Problem(400, "bad-host", "a request names one Host")
        if _name(hosts[0]) not in self._hosts:
            raise Problem(421, "foreign-host", "this server does not answer to that Host")
        for origin in headers.getlist("origin"):
            found = urlsplit(origin)
            if found.scheme not in ("http", "https") or found.netloc.lower() != hosts[0].lower():
                raise Problem(403, "foreign-origin", "a page of another origin may not use this server")


def _name(host: str) -> str:
    """The name without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
