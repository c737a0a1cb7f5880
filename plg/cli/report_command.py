"""``plg report``: saved outcomes rendered again."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import expand, usage_error
from plg.outcome import Outcome
from plg.outcome_io import read_outcome


def run(options: argparse.Namespace, console: Console) -> int:
    """Render every format asked for; without one, the terminal summary."""
    outcomes = [read_outcome(path) for path in expand(options.outcomes)]
    if not any((options.html, options.junit, options.png, options.markdown)):
        from plg.reports import terminal

        for outcome in outcomes:
            console.print(terminal.summary(outcome, colour=console.colour, ascii_only=console.ascii).rstrip("\n"))
    return write_reports(options, console, outcomes)


def write_reports(options: argparse.Namespace, console: Console, outcomes: list[Outcome]) -> int:
    """Write each format that the options name a file for; 0, or 2 where one cannot be drawn here."""
    if options.png and len(outcomes) > 1:
        raise usage_error("--png draws one outcome", "name one outcome, or use --html, which overlays several")
    if options.html:
        from plg.reports.html import html

        _put(console, options.html, html(outcomes))
    if options.junit:
        from plg.reports.junit import junit
        from plg.reports.repository import roots

        _put(console, options.junit, junit(outcomes, roots=roots(os.environ)))
    if options.markdown:
        from plg.reports.markdown import markdown

        _put(console, options.markdown, markdown(outcomes))
    if options.png:
        from plg.reports.png import ReportUnavailable, png

        try:
            Path(options.png).write_bytes(png(outcomes[0]))
        except ReportUnavailable as error:
            console.error(str(error))
            return 2
    return 0


def _put(console: Console, where: str, text: str) -> None:
    if where == "-":
        console.raw(text)
    else:
        Path(where).write_text(text, encoding="utf-8")
