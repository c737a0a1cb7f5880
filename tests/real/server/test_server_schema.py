"""The server keeps to its own OpenAPI document, whatever it is sent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.plg_server import Server

pytestmark = pytest.mark.slow


def test_the_document_is_openapi(plg_server: Server) -> None:
    found = plg_server.ask("GET", "/openapi.json").json
    assert found["openapi"].startswith("3.1")
    schemas = found["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    named = set(re.findall(r"#/components/schemas/([\w.-]+)", json.dumps(found)))
    assert named <= set(schemas)
    assert all("application/problem+json" in each["content"] for each in _problems(found))


def _problems(found: Any) -> list[Any]:
    """The answers that are errors."""
    operations = [operation for path in found["paths"].values() for operation in path.values()]
    return [each for op in operations for code, each in op["responses"].items() if int(code) >= 400]


def test_schemathesis_finds_nothing(plg_server: Server, tmp_path: Path) -> None:
    """Without the check that whatever fits the schema is accepted: what a scenario means no schema tells."""
    command = [
        Path(sys.executable).with_name("schemathesis"), "run", f"http://127.0.0.1:{plg_server.port}/openapi.json",
        "--phases", "fuzzing", "--max-examples", "8", "--seed", "1", "--generation-database", "none",
        "--exclude-checks", "positive_data_acceptance",
    ]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert plg_server.ask("GET", "/readyz").status == 200
