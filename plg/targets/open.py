"""From the words of a scenario to an open target."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from plg.queues.base import Job
from plg.target_url import normalized, wait_of
from plg.targets.base import TargetError
from plg.targets.embedded import EmbeddedTarget
from plg.targets.fake import FakeTarget
from plg.targets.faults import is_loading
from plg.targets.gate import Gate
from plg.targets.url import UrlTarget
from plg.units import format_duration

TARGETS: dict[str, type[UrlTarget]] = {
    "redis": UrlTarget,
    "rediss": UrlTarget,
    "unix": UrlTarget,
    "redis+sentinel": UrlTarget,
    "rediss+sentinel": UrlTarget,
    "embedded": EmbeddedTarget,
    "fake": FakeTarget,
}
"""By the scheme of the URL, or the word that stands alone."""


_APART = 0.25
"""Seconds between two attempts to open a server that is waited for."""
_TOLD = 5
"""So many reasons of waiting are told; a server that fails in ever new words is not waited for with ever new lines."""


def open_target(
    where: str,
    jobs: Sequence[Job],
    *,
    connect_timeout: float = 5.0,
    gate: Gate | None = None,
    wait: float | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda words: None,
) -> UrlTarget:
    """Opens ``where`` (a URL, ``embedded`` or ``fake``) for ``jobs``; a context manager that closes it again.

    ``connect_timeout`` (s) bounds the whole of an attempt; a URL may state its own. A ``gate`` judges every host before
    a connection is made to it. A server that is not up yet is waited for ``wait`` seconds (default: what the URL says),
    one that still loads its data for ``connect_timeout`` unless asked otherwise, and each reason is told once. With
    ``force`` jobs go also to queues that belong to a framework. Raises `TargetError` where the jobs cannot be written,
    before anything has been.
    """
    where = normalized(where)
    kind = TARGETS.get(where.partition("://")[0])
    if kind is None:
        known = "redis://, rediss://, redis+sentinel:// or unix://, or be the word embedded or fake"
        raise TargetError("refused", f"the target must be a URL that starts with {known}")
    patience = wait_of(where) if wait is None else wait
    begun = time.monotonic()
    told: set[str] = set()
    while True:
        try:
            return kind(where, jobs, connect_timeout=connect_timeout, gate=gate, force=force)
        except TargetError as error:
            bearable = connect_timeout if is_loading(error) and not patience else patience
            left = begun + bearable - time.monotonic()
            if left <= 0 or not error.passing:
                raise _waited_for(error, patience) from None
            if error.message not in told and len(told) < _TOLD:
                told.add(error.message)
                tell(f"waiting up to {format_duration(bearable)}: {error.message}")
        time.sleep(min(_APART, left))


def _waited_for(error: TargetError, patience: float) -> TargetError:
    """The error as it is told after a wait of ``patience`` s: it advises no wait, and says that there was one."""
    if not patience or not error.passing:
        return error
    advice = [] if error.awaits else [error.advice]
    said = "; ".join(filter(None, [*advice, f"waited {format_duration(patience)} for it"]))
    return TargetError(error.kind, error.message, said, passing=True)
