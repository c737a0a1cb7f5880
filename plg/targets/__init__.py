"""Where jobs go: a Redis by URL, a private embedded server, or an in-process fake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plg.scenario import Job
    from plg.targets.url import UrlTarget


def open_target(where: str, jobs: Sequence[Job], *, connect_timeout: float = 5.0) -> UrlTarget:
    """See `plg.targets.open.open_target`."""
    # Imported here so that the process of the reference consumer, which passes through this package, stays small.
    from plg.targets import open as doors

    return doors.open_target(where, jobs, connect_timeout=connect_timeout)
