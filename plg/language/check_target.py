"""Whether a target names a place that jobs can go to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plg.diagnostics import Path, nearest
from plg.language.kinds import show
from plg.language.validate import DocumentFault
from plg.redaction import redact
from plg.target_url import SCHEMES, normalized, url_fault


def check_target(target: Any) -> Iterator[DocumentFault]:
    """What is wrong with the target, where the document itself names it."""
    path: Path = ("target",)
    if isinstance(target, dict) and "url" in target:
        target, path = target["url"], (*path, "url")
    if isinstance(target, dict):
        target, path = target.get("default"), (*path, "default")
    if isinstance(target, str):
        fault = target_fault(normalized(target))
        if fault is not None:
            yield DocumentFault(fault[0], fault[1], path, fault[2])


def target_fault(target: str) -> tuple[str, str, str] | None:
    """Code, sentence and help where ``target`` names no place that jobs can go to."""
    help = "write redis://HOST:PORT/DB, rediss://… (TLS), unix:///PATH, embedded or fake"
    if target in ("embedded", "fake"):
        return None
    if not target:
        return "bad-target", "the target is empty", f"is the variable or secret set that it comes from? {help}"
    scheme, separator, rest = target.partition("://")
    if not separator:
        suggestion = nearest(target, ("embedded", "fake"))
        return (
            "bad-target",
            f"{show(redact(target))} is no target",
            f"did you mean {suggestion}?" if suggestion else help,
        )
    if scheme not in SCHEMES:
        suggestion = nearest(scheme, SCHEMES)
        return (
            "bad-target",
            f"plg cannot send to {scheme}://",
            f"did you mean {suggestion}://?" if suggestion else help,
        )
    if not rest.strip("/"):
        return "bad-target", f"{redact(target)} names no host", help
    fault = url_fault(target)
    return None if fault is None else ("bad-target", f"{redact(target)} is not a usable target: {fault}", help)
