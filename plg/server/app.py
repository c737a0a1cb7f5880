"""The application: every route behind one gate, one question who calls, and one way to answer an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.routing import Route as Mounted
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from plg.access.roles import READ_STREAMS
from plg.redaction import hide_known
from plg.server.gate import Gate
from plg.server.openapi import document
from plg.server.problems import Problem
from plg.server.route import Call, Route
from plg.server.routes import BASE, ROUTES
from plg.server.service import Service
from plg.server.static import page_routes
from plg.server.stream import FORBIDDEN, NO_TOKEN, TOO_MANY, UNKNOWN, stream

MOST_STREAMS = 200
DRAIN = 8.0
"""Seconds in which tests end when the server does."""


def application(service: Service, hosts: Collection[str]) -> ASGIApp:
    """The application of one server, which answers to the names in ``hosts``."""
    mounted: list[BaseRoute] = [_mounted(service, path, methods) for path, methods in _by_path().items()]
    mounted.append(Mounted("/openapi.json", _described, methods=["GET"]))
    mounted.extend(page_routes())
    mounted.append(WebSocketRoute(f"{BASE}/stream/{{test_id}}", _streaming(service)))
    handlers: Mapping[Any, Any] = {HTTPException: _of_starlette, Exception: _unforeseen}
    app = Starlette(routes=mounted, exception_handlers=handlers, lifespan=_lifespan(service))
    app.router.redirect_slashes = False
    return Gate(app, hosts)


def _lifespan(service: Service) -> Callable[[Starlette], Any]:
    @asynccontextmanager
    async def lives(app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(import_module, "plg.runs.process")  # before the first test waits for it
        await service.tests.restore()
        await service.tests.planning.warm()
        try:
            yield
        finally:
            await service.tests.drain(DRAIN)
            await service.tests.planning.close()
            await service.profiles.close()
            service.records.close()

    return lives


def _by_path() -> dict[str, dict[str, Route]]:
    found: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        found.setdefault(route.path, {})[route.method] = route
    return found


def _mounted(service: Service, path: str, methods: Mapping[str, Route]) -> Mounted:
    async def answer(request: Request) -> Response:
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        try:
            if route is None:
                allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
                raise Problem(405, "method", f"{path} takes {allowed}", headers={"Allow": allowed})
            return await route.handler(Call(service, request, await service.access.account(request, route.permission)))
        except Problem as problem:
            return problem.response()

    return Mounted(path, _Endpoint(answer))


class _Endpoint:
    """An endpoint that decides on methods itself: Starlette gives any to what is no function."""

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)


def _streaming(service: Service) -> Callable[[WebSocket], Any]:
    streams: set[WebSocket] = set()

    async def streaming(socket: WebSocket) -> None:
        offered = [p for p in socket.scope.get("subprotocols", ()) if str(p).startswith("plg.token.")]
        await socket.accept(offered[0] if offered else None)
        try:
            await service.access.account(socket, READ_STREAMS)
        except Problem as problem:
            code = FORBIDDEN if problem.status == 403 else NO_TOKEN
            await socket.close(code, problem.code)
            return
        test = service.tests.tests.get(socket.path_params["test_id"])
        if test is None:
            await socket.close(UNKNOWN, "unknown-test")
        elif len(streams) >= MOST_STREAMS:
            await socket.close(TOO_MANY, "too-many-streams")
        else:
            streams.add(socket)
            try:
                await stream(socket, test, _since(socket), service.dropped)
            finally:
                streams.discard(socket)

    return streaming


def _since(socket: WebSocket) -> int | None:
    text = socket.query_params.get("since", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else None


async def _described(request: Request) -> Response:
    return JSONResponse(document(ROUTES))


async def _of_starlette(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: unknown paths, and methods of what is no `Route`."""
    assert isinstance(error, HTTPException), "the handler is for these"
    code = {404: "unknown-path", 405: "method"}.get(error.status_code, "refused")
    words = {404: "there is nothing at this path", 405: f"{request.url.path} does not take {request.method}"}
    detail = words.get(error.status_code, str(error.detail))
    return Problem(error.status_code, code, detail, headers=error.headers).response()


async def _unforeseen(request: Request, error: Exception) -> Response:
    logging.getLogger("plg.server").error("%s: %s", type(error).__name__, hide_known(str(error)))
    return Problem(500, "internal-error", f"internal error: {type(error).__name__}").response()
