"""The OpenAPI 3.1 document: of the routes as they are declared, and of the schemas that plg has anyway."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from plg import __version__
from plg.resources import read_text
from plg.server.posted import BESIDE, KEPT, TEXTS
from plg.server.problems import MEDIA_TYPE
from plg.server.route import Route
from plg.server.schemas import SCHEMAS, reference

_ALWAYS = (400, 401, 403, 404, 405, 421, 429, 500, 503)
"""Errors that any route may answer with."""
_WITH_BODY = (408, 413, 415, 422)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "plg serve", "version": __version__, "description": "Patterned load on job queues."},
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **_scenario(), "Posted": _posted()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    words = "-".join(word for word in re.split(r"[^a-z]+", route.path.removeprefix("/api/v1/load-test")) if word)
    statuses = sorted({*_ALWAYS, *route.problems, *(_WITH_BODY if route.body else ())})
    found: dict[str, Any] = {
        "operationId": f"{route.method.lower()}-{words or 'root'}",
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {
            **{str(code): _answer(route, code, schema) for code, schema in route.answers.items()},
            **{str(code): _problem(code) for code in statuses},
        },
    }
    if route.permission:
        found["x-permission"] = route.permission
    else:
        found["security"] = []
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    return found


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    found += [{"name": name, "in": "query", "schema": schema} for name, schema in route.query.items()]
    if "Idempotency-Key" in route.headers:
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        found.append({"name": "Idempotency-Key", "in": "header", "schema": schema})
    return found


def _answer(route: Route, code: int, schema: Mapping[str, Any]) -> dict[str, Any]:
    content = {route.media: {"schema": schema} if schema else {}}
    return {"description": HTTPStatus(code).phrase, "content": content}


def _problem(code: int) -> dict[str, Any]:
    return {"description": HTTPStatus(code).phrase, "content": {MEDIA_TYPE: {"schema": reference("Problem")}}}


@cache
def _scenario() -> Mapping[str, Any]:
    """The schema of a scenario as one of the document, and its parts beside it."""
    text = read_text("schemas", "scenario.schema.json").replace("#/$defs/", "#/components/schemas/scenario.")
    schema = json.loads(text)
    parts = schema.pop("$defs")
    for name in ("$schema", "$id"):
        schema.pop(name)
    return {"Scenario": schema, **{f"scenario.{name}": part for name, part in parts.items()}}


def fields_of_a_scenario() -> frozenset[str]:
    """The names at the top of a document."""
    return frozenset(_scenario()["Scenario"]["properties"])


def _posted() -> dict[str, Any]:
    """A body that starts or plans a test."""
    beside: dict[str, Any] = {
        "params": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "files": {"type": "object", "additionalProperties": {"type": "string"}},
        "target": {"type": "string"},
        "seed": {"type": "integer"},
        "save_profile": {"const": False},
    }
    assert set(beside) <= {*BESIDE, *KEPT}, "they are those that are read"
    scenario = _scenario()["Scenario"]
    needed = [name for name in scenario["required"] if name != "name"]
    return {
        "anyOf": [
            {**scenario, "required": needed, "title": "a document itself"},
            _one("scenario", reference("Scenario"), beside),
            *(_one(name, {"type": "string"}, beside) for name in TEXTS),
        ]
    }


def _one(name: str, schema: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: schema, **beside}
    return {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}
