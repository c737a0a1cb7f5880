"""``plg token``: make, list and revoke the tokens of a server."""

from __future__ import annotations

import argparse
import json
import socket
import time
from typing import Any

from plg.access.audit import AuditLog
from plg.access.errors import AccessError
from plg.access.tokens import Token, Tokens
from plg.cli.console import Console
from plg.cli.stores import columns
from plg.data_folder import data_folder
from plg.diagnostics import Diagnostic, ScenarioError
from plg.guardrails.policy import account_name


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 0 where it was done. Each change is written down in the audit log first."""
    data = data_folder(options.data)
    tokens, log, who = Tokens(data), AuditLog(data), f"{account_name()}@{socket.gethostname()}"
    try:
        done = {"create": _create, "list": _list, "revoke": _revoke}[options.action]
        done(options, console, tokens, log, who)
    except AccessError as error:
        raise ScenarioError([Diagnostic("access", error.message, "<command line>", help=error.help)]) from None
    return 0


def _create(options: argparse.Namespace, console: Console, tokens: Tokens, log: AuditLog, who: str) -> None:
    text, token = tokens.create(
        options.name, options.role, options.expires, who, lambda each: log.record("token.create", who, _about(each))
    )
    if options.json:
        console.raw(json.dumps({"token": text, **_row(token)}, indent=2) + "\n")
        return
    # Alone on standard output, for `TOKEN=$(plg token create …)`: it is kept nowhere, and never shown again.
    console.raw(text + "\n")
    until = "never expires" if token.expires_at is None else f"expires {_moment(token.expires_at)}"
    console.error(f"the token of {token.name!r}, {token.role}, {until}; it is not shown again")


def _revoke(options: argparse.Namespace, console: Console, tokens: Tokens, log: AuditLog, who: str) -> None:
    for token in tokens.revoke(options.name, lambda each: log.record("token.revoke", who, _about(each))):
        console.print(f"revoked: {token.name} ({token.role}, {token.id})")


def _list(options: argparse.Namespace, console: Console, tokens: Tokens, log: AuditLog, who: str) -> None:
    del log, who
    found = sorted(tokens.all(), key=lambda token: token.created_at)
    if options.json:
        console.raw(json.dumps({"tokens": [_row(token) for token in found]}, indent=2) + "\n")
        return
    rows = [
        (token.name, token.role, token.state(time.time()), _moment(token.expires_at), token.id, token.created_by)
        for token in found
    ]
    for line in columns([("name", "role", "state", "expires", "id", "created by"), *rows]):
        console.print(line)


def _about(token: Token) -> dict[str, Any]:
    return {"token": token.id, "name": token.name, "role": token.role, "expires_at": _moment(token.expires_at)}


def _row(token: Token) -> dict[str, Any]:
    return {
        "id": token.id, "name": token.name, "role": token.role, "state": token.state(time.time()),
        "created_at": _moment(token.created_at), "created_by": token.created_by,
        "expires_at": None if token.expires_at is None else _moment(token.expires_at),
        "revoked_at": None if token.revoked_at is None else _moment(token.revoked_at),
    }  # fmt: skip


def _moment(seconds: float | None) -> str:
    return "never" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
