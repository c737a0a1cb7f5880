"""What is answered to whoever started a test."""

from __future__ import annotations

from typing import Any

from plg.server.load_test import LoadTest
from plg.server.route import Call


def started(call: Call, test: LoadTest) -> dict[str, Any]:
    """The body of a 202."""
    scheme = "wss" if call.request.url.scheme == "https" else "ws"
    return {
        "test_id": test.id,
        "status": test.status,
        "pattern": {
            "type": test.pattern,
            "estimated_duration": test.plan["duration_s"],
            "estimated_jobs": test.plan["planned"],
        },
        "websocket_url": f"{scheme}://{call.request.headers['host']}/api/v1/load-test/stream/{test.id}",
        "warnings": test.warnings,
    }
