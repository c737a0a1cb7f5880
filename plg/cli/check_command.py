"""``plg check``: run scenarios in turn, write the artifacts, exit by verdict."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from plg import session
from plg.cli.console import Console
from plg.cli.files import expand, request
from plg.cli.view import RunView
from plg.diagnostics import ScenarioError
from plg.reports.artifacts import Artifacts

_PRECEDENCE = (1, 130, 143, 2, 6, 4, 3, 5, 0)
"""Exit codes of several scenarios, the one that decides first."""


def run(options: argparse.Namespace, console: Console) -> int:
    """Check every file named; the gravest exit code is returned."""
    asked = request(options)
    files = expand(options.files)
    artifacts = Artifacts(Path(options.out), png=options.png)
    codes: list[int] = []
    with _signals() as interruption:
        for number, file in enumerate(files):
            if number:
                console.print()
            codes.append(_check_one(file, asked, console, artifacts, interruption, quiet=options.quiet))
            if interruption.name() or (options.fail_fast and codes[-1] != 0):
                break
    written = artifacts.finish(github=os.environ.get("GITHUB_ACTIONS") == "true")
    for line in written.annotations:
        console.raw(line + "\n")
    for note in written.notes:
        console.error(note)
    code = min(codes, key=_PRECEDENCE.index)
    _close(console, codes, code, len(files), artifacts)
    return code


def _check_one(
    file: Path,
    asked: session.Request,
    console: Console,
    artifacts: Artifacts,
    interruption: Interruption,
    *,
    quiet: bool,
) -> int:
    view = RunView(console, quiet=quiet)
    try:
        prepared = session.prepare(file, asked)
    except ScenarioError as error:
        console.diagnostics(error.diagnostics, error.sources)
        artifacts.add_invalid(file, error)
        view.invalid(file, error)
        return 2
    view.plan(prepared.scenario, prepared.plan, prepared.notes)
    observer = session.Observer(view.progress, interruption.name, view.interval)
    outcome = session.run(prepared, observer)
    artifacts.add(outcome)
    view.verdict(outcome)
    return outcome.exit_code


def _close(console: Console, codes: list[int], code: int, files: int, artifacts: Artifacts) -> None:
    if files > 1:
        passed = codes.count(0)
        left = files - len(codes)
        console.print()
        console.print(
            f"{passed} of {files} scenarios passed" + (f", {left} not run" if left else "") + f"; exit code {code}"
        )
    console.print(
        f"artifacts in {artifacts.folder}/" if not artifacts.failed else "some artifacts could not be written"
    )


class Interruption:
    """The first SIGINT or SIGTERM asks the run to stop; a second one ends the program at once."""

    def __init__(self) -> None:
        self._name: str | None = None

    def name(self) -> str | None:
        """The signal that came, or None."""
        return self._name

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
