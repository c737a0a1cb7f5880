"""Who calls, and what they may: asked in one place for every route and for the stream."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import HTTPConnection

from plg.dataclass import dataclass

PERMISSIONS = (
    "tests:read",
    "tests:start",
    "tests:stop",
    "profiles:read",
    "profiles:write",
    "audit:read",
    "policy:read",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever made a request, by the name that is written down of them."""

    name: str
    role: str


class Access(Protocol):
    """Decides who somebody is and what they may."""

    def caller(self, connection: HTTPConnection) -> Caller:
        """Who is calling. Raises `Problem` 401 where they have to say it and do not."""

    def permits(self, caller: Caller, permission: str) -> bool:
        """Whether they may do this, one of `PERMISSIONS`."""


class OpenAccess:
    """Of a server on loopback where no token exists: whoever reaches it may do everything."""

    def caller(self, connection: HTTPConnection) -> Caller:
        """See `Access.caller`."""
        return Caller("local", "admin")

    def permits(self, caller: Caller, permission: str) -> bool:
        """See `Access.permits`."""
        return True
