"""What ``plg check --record`` adds to the history."""

from __future__ import annotations

import argparse
from pathlib import Path

from plg.cli.console import Console
from plg.cli.stores import store_named
from plg.diagnostics import ScenarioError
from plg.outcome import Outcome


def refuse_unrecordable(options: argparse.Namespace) -> None:
    """Raise `StoreError` where runs are to be recorded and cannot be: before anything is sent."""
    if options.record:
        store_named(options).close()


class Recorder:
    """Keeps the runs of a check as they end, where that is asked for. ``lost`` says why one could not be kept."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.lost = ""
        self.place = "the history of runs"

    def take(self, outcome: Outcome, console: Console) -> None:
        """Keep one run."""
        if not self._options.record:
            return
        from plg.runs.history import record, run_of

        try:
            with store_named(self._options) as store:
                profile = self._options.profile
                run = run_of(
                    outcome, environment=self._options.env or "", folder=Path.cwd(),
                    profile_id=profile.id if profile else "", profile_version=profile.version if profile else None,
                )  # fmt: skip
                record(store, outcome, run)
        except ScenarioError as error:
            self.lost = error.diagnostics[0].message
            console.diagnostics(error.diagnostics, {})
        else:
            console.print(f"recorded as {run.id} (plg history {run.id})")
