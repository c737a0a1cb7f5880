"""What messages of frameworks have in common: JSON objects, and the moments in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from plg.queues.envelope import moment


def fields(message: Any) -> dict[str, Any]:
    """The fields of a message: an object, or its JSON; none of anything else."""
    if isinstance(message, bytes | str):
        message = json_in(message)
    return message if isinstance(message, dict) else {}


def json_in(text: bytes | str) -> Any:
    """What ``text`` says as JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def due(sent: float | None, later: Any, now: float) -> float | None:
    """When a job was due that was ``sent`` then (s since the epoch): a delayed one ``later``, a moment that its message
    tells."""
    at = None if later in (None, 0) else moment(later, now + _DISTANT)
    return sent if sent is None or at is None else max(sent, at)


_DISTANT = 3e8
"""Seconds, ten years, by which a job may be due later."""


def oldest(moments: Iterable[float | None], now: float) -> float | None:
    """The age (s) of the earliest of these moments; None where one is not known, or there are none."""
    found = list(moments)
    known = [each for each in found if each is not None]
    return max(0.0, now - min(known)) if known and len(known) == len(found) else None
