"""``plg start``: have a server start a test."""

from __future__ import annotations

import argparse
import base64
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from plg.cli.console import Console
from plg.cli.files import overrides, target, usage_error
from plg.cli.server_client import ServerClient, ServerRefusal
from plg.diagnostics import Diagnostic
from plg.language.files import packed
from plg.language.load import SUFFIXES, read_source
from plg.language.source import Source
from plg.units import format_duration


def run(options: argparse.Namespace, console: Console) -> int:
    """The id of the test alone on standard output; all else is said on standard error."""
    client = ServerClient.of()
    path = Path(options.what)
    if path.suffix.lower() in SUFFIXES or path.exists():
        answer = _start_file(client, path, options)
    else:
        answer = _start_profile(client, options)
    if options.json:
        console.raw(json.dumps(answer, indent=2) + "\n")
    else:
        console.raw(f"{answer['test_id']}\n")
        length = format_duration(round(answer["pattern"]["estimated_duration"], 3))
        console.error(
            f"started: {answer['pattern']['estimated_jobs']:,} jobs in {length}; plg watch {answer['test_id']}"
        )
        for warning in answer["warnings"]:
            console.error(f"warning: {warning['message']}")
    if options.watch:
        from plg.cli.watch_command import watch

        return watch(client, answer["test_id"], console, as_json=options.json)
    return 0


def _start_file(client: ServerClient, path: Path, options: argparse.Namespace) -> Any:
    source = read_source(path)
    body: dict[str, Any] = {"plg": source.text} if path.suffix.lower() == ".plg" else {"scenario": source.document}
    body["files"] = {name: base64.b64decode(text).decode("utf-8") for name, text in _packed(source).items()}
    body["params"] = {**_from_environment(source), **overrides(options.set)}
    where = target(options.target) if options.target else _target(source)
    if where is not None:
        body["target"] = where
    if options.seed is not None:
        body["seed"] = options.seed
    key = {"Idempotency-Key": options.key} if options.key else {}
    try:
        return client.ask("POST", "patterns/start", {k: v for k, v in body.items() if v not in ({}, None)}, **key)
    except ServerRefusal as refusal:
        raise ServerRefusal(refusal.status, refusal.code, [_placed(d, path) for d in refusal.diagnostics]) from None


def _placed(fault: Diagnostic, path: Path) -> Diagnostic:
    return replace(fault, file=str(path)) if fault.file == "<posted>" else fault


def _packed(source: Source) -> dict[str, str]:
    return packed(source.document, source.folder)


def _target(source: Source) -> str | None:
    """The target that this environment gives: the server looks into its own for nobody."""
    given = source.document.get("target")
    given = given.get("url") if isinstance(given, dict) and "url" in given else given
    if isinstance(given, dict) and isinstance(given.get("env"), str):
        found = os.environ.get(given["env"]) or given.get("default")
        return found if isinstance(found, str) else None
    return None


def _from_environment(source: Source) -> dict[str, str]:
    """The params that the scenario takes from the environment, as far as it has them."""
    given = source.document.get("params")
    found = {
        name: os.environ.get(value["env"])
        for name, value in (given if isinstance(given, dict) else {}).items()
        if isinstance(value, dict) and isinstance(value.get("env"), str)
    }
    return {name: value for name, value in found.items() if value is not None}


def _start_profile(client: ServerClient, options: argparse.Namespace) -> Any:
    from urllib.parse import quote

    page = client.ask("GET", f"profiles?name={quote(options.what)}&limit=500")
    ids = [item["id"] for item in page["items"] if options.what in (item["id"], item["name"])]
    wanted = ids[0] if ids else options.what
    body: dict[str, Any] = {"overrides": overrides(options.set)}
    if options.target:
        body["target"] = target(options.target)
    try:
        return client.ask("POST", f"profiles/{quote(wanted)}/run", body)
    except ServerRefusal as refusal:
        if refusal.status != 404:
            raise
        raise usage_error(
            f"there is no file and no profile {options.what!r}", "plg profile list shows the profiles"
        ) from None
