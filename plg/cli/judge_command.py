"""``plg judge``: a saved outcome against the scenario's present expectations."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from plg.cli.closing import closing
from plg.cli.console import Console
from plg.cli.files import overrides, usage_error
from plg.file_kinds import OUTCOME, kind_of
from plg.judge import rejudge
from plg.judge.saved_lines import lines_of, read_lines, refusal
from plg.language.load import load
from plg.outcome import Outcome
from plg.outcome_io import read_outcome
from plg.reports import terminal
from plg.reports.artifacts import Artifacts
from plg.scenario import Expectation


def run(options: argparse.Namespace, console: Console) -> int:
    """Judge again and exit by the new verdict."""
    console.outlive_reader()
    if not options.out:
        return _judge(options, console, None)
    artifacts = Artifacts(Path(options.out))
    with artifacts.at_work([options.outcome]):
        return _judge(options, console, artifacts)


def _judge(options: argparse.Namespace, console: Console, artifacts: Artifacts | None) -> int:
    outcome = read_outcome(Path(options.outcome))
    shard = outcome.shard
    if shard is not None and len(shard.parts) < shard.of and not outcome.recording.incomplete:
        help_ = "plg merge puts the shards together and judges the whole"
        words = "this is one shard: what is expected is expected of the whole"
        raise refusal("not-whole", words, options.outcome, help_)
    judged = rejudge(outcome, _expectations(options, outcome))
    notes: Sequence[str] = ()
    if artifacts is not None:
        artifacts.add(judged)
        notes = artifacts.finish(github=False).notes
    summary = terminal.summary(judged, colour=console.colour, ascii_only=console.ascii, last=False)
    console.print(summary.rstrip("\n"))
    for note in notes:
        console.error(note)
    code, reason = closing(judged.exit_code, judged.reason, artifacts)
    console.print(terminal.last_line(code, reason, colour=console.colour))
    return code


def _expectations(options: argparse.Namespace, outcome: Outcome) -> Sequence[Expectation]:
    """Those of the scenario that is named, else those that the outcome was judged by."""
    settings = overrides(options.set)
    if options.scenario and kind_of(Path(options.scenario)) == OUTCOME:
        first, second = shlex.quote(options.outcome), shlex.quote(options.scenario)
        help = (
            f"plg judge {second} judges it alone; plg report {first} {second} --html both.html lays one over the other"
        )
        raise usage_error(f"{options.scenario} is the outcome of a run, where a scenario may stand", help)
    if options.scenario:
        return load(Path(options.scenario), overrides=settings, sends=False).scenario.expect
    if settings:
        raise usage_error("--set gives a param of a scenario another value", "name the scenario file too")
    return read_lines(lines_of(outcome), list(outcome.recording.spans), options.outcome)
