"""What a person sees of scenarios that run at the same time: one live line for all, or plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence

from plg.cli.console import Console
from plg.reports.terminal import printable
from plg.reports.text_width import columns, cut
from plg.runs.supervisor import Running
from plg.units import format_duration, format_rate

_LOG_EVERY = 5.0


class ParallelView:
    """Shows the runs that go on, on a console; ``quiet`` keeps all but verdicts from it."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._next_line = time.monotonic() + _LOG_EVERY

    def waiting(self, run: Running, words: str) -> None:
        """That a server is waited for; also where else is quiet, as nothing else happens."""
        self._console.print(printable(f"{run.name} is {words}"))

    def look(self, running: Sequence[Running]) -> None:
        """All that run, in one live line; in a log every few seconds."""
        if self._quiet or not any(run.state for run in running):
            return
        text = "; ".join(map(_line, running))
        if self._console.live:
            room = self._console.width - 1
            self._console.redraw(text if columns(text) <= room else f"{cut(text, room - 1)}…")
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LOG_EVERY
            self._console.print(text)


def _line(run: Running) -> str:
    """``flash-sale 12s of 30s, 400/s``."""
    name, state = printable(run.name), run.state
    if not state:
        return f"{name} {'begins' if run.begun else 'gets ready'}"
    at = format_duration(int(state["t"]))
    if state["stage"] == "draining":
        return f"{name} {at}, draining"
    errors = f", {state['errors']:,} errors" if state["errors"] else ""
    whole = format_duration(round(state["duration"], 1))
    return f"{name} {at} of {whole}, {format_rate(round(state['actual_rate'], 1))}{errors}"
