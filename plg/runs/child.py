"""The child of a launcher: takes an order from standard input, tells how it goes, leaves its outcome.

Standard input carries the order as one line of JSON, then a line that lets the schedule begin. Standard output carries
one JSON object a line: ``{"ready": NAME}`` once the run can begin; ``{"waiting": WORDS}`` while a server is waited
for; ``{"progress": {…}}``; and at the end ``{"refused": FAULTS}``, or ``{"outcome": TEXT}`` where the outcome finds no
place in its file. The exit code is that of the run.
"""

from __future__ import annotations

import json
import os
import select
import sys
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plg import session
from plg.diagnostics import ScenarioError
from plg.interrupt import Interrupted, attend
from plg.outcome_io import to_json
from plg.redaction import hide_in_tracebacks
from plg.runner.observer import Progress
from plg.runs.order import Order, faults_to
from plg.runs.signals import Interruption, taken
from plg.stop import Stop

INTERVAL = 0.5
"""Seconds between two lines of progress."""
_LOOK = 0.1
"""Seconds between looks for a signal while the parent says nothing."""


def main() -> int:
    """Run one order. ``sys.argv[1]`` is the file that the outcome goes to."""
    hide_in_tracebacks()
    with taken(for_good=True) as interruption:
        try:
            lines = _Lines(interruption)
            return _run(lines.hear(), Path(sys.argv[1]), lines)
        except (KeyboardInterrupt, Interrupted):
            return interruption.code


def _run(order: str, into: Path, lines: _Lines) -> int:
    if not order.endswith("\n"):
        return lines.interruption.code
    try:
        with ExitStack() as held:
            # What is read may be long: it is done beside the thread that hears signals.
            prepared = attend(lambda: held.enter_context(Order.from_json(order).prepared()), lines.interrupted)
            lines.put({"ready": prepared.scenario.name})
            if not lines.hear() and lines.interrupted() is None:
                return 1  # nobody is there any more who could want it
            observer = session.Observer(lines.progress, lines.interrupted, INTERVAL, waiting=lines.waiting)
            outcome = session.run(prepared, observer)
    except ScenarioError as error:
        lines.put({"refused": faults_to(error)})
        return 2
    _leave(to_json(outcome), into, lines)
    return outcome.exit_code


def _leave(saved: str, into: Path, lines: _Lines) -> None:
    """To a file, which a parent that has died leaves to whoever looks for it; over the pipe where the disk is full."""
    draft = into.with_name(f"{into.name}.draft")
    try:
        draft.write_text(saved, encoding="utf-8")
        draft.replace(into)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        lines.put({"outcome": saved})


class _Lines:
    """Lines to the parent and from it. Where it is gone, the run is to end as if it had been terminated."""

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption
        self._alone = False
        self._heard = b""

    def hear(self) -> str:
        """The next line on standard input; none where that has ended, or where a signal comes before it."""
        pieces, self._heard = [self._heard], b""
        while b"\n" not in pieces[-1] and self.interrupted() is None:
            if select.select([0], [], [], _LOOK)[0]:
                pieces.append(os.read(0, 1 << 16))
                if not pieces[-1]:
                    break
        line, end, self._heard = b"".join(pieces).partition(b"\n")
        return (line + end).decode()

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

    def interrupted(self) -> Stop | None:
        return self.interruption.stop() or Stop.signal("SIGTERM" if self._alone else None)
