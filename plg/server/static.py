"""The page at ``/``: files of this package, and what a browser may load for them, which is those files and no more.

The address of a file holds the digest of all of them, so that it may be kept for ever and is never out of date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plg.server.problems import Problem

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
_FIRST = "index.html"


def page_routes() -> list[BaseRoute]:
    """The page and its files, open to everybody: what it shows it asks for as any other caller."""
    return [Route("/", _page, methods=["GET"]), Route("/page/{digest}/{name}", _file, methods=["GET"])]


@cache
def page_files() -> Mapping[str, bytes]:
    """All files by their names; the colours are those of the reports."""
    from plg.reports.theme import custom_properties

    folder = files("plg.server").joinpath("page")
    found = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file() and _type(each.name)}
    return {**found, "theme.css": custom_properties().encode()}


@cache
def digest() -> str:
    """Of all files and their names."""
    sums = (f"{name} {hashlib.sha256(data).hexdigest()}\n" for name, data in sorted(page_files().items()))
    return hashlib.sha256("".join(sums).encode()).hexdigest()[:16]


def _type(name: str) -> str | None:
    return TYPES.get(name[name.rfind(".") :])


async def _page(request: Request) -> Response:
    """``GET /``. It is asked for each time, and sent where it has changed."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "ETag": f'"{digest()}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(None, 304, headers)
    text = page_files()[_FIRST].replace(b"{{files}}", f"/page/{digest()}".encode())
    return Response(text, 200, headers, media_type=TYPES[".html"])


async def _file(request: Request) -> Response:
    """``GET /page/{digest}/{name}``."""
    name = request.path_params["name"]
    data = page_files().get(name)
    if data is None or name == _FIRST or request.path_params["digest"] != digest():
        return Problem(404, "unknown-path", "there is nothing at this path").response()
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(data, 200, headers, media_type=_type(name))
