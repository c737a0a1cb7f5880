"""The curves of tests that an earlier server ran, from their outcomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plg.server.history import COLUMNS
from plg.server.records import OUTCOME, Records

_OF_OUTCOME = {
    "t": "t_s", "target": "target", "allowed": "allowed", "actual": "actual", "queue_depth": "queue_depth",
    "queue_age_s": "queue_age_s", "cpu_percent": "cpu_percent", "memory_mb": "memory_mb", "errors": "errors",
}  # fmt: skip
"""What a column of the service is called in the series of an outcome."""


async def past_metrics(records: Records, report: Mapping[str, Any]) -> dict[str, Any]:
    """What ``GET …/metrics`` answers of such a test."""
    saved = await asyncio.to_thread(_read, records.of(report["test_id"]) / OUTCOME)
    series = saved.get("series", {})
    times = series.get("t_s", [])
    columns = {name: series.get(_OF_OUTCOME.get(name, name), [None] * len(times)) for name in COLUMNS}
    latency = saved.get("latency_s", {})
    return {
        "test_id": report["test_id"], "seq": 0, "ledger": report["ledger"],
        "percentiles": {name: latency.get(name) for name in ("p50", "p95", "p99")},
        "violations": report["violations"],
        "resolution_s": times[1] - times[0] if len(times) > 1 else 1.0, "series": columns,
    }  # fmt: skip


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
