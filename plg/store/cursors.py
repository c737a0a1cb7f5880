"""Cursors of lists: the sort key of the last item seen, opaque to whoever hands it back."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence

from plg.store.errors import BadValue

MOST = 500
"""Items a page holds at the most."""


def write_cursor(key: Sequence[str]) -> str:
    """The cursor of the item with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode().rstrip("=")


def read_cursor(text: str, parts: int) -> tuple[str, ...]:
    """The sort key in a cursor. Raises `BadValue` where it is none of such a list."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, list) or len(found) != parts or not all(isinstance(part, str) for part in found):
        raise BadValue("this cursor is not one of this list", "begin without a cursor")
    return tuple(found)


def page_size(limit: int) -> int:
    """``limit``, at least 1 and at most `MOST`. Raises `BadValue` where it is no such number."""
    if not 1 <= limit <= MOST:
        raise BadValue(f"limit is a number from 1 to {MOST}, not {limit}")
    return limit
