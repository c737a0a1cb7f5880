"""How a check looks while it goes on: the plan first, a live line or plain lines, then the verdict."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from plg.cli.console import Console
from plg.cli.live_view import POINTS, Curves, drawn
from plg.clock import MonotonicClock
from plg.escaping import visible
from plg.outcome import Ledger, Outcome
from plg.plan import Plan
from plg.redaction import hide_known
from plg.reports import terminal
from plg.runner.start import Start
from plg.runs.events import Row
from plg.scenario import Scenario
from plg.units import format_duration


class RunView:
    """The view of one scenario's run on a console."""

    def __init__(self, console: Console, *, quiet: bool = False, curves: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._wants_curves = curves and console.live
        self._curves: Curves | None = None
        self._plan: Plan | None = None
        self._next_line = 0.0
        self._shown: Row | None = None
        self.interval = 0.2 if console.live else 1.0

    def plan(self, scenario: Scenario, plan: Plan, notes: tuple[str, ...]) -> None:
        """Draw what is going to be sent."""
        self._plan = plan
        if self._quiet:
            return
        if self._wants_curves:
            self._curves = Curves(plan.duration)
            middles = (np.arange(POINTS, dtype=np.float64) + 0.5) * (plan.duration / POINTS)
            self._curves.foresee(plan.target_rate(middles).tolist())
        c = self._console
        c.print(terminal.draw_plan(plan, width=c.width, colour=c.colour, ascii_only=c.ascii).rstrip("\n"))
        for note in notes:
            c.print(f"  note: {note}")
        c.print()

    def waiting(self, start: Start | None) -> None:
        """How long it is until a common start, where there is one."""
        if self._quiet or start is None:
            return
        left = start.at - MonotonicClock().now()
        when = f"in {format_duration(round(left, 1))}, at" if left > 0 else "at"
        self._console.print(f"the schedule starts {when} {start.text()}")

    def late_server(self, words: str) -> None:
        """That a server is waited for, and for what; also where else is quiet, as nothing else happens."""
        self._console.print(visible(hide_known(words), keep=""))

    def progress(self, row: Row) -> None:
        """Redraw the live line; in a log, a line every five seconds, ever rarer in a long run."""
        if self._quiet or self._plan is None or row is self._shown:
            return
        self._shown = row
        c, t = self._console, row["t"]
        ledger = Ledger(
            self._plan.planned, row["sent"], row["shed"], row["late"], 0, row["acked"], row["errors"], 0
        )  # fmt: skip
        depth = None if row["queue_depth"] is None else int(row["queue_depth"])
        line: Callable[..., str]
        if c.live:
            line = partial(terminal.live_line, width=c.width - 1, colour=c.colour)
            show = c.redraw if self._curves is None else self._draw
            if self._curves is not None:
                self._curves.add(t, None, row["actual_rate"], row["queue_depth"])
        elif t >= self._next_line:
            line, show = terminal.progress_line, c.print
            self._next_line = t + max(5.0, t / 20)
        else:
            return
        show(
            line(
                t,
                row["duration"],
                target=row["target_rate"],
                actual=row["actual_rate"],
                ledger=ledger,
                depth=depth,
                phase=self._phase(t, row["stage"]),
                ascii_only=c.ascii,
            )
        )

    def _draw(self, line: str) -> None:
        """The curves, and the live line under them."""
        assert self._curves is not None, "they were asked for"
        c = self._console
        c.redraw("\n".join([*drawn(self._curves, c.width - 1, ascii_only=c.ascii, colour=c.colour), line]))

    def verdict(self, outcome: Outcome) -> None:
        """What came of it, but for the last line."""
        c = self._console
        c.print(terminal.summary(outcome, colour=c.colour, ascii_only=c.ascii, last=False).rstrip("\n"))

    def _phase(self, t: float, stage: str) -> str | None:
        if stage == "draining":
            return "draining"
        assert self._plan is not None, "progress comes after the plan"
        for phase in self._plan.phases:
            if any(start <= t < end for start, end in phase.spans):
                return phase.name
        return None
