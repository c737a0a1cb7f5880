"""The schemas of what the service answers; those of documents are plg's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plg.server.history import COLUMNS
from plg.server.load_test import LEDGER, STATES

Schema = Mapping[str, Any]


def reference(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(fields: Mapping[str, Any], *, closed: bool = False) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": not closed}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}
_MAYBE_NUMBER = {"type": ["number", "null"]}
_MAYBE_TEXT = {"type": ["string", "null"]}
_FAULT = _object(
    {
        "code": _TEXT, "message": _TEXT, "help": _TEXT, "path": _list({"type": ["string", "integer"]}),
        "line": {"type": ["integer", "null"]}, "column": {"type": ["integer", "null"]},
    }
)  # fmt: skip
_ITEM = {
    "test_id": _TEXT, "name": _TEXT, "status": {"enum": list(STATES)}, "verdict": _MAYBE_TEXT, "started_at": _TEXT,
    "started_by": _TEXT, "duration_s": _MAYBE_NUMBER, "target": _TEXT, "planned": _COUNT, "acked": _COUNT,
}  # fmt: skip
_WARNING = _object({"code": _TEXT, "message": _TEXT})
_EXPECTATION = _object(
    {
        "text": _TEXT, "level": _TEXT, "verdict": _MAYBE_TEXT, "observed": _MAYBE_NUMBER, "bound": _MAYBE_NUMBER,
        "margin": _MAYBE_NUMBER, "turned_s": _MAYBE_NUMBER,
    }
)  # fmt: skip
_HEALTH = {
    "queue_depth": _MAYBE_NUMBER, "queue_age_s": _MAYBE_NUMBER, "processing_rate": _MAYBE_NUMBER,
    "error_rate": _MAYBE_NUMBER, "memory_mb": _MAYBE_NUMBER, "cpu_percent": _MAYBE_NUMBER,
    "connected": {"type": "boolean"}, "timestamp": _NUMBER,
}  # fmt: skip
_STATUS = {
    **_ITEM, "exit_code": {"type": ["integer", "null"]}, "reason": _TEXT, "elapsed_s": _MAYBE_NUMBER,
    "target_rate": _MAYBE_NUMBER, "allowed_rate": _MAYBE_NUMBER, "actual_rate": _MAYBE_NUMBER,
    "ledger": _object(dict.fromkeys(LEDGER, _COUNT)), "queue_health": _object(_HEALTH),
    "expectations": _list(_EXPECTATION), "warnings": _list(_WARNING), "faults": _list(_FAULT),
}  # fmt: skip
_SERIES = _object(dict.fromkeys(COLUMNS, _list(_MAYBE_NUMBER)))
SCHEMAS: Mapping[str, Schema] = {
    "Problem": _object(
        {
            "type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT, "code": _TEXT,
            "faults": _list(_FAULT),
        }
    ),
    "Started": _object(
        {
            "test_id": _TEXT, "status": {"enum": list(STATES)},
            "pattern": _object({"type": _MAYBE_TEXT, "estimated_duration": _NUMBER, "estimated_jobs": _COUNT}),
            "websocket_url": _TEXT, "warnings": _list(_WARNING),
        }
    ),
    "Planned": _object(
        {
            "scenario": _TEXT, "duration_s": _NUMBER, "planned": _COUNT, "peak_rate": _NUMBER, "sent_estimate": _COUNT,
            "phases": _list({"type": "object"}), "clips": _list({"type": "object"}),
            "warnings": _list({"type": "object"}),
            "curve": _object(dict.fromkeys(("t_s", "target", "allowed"), _list(_NUMBER))),
        }
    ),
    "Tests": _object({"items": _list(_object(_ITEM)), "next": _MAYBE_TEXT}),
    "Status": _object(_STATUS),
    "Stopping": _object({"test_id": _TEXT, "status": {"enum": list(STATES)}}),
    "Metrics": _object(
        {
            "test_id": _TEXT, "seq": _COUNT, "resolution_s": _NUMBER, "ledger": _object(dict.fromkeys(LEDGER, _COUNT)),
            "series": _SERIES, "percentiles": {"type": "object"}, "violations": _list({"type": "object"}),
        }
    ),
    "Audit": _object({"items": _list({"type": "object"}), "next": {"type": ["integer", "null"]}}),
    "Policy": _object({"files": _list(_object({"file": _TEXT, "text": _TEXT})), "max_tests": _COUNT}),
    "Profile": _object(
        {
            "id": _TEXT, "name": _TEXT, "description": _TEXT, "version": _COUNT, "created_at": _TEXT,
            "updated_at": _TEXT, "created_by": _TEXT, "tags": _list(_TEXT), "scenario": {"type": "object"},
            "metadata": {"type": "object"}, "etag": _TEXT,
        }
    ),
    "Profiles": _object({"items": _list({"type": "object"}), "next": _MAYBE_TEXT}),
    "Versions": _object({"items": _list({"$ref": "#/components/schemas/Profile"})}),
    "Health": _object({"status": _TEXT}),
}  # fmt: skip
