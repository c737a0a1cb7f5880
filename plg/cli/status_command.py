"""``plg status``: how the tests of a server stand."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from plg.cli.console import Console
from plg.cli.server_client import ServerClient
from plg.cli.stores import columns
from plg.escaping import one_line
from plg.units import format_duration, format_rate


def run(options: argparse.Namespace, console: Console) -> int:
    """One test in full, or all of them."""
    client = ServerClient.of()
    found = client.ask("GET", f"patterns/{options.test}/status" if options.test else f"patterns?limit={options.limit}")
    if options.json:
        console.raw(json.dumps(found, indent=2) + "\n")
        return 0
    for line in _one(found) if options.test else _all(found["items"]):
        console.print(line)
    return 0


def _all(items: list[Mapping[str, Any]]) -> list[str]:
    if not items:
        return ["no tests"]
    rows: list[tuple[str, ...]] = [("test", "name", "status", "verdict", "acked", "started", "target")]
    rows += [
        (
            item["test_id"], item["name"], item["status"], item["verdict"] or "-",
            f"{item['acked']:,}/{item['planned']:,}", item["started_at"], item["target"],
        )
        for item in items
    ]  # fmt: skip
    return columns(rows)


def _one(found: Mapping[str, Any]) -> list[str]:
    health, ledger = found["queue_health"], found["ledger"]
    elapsed = format_duration(round(found["elapsed_s"] or 0.0, 1))
    lines = [
        one_line(f"{found['name']} ({found['test_id']}): {found['status']}, {found['verdict'] or 'no verdict yet'}"),
        f"  {elapsed} of {format_duration(round(found['planned_duration_s'], 1))} on {one_line(found['target'])}",
    ]
    if found["actual_rate"] is not None and found["verdict"] is None:
        lines.append(f"  target {format_rate(found['target_rate'])}, actual {format_rate(found['actual_rate'])}")
    if health["queue_depth"] is not None:
        lines.append(f"  queue {health['queue_depth']:,.0f} jobs")
    lines.append("  " + ", ".join(f"{name} {count:,}" for name, count in ledger.items()))
    for line in found["expectations"]:
        lines.append(f"  {line['verdict'] or 'open':>8}  {one_line(line['text'])}")
    if found["reason"]:
        lines.append(f"  {one_line(found['reason'])}")
    return lines
