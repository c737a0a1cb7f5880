"""``plg judge``: a saved outcome against the scenario's present expectations."""

from __future__ import annotations

import argparse
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import overrides
from plg.judge import rejudge
from plg.language.load import load, load_document
from plg.outcome_io import read_outcome
from plg.reports import terminal
from plg.reports.artifacts import Artifacts


def run(options: argparse.Namespace, console: Console) -> int:
    """Judge again and exit by the new verdict."""
    outcome = read_outcome(Path(options.outcome))
    settings = overrides(options.set)
    if options.scenario:
        scenario = load(Path(options.scenario), overrides=settings).scenario
    else:
        scenario = load_document(dict(outcome.scenario), overrides=settings).scenario
    judged = rejudge(outcome, scenario.expect)
    console.print(terminal.summary(judged, colour=console.colour, ascii_only=console.ascii).rstrip("\n"))
    if options.out:
        artifacts = Artifacts(Path(options.out))
        artifacts.add(judged)
        for note in artifacts.finish(github=False).notes:
            console.error(note)
    return judged.exit_code
