"""``plg audit``: look at the audit log of a server, hand it on, and see whether it is what was written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

from plg.access.audit import AuditLog, Head, Record
from plg.access.errors import AccessError
from plg.access.verifying import Verified, findings, verify
from plg.cli.console import Console
from plg.cli.files import usage_error
from plg.data_folder import data_folder
from plg.diagnostics import Diagnostic, ScenarioError
from plg.escaping import visible
from plg.judge.verdict import FAILED, PASS
from plg.reports.terminal import last_line


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 3 where the log is not what was written."""
    log = AuditLog(data_folder(options.data))
    try:
        if options.action == "verify":
            return _verify(options, console, log)
        found = log.tail(options.count) if options.action == "tail" else log.records(options.since)
        _tell(found, console, plain=options.action == "tail" and not options.json, csv=options.format == "csv")
    except AccessError as error:
        raise ScenarioError([Diagnostic("access", error.message, "<command line>", help=error.help)]) from None
    return PASS


def _verify(options: argparse.Namespace, console: Console, log: AuditLog) -> int:
    found = verify(log, _head(options.head))
    code = FAILED if found.faults else PASS
    if options.json:
        console.raw(json.dumps(_document(found, log), indent=2) + "\n")
        return code
    for each in findings(found):
        mark = "note" if each in found.notes else each.code
        console.print(f"  {mark}: {each.message}")
    count = f"{found.records:,} record{'s' * (found.records != 1)}"
    if found.faults:
        faults = len(found.faults) + found.more
        said = f"{log.path} is not what was written: {faults} fault{'s' * (faults != 1)} in {count}"
    else:
        said = f"{count} and the end of {log.path} are as they were written; head {found.head.seq}:{found.head.hash}"
    console.print(last_line(code, said, colour=console.colour))
    return code


def _head(text: str | None) -> Head | None:
    """``NUMBER:HASH``, as verify printed it once."""
    if text is None:
        return None
    seq, _, digest = text.partition(":")
    if not (seq.isascii() and seq.isdigit()) or len(digest) != 64:
        raise usage_error(f"--head takes NUMBER:HASH, not {text!r}", "plg audit verify prints the present one")
    return Head(int(seq), digest)


def _document(found: Verified, log: AuditLog) -> dict[str, Any]:
    return {
        "log": str(log.path), "anchor": str(log.anchor), "records": found.records, "sound": not found.faults,
        "head": {"seq": found.head.seq, "hash": found.head.hash},
        "faults": [{"code": each.code, "message": each.message} for each in found.faults],
        "more_faults": found.more,
        "notes": [{"code": each.code, "message": each.message} for each in found.notes],
    }  # fmt: skip


def _tell(records: Iterable[Record], console: Console, *, plain: bool, csv: bool) -> None:
    if csv and not plain:
        _as_csv(records, console)
        return
    for record in records:
        told = record.document
        if plain:
            what = " ".join(f"{name}={json.dumps(value)}" for name, value in told["what"].items())
            source = f" from {told['from']}" if told["from"] else ""
            console.print(
                visible(f"{told['seq']:>6}  {told['at'][:19]}Z  {told['event']}  {told['who']}{source}  {what}")
            )
        else:
            console.raw(json.dumps(told, sort_keys=True, separators=(",", ":")) + "\n")


def _as_csv(records: Iterable[Record], console: Console) -> None:
    import csv
    import io

    def written(row: list[str]) -> str:
        text = io.StringIO()
        # A spreadsheet takes what begins with one of these for a formula.
        csv.writer(text).writerow([f"'{cell}" if cell[:1] in "=+-@" and cell else cell for cell in row])
        return text.getvalue()

    console.raw(written(["seq", "at", "event", "who", "from", "what", "plg", "hash"]))
    for record in records:
        told = record.document
        what = json.dumps(told["what"], sort_keys=True)
        version = told["versions"].get("plg", "")
        console.raw(
            written(
                [str(told["seq"]), told["at"], told["event"], told["who"], told["from"], what, version, record.hash]
            )
        )
