"""``plg report``: saved outcomes rendered again."""

from __future__ import annotations

import argparse
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import expand, usage_error
from plg.outcome import Outcome
from plg.outcome_io import read_outcome
from plg.reports.registry import REPORTS, Report, ReportUnavailable


def run(options: argparse.Namespace, console: Console) -> int:
    """Render every format asked for; without one, the terminal summary."""
    outcomes = [read_outcome(path) for path in expand(options.outcomes)]
    if not asked(options):
        from plg.reports import terminal

        for outcome in outcomes:
            console.print(terminal.summary(outcome, colour=console.colour, ascii_only=console.ascii).rstrip("\n"))
    return write_reports(options, console, outcomes)


def asked(options: argparse.Namespace) -> list[tuple[Report, str]]:
    """The reports that the options name a file for, and that file."""
    given = ((report, getattr(options, report.name)) for report in REPORTS.values())
    return [(report, where) for report, where in given if where]


def write_reports(options: argparse.Namespace, console: Console, outcomes: list[Outcome]) -> int:
    """Write each report that the options name a file for; 0, or 2 where one cannot be made here."""
    code = 0
    for report, _ in asked(options):
        if report.single and len(outcomes) > 1:
            help_ = "name one outcome, or use --html, which overlays several"
            raise usage_error(f"--{report.name} draws one outcome", help_)
    for report, where in asked(options):
        try:
            _put(console, where, report.make(outcomes))
        except ReportUnavailable as error:
            console.error(str(error))
            code = 2
    return code


def _put(console: Console, where: str, made: str | bytes) -> None:
    if isinstance(made, bytes):
        Path(where).write_bytes(made)
    elif where == "-":
        console.raw(made)
    else:
        Path(where).write_text(made, encoding="utf-8")
