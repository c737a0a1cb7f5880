"""From the words of a scenario to an open target."""

from __future__ import annotations

from collections.abc import Sequence

from plg.queues.base import Job
from plg.target_url import normalized
from plg.targets.address import Gate
from plg.targets.base import TargetError
from plg.targets.embedded import EmbeddedTarget
from plg.targets.fake import FakeTarget
from plg.targets.url import UrlTarget

TARGETS: dict[str, type[UrlTarget]] = {
    "redis": UrlTarget,
    "rediss": UrlTarget,
    "unix": UrlTarget,
    "embedded": EmbeddedTarget,
    "fake": FakeTarget,
}
"""By the scheme of the URL, or the word that stands alone."""


def open_target(
    where: str, jobs: Sequence[Job], *, connect_timeout: float = 5.0, gate: Gate | None = None
) -> UrlTarget:
    """Opens ``where`` (a URL, ``embedded`` or ``fake``) for ``jobs``; a context manager that closes it again.

    ``connect_timeout`` (s) bounds each step of connecting; a URL may state its own. A ``gate`` judges every host that
    a connection is made to. Raises `TargetError` where the
    jobs cannot be written, before anything has been.
    """
    where = normalized(where)
    kind = TARGETS.get(where.partition("://")[0])
    if kind is None:
        known = "redis://, rediss:// or unix://, or be the word embedded or fake"
        raise TargetError("refused", f"the target must be a URL that starts with {known}")
    return kind(where, jobs, connect_timeout=connect_timeout, gate=gate)
