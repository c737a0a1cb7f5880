"""Whether a target names a place that jobs can go to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plg.diagnostics import Fault, Path, nearest
from plg.language.kinds import show
from plg.redaction import redact
from plg.target_url import SCHEMES, normalized, url_fault


def check_target(target: Any) -> Iterator[Fault]:
    """What is wrong with the target, where the document itself names it."""
    path: Path = ("target",)
    if isinstance(target, dict) and "url" in target:
        target, path = target["url"], (*path, "url")
    if isinstance(target, dict):
        target, path = target.get("default"), (*path, "default")
    if isinstance(target, str):
        fault = target_fault(normalized(target))
        if fault is not None:
            yield fault.at(path)


def target_fault(target: str) -> Fault | None:
    """Why jobs cannot go to ``target``."""
    help = (
        "write redis://HOST:PORT/DB, rediss://… (TLS), redis+sentinel://HOST:PORT/MASTER/DB, unix:///PATH, embedded or "
        "fake"
    )
    if target in ("embedded", "fake"):
        return None
    if not target:
        return Fault(
            "bad-target", "the target is empty", help=f"is the variable or secret set that it comes from? {help}"
        )
    scheme, separator, rest = target.partition("://")
    if not separator:
        suggestion = nearest(target, ("embedded", "fake"))
        help = f"did you mean {suggestion}?" if suggestion else help
        return Fault("bad-target", f"{show(redact(target))} is no target", help=help)
    if scheme not in SCHEMES:
        suggestion = nearest(scheme, SCHEMES)
        help = f"did you mean {suggestion}://?" if suggestion else help
        return Fault("bad-target", f"plg cannot send to {scheme}://", help=help)
    if not rest.strip("/"):
        return Fault("bad-target", f"{redact(target)} names no host", help=help)
    wrong = url_fault(target)
    return (
        None if wrong is None else Fault("bad-target", f"{redact(target)} is not a usable target: {wrong}", help=help)
    )
