"""The child of a launcher: takes an order from standard input, tells how it goes, leaves its outcome.

Standard input carries the order as one line of JSON, then ``{"begin": MOMENT}`` (null: at once), and ``{"stop": …}``
where the run is to end. Standard output carries the events of `plg.runs.events`, one JSON object a line, and
``{"outcome": TEXT}`` where the outcome finds no place in its file, and ``{"heard": NAME}`` once a stop was heard. The
exit code is that of the run. Where the parent dies, the run ends: at once, or after as many seconds as was asked.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from plg.diagnostics import ScenarioError
from plg.interrupt import Interrupted
from plg.judge.verdict import USAGE
from plg.outcome_io import to_json
from plg.redaction import hide_in_tracebacks
from plg.runs.events import Event, Finished, Refused, event_to
from plg.runs.inline import Inline, InlineRun
from plg.runs.launcher import NoOutcome
from plg.runs.order import Order
from plg.runs.signals import SIGNALS, Interruption, taken
from plg.stop import Stop

INTERVAL = 0.5
"""Seconds between two rows of how the run goes."""
_LAST_WORDS = 5.0
"""Seconds for which the last events may take to be written to a parent that does not read."""
_LOOK = 0.1
"""Seconds between looks for a signal while the parent says nothing."""


def main() -> int:
    """Run one order. ``sys.argv`` has the file that the outcome goes to, seconds between two rows of how the run goes,
    and seconds for which it goes on without its parent; the last two may be missing."""
    hide_in_tracebacks()
    # Whoever started this process may have blocked what is for itself.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with taken(for_good=True) as interruption:
        try:
            every, orphan_limit = map(float, sys.argv[2:] or (INTERVAL, 0.0))
            return _run(_Lines(interruption, orphan_limit), Path(sys.argv[1]), every)
        except (KeyboardInterrupt, Interrupted):
            return interruption.code


def _run(lines: _Lines, into: Path, every: float) -> int:
    order = lines.order()
    if order is None:
        return lines.interruption.code
    try:
        run = Inline(every).launch(Order.from_json(order), lines.tell)
    except ScenarioError as error:
        lines.tell(Refused.of(error, USAGE))
        return USAGE
    try:
        lines.obey(run)
        outcome = run.outcome()
        _leave(to_json(outcome), into, lines)
        return outcome.exit_code
    except NoOutcome as error:
        return error.code
    finally:
        # What the parent has not been told ends with this process.
        run.all_heard(_LAST_WORDS)


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

    def __init__(self, interruption: Interruption, orphan_limit: float) -> None:
        self.interruption, self._orphan_limit = interruption, orphan_limit
        self._alone_since: float | None = None
        self._closed = False
        self._pieces: list[bytes] = []
        self._lines: deque[str] = deque()
        self._over, self._end = os.pipe()

    def order(self) -> str | None:
        """The first line; None where standard input ends before it, or a signal comes."""
        while self.asked() is None and not self._closed:
            self._hear(_LOOK)
            if self._lines:
                return self._lines.popleft()
        return None

    def obey(self, run: InlineRun) -> None:
        """Do with the run what the parent and signals ask for, until it is over."""
        begun = heard = False
        while not run.over(0):
            if asked := self.asked():
                if not heard:
                    heard = True
                    self.put({"heard": asked.name})
                run.stop(asked)
            self._hear(_LOOK)
            while self._lines:
                said = json.loads(self._lines.popleft())
                if "stop" in said:
                    self.put({"heard": said["stop"]["name"]})
                    run.stop(Stop(**said["stop"]))
                elif "begin" in said:
                    begun = True
                    run.begin(said["begin"])
            if self._closed and not begun:
                run.stop(Stop("signal", "SIGTERM"))  # nobody is there any more who could want it
            elif self._closed and self._orphan_limit:
                self._left_alone()

    def _hear(self, patience: float) -> None:
        """Take the lines that come within ``patience`` seconds; none where the run is over before."""
        sources = [self._over] if self._closed else [self._over, 0]
        if self._lines or 0 not in select.select(sources, [], [], patience)[0]:
            return
        data = os.read(0, 1 << 16)
        self._closed = not data
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._pieces, lines[0]])
            self._pieces = []
        self._pieces.append(rest)
        self._lines.extend(line.decode() for line in lines)

    def tell(self, event: Event) -> None:
        """One event; for a listener of a run."""
        self.put(event_to(event))
        if isinstance(event, Finished | Refused):
            os.write(self._end, b".")

    def put(self, message: dict[str, Any]) -> None:
        try:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()
        except OSError:
            self._left_alone()

    def _left_alone(self) -> None:
        if self._alone_since is None:
            self._alone_since = time.monotonic()

    def asked(self) -> Stop | None:
        alone, now = self._alone_since, time.monotonic()
        orphaned = alone is not None and now - alone >= self._orphan_limit
        return self.interruption.stop() or Stop.signal("SIGTERM" if orphaned else None)
