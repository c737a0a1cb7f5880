"""When a job was put into its queue, by the job's own account."""

from __future__ import annotations

import json

_FUTURE = 60.0
"""An ``enqueued_at`` further ahead (s) is not a time in seconds by a clock like ours: milliseconds, for one."""


def enqueued_at(job: bytes, now: float) -> float | None:
    """``enqueued_at`` of ``job`` (s since the epoch); None for jobs not in plg's form. ``now`` is on the same scale."""
    try:
        stamp = json.loads(job)["enqueued_at"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        return None
    return float(stamp) if 0 < stamp <= now + _FUTURE else None
