"""``plg merge``: the shards of one run, judged as one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from plg.cli.closing import closing
from plg.cli.console import Console
from plg.cli.files import expand
from plg.cli.report_command import write_reports
from plg.judge.shards import merge_outcomes
from plg.outcome_io import read_outcome
from plg.reports import terminal
from plg.reports.artifacts import Artifacts


def run(options: argparse.Namespace, console: Console) -> int:
    """Write the artifacts of the whole run and exit by its verdict."""
    console.outlive_reader()
    artifacts = Artifacts(Path(options.out))
    with artifacts.at_work(options.outcomes):
        return _merge(options, console, artifacts)


def _merge(options: argparse.Namespace, console: Console, artifacts: Artifacts) -> int:
    files = expand(options.outcomes)
    outcomes = [read_outcome(file) for file in files]
    whole = merge_outcomes(outcomes, [str(file) for file in files], partial=options.partial)
    artifacts.add(whole)
    written = artifacts.finish(github=os.environ.get("GITHUB_ACTIONS") == "true")
    for line in written.annotations:
        console.raw(line + "\n")
    for note in written.notes:
        console.error(note)
    code = write_reports(options, console, [whole])
    summary = terminal.summary(whole, colour=console.colour, ascii_only=console.ascii, last=False)
    console.print(summary.rstrip("\n"))
    where = "some artifacts could not be written" if artifacts.failed else f"artifacts in {artifacts.folder}/"
    console.print(where)
    undrawn = "a report could not be drawn; " if code and not whole.exit_code else ""
    code, reason = closing(whole.exit_code or code, undrawn + whole.reason, artifacts)
    console.print(terminal.last_line(code, reason, colour=console.colour))
    return code
