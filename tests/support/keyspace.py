"""All that a server holds, key by key, as another client sees it."""

from __future__ import annotations

from typing import Any


def keyspace(client: Any, *without: bytes) -> dict[bytes, tuple[bytes, bool]]:
    """Of each key its DUMP, and whether it expires; without those that begin with one of ``without``."""
    keys = sorted(key for key in client.scan_iter(count=1000) if not key.startswith(without))
    return {key: (client.dump(key), client.pttl(key) > 0) for key in keys}
