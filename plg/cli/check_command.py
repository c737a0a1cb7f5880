"""``plg check``: run scenarios in turn, write the artifacts, exit by verdict."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from plg import session
from plg.cli.console import Console
from plg.cli.files import expand, refuse_lonely_shards, request, usage_error
from plg.cli.view import RunView
from plg.diagnostics import Diagnostic, ScenarioError
from plg.reports.artifacts import Artifacts
from plg.reports.terminal import last_line

_PRECEDENCE = (1, 130, 143, 2, 6, 4, 3, 5, 0)
"""Exit codes of several scenarios, the one that decides first."""


def run(options: argparse.Namespace, console: Console) -> int:
    """Check every file named; the gravest exit code is returned."""
    # A verdict is in the exit code and the artifacts: it does not depend on somebody who reads along.
    console.outlive_reader()
    artifacts = Artifacts(Path(options.out), png=options.png, shard=options.shard)
    try:
        asked, files = request(options), expand(options.files)
        refuse_lonely_shards(options, len(files))
        # Before anything is sent: a run whose result cannot be kept is load for nothing.
        if words := artifacts.refused():
            raise usage_error(words, "name another folder with --out")
    except ScenarioError as error:
        console.diagnostics(error.diagnostics, error.sources)
        console.print(last_line(2, error.diagnostics[0].message, colour=console.colour))
        return 2
    with _signals() as interruption:
        try:
            return _check_all(options, asked, files, console, artifacts, interruption)
        except KeyboardInterrupt:
            reason = f"{interruption.name()} came twice: ended at once, nothing more was written"
            console.print(last_line(interruption.code, reason, colour=console.colour))
            return interruption.code


def _check_all(
    options: argparse.Namespace,
    asked: session.Request,
    files: list[Path],
    console: Console,
    artifacts: Artifacts,
    interruption: Interruption,
) -> int:
    ends: list[End] = []
    for number, file in enumerate(files):
        if number:
            console.print()
        ends.append(_check_safely(file, asked, console, artifacts, interruption, quiet=options.quiet))
        if len(files) > 1:
            console.print(last_line(*ends[-1], colour=console.colour))
        if interruption.name() or (options.fail_fast and ends[-1].code != 0):
            break
    written = artifacts.finish(github=os.environ.get("GITHUB_ACTIONS") == "true")
    for line in written.annotations:
        console.raw(line + "\n")
    for note in written.notes:
        console.error(note)
    return _close(console, ends, len(files), artifacts)


class End(NamedTuple):
    """How one scenario ended: its exit code and why."""

    code: int
    reason: str


def _check_safely(
    file: Path,
    asked: session.Request,
    console: Console,
    artifacts: Artifacts,
    interruption: Interruption,
    *,
    quiet: bool,
) -> End:
    """A bug in plg that one file brings out costs the others neither their runs nor their artifacts."""
    try:
        return _check_one(file, asked, console, artifacts, interruption, quiet=quiet)
    except Exception as error:  # the last net but one; `plg.cli.main` has the last
        if os.environ.get("PLG_DEBUG"):
            raise
        message = f"internal error: {type(error).__name__}: {error}"
        console.error(message)
        console.error("this is a fault of plg, not of the scenario; PLG_DEBUG=1 shows where")
        artifacts.add_invalid(file, ScenarioError([Diagnostic("internal-error", message, file=str(file))]))
        return End(1, message)


def _check_one(
    file: Path,
    asked: session.Request,
    console: Console,
    artifacts: Artifacts,
    interruption: Interruption,
    *,
    quiet: bool,
) -> End:
    view = RunView(console, quiet=quiet)
    try:
        prepared = session.prepare(file, asked)
    except ScenarioError as error:
        console.diagnostics(error.diagnostics, error.sources)
        artifacts.add_invalid(file, error)
        faults = sum(d.severity == "error" for d in error.diagnostics)
        return End(2, f"{file} has {faults} fault{'s' if faults != 1 else ''}")
    view.plan(prepared.scenario, prepared.plan, prepared.notes)
    view.waiting(prepared.start)
    observer = session.Observer(view.progress, interruption.name, view.interval)
    outcome = session.run(prepared, observer)
    artifacts.add(outcome)
    view.verdict(outcome)
    return End(outcome.exit_code, outcome.reason)


def _close(console: Console, ends: list[End], files: int, artifacts: Artifacts) -> int:
    if files > 1:
        console.print()
    where = "some artifacts could not be written" if artifacts.failed else f"artifacts in {artifacts.folder}/"
    console.print(where)
    code = min((end.code for end in ends), key=_PRECEDENCE.index)
    passed, left = sum(end.code == 0 for end in ends), files - len(ends)
    many = f"{passed} of {files} scenarios passed" + (f", {left} not run" if left else "")
    console.print(last_line(code, many if files > 1 else ends[0].reason, colour=console.colour))
    return code


class Interruption:
    """The first SIGINT or SIGTERM asks the run to stop; a second one ends the program at once."""

    def __init__(self) -> None:
        self._name: str | None = None

    def name(self) -> str | None:
        """The signal that came, or None."""
        return self._name

    @property
    def code(self) -> int:
        """The exit code that a shell gives to the signal that came."""
        return 128 + signal.Signals[self._name] if self._name else 130

    def take(self, number: int, frame: FrameType | None) -> None:
        if self._name is not None:
            raise KeyboardInterrupt
        self._name = signal.Signals(number).name


@contextmanager
def _signals() -> Iterator[Interruption]:
    interruption = Interruption()
    before = {number: signal.signal(number, interruption.take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
