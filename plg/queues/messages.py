"""What messages of frameworks have in common: JSON objects, and the moments in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


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


def oldest(moments: Iterable[float | None], now: float) -> float | None:
    """The age (s) of the earliest of these moments; None where one is not known, or there are none."""
    found = list(moments)
    known = [each for each in found if each is not None]
    return max(0.0, now - min(known)) if known and len(known) == len(found) else None
