"""One of several scenarios that run at the same time: tells its parent how it goes, leaves its outcome in a file.

Standard output carries one JSON object a line: ``{"ready": NAME}`` once the scenario can be run, upon which a line on
standard input lets it begin, and ``{"progress": {…}}`` while it runs. Where the file cannot be written, the last object
is ``{"outcome": TEXT}``. The exit code is that of the check.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plg import session
from plg.diagnostics import ScenarioError
from plg.interrupt import attend
from plg.outcome_io import to_json
from plg.runner.hooks import Progress

if TYPE_CHECKING:
    from plg.cli.signals import Interruption

INTERVAL = 0.5
"""Seconds between two lines of progress."""


def run(file: Path, asked: session.Request, into: Path, interruption: Interruption) -> int:
    """Run one scenario for a parent process and write its outcome ``into`` a file; 2 where it is refused."""
    try:
        prepared = attend(lambda: session.prepare(file, asked), interruption.name)
    except ScenarioError:
        return 2  # the parent prepares it again to show the faults
    feed = _Feed(interruption)
    feed.put({"ready": prepared.scenario.name})
    if not sys.stdin.readline() and feed.interrupted() is None:
        return 1  # nobody is there any more who could want it
    observer = session.Observer(feed.progress, feed.interrupted, INTERVAL, waiting=feed.waiting)
    outcome = session.run(prepared, observer)
    _leave(to_json(outcome), into, feed)
    return outcome.exit_code


def _leave(saved: str, into: Path, feed: _Feed) -> None:
    """To a file, which a parent that has died leaves to whoever looks for it; over the pipe where the disk is full."""
    draft = into.with_name(f"{into.name}.draft")
    try:
        draft.write_text(saved, encoding="utf-8")
        draft.replace(into)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        feed.put({"outcome": saved})


class _Feed:
    """Lines to the parent. Where it is gone, the run is to end as if it had been terminated."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._alone = False

    def put(self, message: dict[str, Any]) -> None:
        try:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()
        except OSError:
            self._alone = True

    def progress(self, progress: Progress) -> None:
        self.put({"progress": {k: v for k, v in asdict(progress).items() if v == v}})

    def waiting(self, words: str) -> None:
        self.put({"waiting": words})

    def interrupted(self) -> str | None:
        return self._interruption.name() or ("SIGTERM" if self._alone else None)
