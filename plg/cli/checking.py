"""The scenarios of a ``plg check``, one after the other or several at once, and what is told of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from plg.cli.closing import closing, losses
from plg.cli.console import Console
from plg.cli.files import expand, for_file, refuse_lonely_shards, request, usage_error
from plg.cli.loading import loading
from plg.cli.recording import Recorder, refuse_unrecordable
from plg.cli.view import RunView
from plg.diagnostics import Diagnostic, ScenarioError
from plg.judge.verdict import INTERNAL, USAGE, gravity, worst
from plg.machine import too_few_files_for_a_run
from plg.prepare import Request
from plg.reports.artifacts import Artifacts
from plg.reports.render_process import RenderProcess
from plg.reports.shared_folder import SharedFolder
from plg.reports.terminal import last_line
from plg.reports.text_width import columns, cut
from plg.runs.inline import Inline, RunThread
from plg.runs.launcher import Launcher, launcher_for
from plg.runs.order import Order
from plg.runs.process import ProcessLauncher
from plg.runs.signals import CODES, Interruption
from plg.runs.supervisor import Ended, Running, Supervisor, interrupted
from plg.stop import Stop

_SHORT = 60.0
"""Seconds of a run beyond which what draws is not kept waiting: half a second less would not be noticed there, what
Plotly takes of a small machine's memory might."""


_PIPES = 4
"""Files that a process for one of several scenarios takes, beside its own."""


def check(
    options: argparse.Namespace,
    console: Console,
    renderer: RenderProcess,
    interruption: Interruption,
    folder: SharedFolder,
) -> int:
    """Check every file named; the gravest exit code is returned."""
    artifacts = Artifacts(
        Path(options.out), reports=options.reports, shard=options.shard, renderer=renderer, shared=folder,
        interrupted=interruption.name,
    )  # fmt: skip
    try:
        if words := too_few_files_for_a_run():
            raise usage_error(words)
        asked, files = request(options), [options.profile.label] if options.profile else expand(options.files)
        if words := too_few_files_for_a_run(_PIPES * (min(options.parallel, len(files)) - 1)):
            raise usage_error(words)
        elsewhere = launcher_for(options.launch) if options.launch else None
        refuse_unrecordable(options)
        refuse_lonely_shards(options, len(files))
        # Before anything is sent: a run whose result cannot be kept is load for nothing.
        if words := artifacts.refused():
            raise usage_error(words, "name another folder with --out")
        artifacts.begin(files)
        if artifacts.lost:
            raise usage_error(f"{losses(artifacts)}, so nothing was sent")
    except ScenarioError as error:
        console.diagnostics(error.diagnostics, error.sources)
        artifacts.give_up(error)
        _hand_out(console, artifacts)
        console.print(last_line(2, error.diagnostics[0].message, colour=console.colour))
        return 2
    try:
        return _check_all(options, asked, files, console, artifacts, interruption, elsewhere)
    except KeyboardInterrupt:
        reason = f"{interruption.name()} came twice: ended at once"
        artifacts.give_up(ScenarioError([Diagnostic("interrupted", reason, "<command line>")]))
        console.print(last_line(interruption.code, reason, colour=console.colour))
        return interruption.code


def _check_all(
    options: argparse.Namespace,
    asked: Request,
    files: list[Path],
    console: Console,
    artifacts: Artifacts,
    interruption: Interruption,
    elsewhere: Launcher | None,
) -> int:
    many = min(options.parallel, len(files))
    kind = _AtOnce if many > 1 else _InTurn
    recorder = Recorder(options)
    show = kind(
        console,
        artifacts,
        interruption,
        asked,
        recorder,
        quiet=options.quiet,
        several=len(files) > 1,
        curves=options.live,
    )

    def order(file: Path) -> Order:
        here = for_file(asked, file)
        return options.profile.order(here) if options.profile else Order.of(file, here, os.environ)

    supervisor = Supervisor(
        elsewhere or show.launcher(), order, many, show,
        fail_fast=options.fail_fast,
    )  # fmt: skip
    done = supervisor.run(files)
    console.clear()
    # Decided once: a signal that comes while the last files are written keeps nothing from running.
    begun = {end.file for end in done}
    kept = [file for file in files if file not in begun] if interruption.name() else []
    show.close(kept)
    if recorder.lost:
        artifacts.lost[recorder.place] = recorder.lost
    return _finish(console, [_told(end) for end in done], len(files), artifacts, interruption.code if kept else None)


class _Show:
    """What is told of the runs, and written."""

    def __init__(
        self,
        console: Console,
        artifacts: Artifacts,
        interruption: Interruption,
        asked: Request,
        recorder: Recorder,
        *,
        quiet: bool,
        several: bool,
        curves: bool = False,
    ) -> None:
        self._console, self._artifacts, self._interruption, self._asked = console, artifacts, interruption, asked
        self._quiet, self._several, self._recorder = quiet, several, recorder
        self._curves = curves
        self._view = RunView(console, quiet=quiet, curves=curves)
        self._ended = 0

    def interrupted(self) -> Stop | None:
        """See `Listener.interrupted`."""
        return self._interruption.stop()

    def starting(self, file: Path) -> None:
        """See `Listener.starting`."""

    def finished(self, end: Ended) -> None:
        """See `Listener.finished`: what came of it stands together."""
        self._ended += 1
        if end.outcome is not None:
            self._view.verdict(end.outcome)
            self._recorder.take(end.outcome, self._console)
        elif end.error is not None and end.code == INTERNAL and end.error.diagnostics[0].code == "internal-error":
            self._console.error(end.error.diagnostics[0].message)
            self._console.error("this is a fault of plg, not of the scenario; PLG_DEBUG=1 shows where")
        elif end.error is not None and end.code not in CODES:
            self._console.diagnostics(end.error.diagnostics, end.error.sources)
        if self._several:
            self._console.print(last_line(*_told(end)[:2], colour=self._console.colour))

    def close(self, kept: Sequence[Path]) -> None:
        """Write what is left once all have ended; ``kept`` from running were these."""
        for file in kept:
            self._artifacts.add_invalid(file, interrupted(file, self._interruption.code))


class _InTurn(_Show):
    """One run after the other, in this process: its plan, a live line, its verdict."""

    def launcher(self) -> Launcher:
        return Inline(self._view.interval, self._artifacts.renderer.await_calm, loading)

    def starting(self, file: Path) -> None:
        self._view = RunView(self._console, quiet=self._quiet, curves=self._curves)
        if self._ended:
            self._console.print()
            self._artifacts.renderer.set_up()

    def ready(self, run: Running) -> None:
        """See `Listener.ready`."""
        prepared = run.handle.prepared if isinstance(run.handle, RunThread) else None
        if prepared is None:
            return  # it is known elsewhere only
        self._view.plan(prepared.scenario, prepared.plan, prepared.notes)
        self._view.waiting(prepared.start)
        if prepared.plan.duration > _SHORT:
            self._artifacts.renderer.clear()

    def waiting(self, run: Running, words: str) -> None:
        """See `Listener.waiting`."""
        self._view.late_server(words)

    def look(self, running: Sequence[Running]) -> None:
        """See `Listener.look`."""
        for run in running:
            if run.state:
                self._view.progress(run.state)

    def finished(self, end: Ended) -> None:
        if end.outcome is not None:
            self._artifacts.add(end.outcome)
        elif end.error is not None:
            self._artifacts.add_invalid(end.file, end.error)
        super().finished(end)


class _AtOnce(_Show):
    """Several at a time: each is told of as a whole when it ends, and what programs read of it is written then."""

    def launcher(self) -> Launcher:
        self._view.waiting(self._asked.start)
        from plg.cli.parallel import ParallelView

        self._all = ParallelView(self._console, quiet=self._quiet)
        return ProcessLauncher(self._artifacts.folder)

    def ready(self, run: Running) -> None:
        """See `Listener.ready`."""

    def waiting(self, run: Running, words: str) -> None:
        """See `Listener.waiting`."""
        self._all.waiting(run, words)

    def look(self, running: Sequence[Running]) -> None:
        """See `Listener.look`."""
        self._all.look(running)

    def finished(self, end: Ended) -> None:
        self._console.clear()
        if self._ended:
            self._console.print()
        if end.outcome is not None:
            self._artifacts.add_undrawn(end.outcome)
        elif end.error is not None:
            self._artifacts.add_invalid(end.file, end.error)
        super().finished(end)

    def close(self, kept: Sequence[Path]) -> None:
        """Draw what is to be drawn: before all had ended it would have taken the machine from those that ran."""
        super().close(kept)
        self._artifacts.draw()


def _told(end: Ended) -> End:
    """How a run ended, in words."""
    if end.outcome is not None:
        return End(end.code, end.outcome.reason, end.outcome.name)
    assert end.error is not None, "a run ends with an outcome or without one"
    if end.code == USAGE and end.error.diagnostics[0].code != "machine":
        return End(end.code, _faults(end.file, end.error), end.file.stem)
    return End(end.code, end.error.diagnostics[0].message, end.file.stem)


def _faults(file: Path, error: ScenarioError) -> str:
    """How many there are, and the first: all are told on standard error, which a log may lack."""
    faults = [d for d in error.diagnostics if d.severity == "error"] or error.diagnostics
    first = faults[0]
    place = f" (line {first.span.line})" if first.span is not None and first.file == str(file) else ""
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults, the first"
    return f"{file} has {count}: {first.message}{place}"


def _finish(console: Console, ends: list[End], files: int, artifacts: Artifacts, interrupted: int | None) -> int:
    """``interrupted`` is the exit code of a signal that kept some of the ``files`` from running."""
    _hand_out(console, artifacts)
    codes = [*(end.code for end in ends), *([] if interrupted is None else [interrupted])]
    return _close(console, ends, worst(codes), files, artifacts)


def _hand_out(console: Console, artifacts: Artifacts) -> None:
    """What GitHub reads in the log, and what went wrong with the files."""
    written = artifacts.finish(github=os.environ.get("GITHUB_ACTIONS") == "true")
    for line in written.annotations:
        console.raw(line + "\n")
    for note in written.notes:
        console.error(note)


class End(NamedTuple):
    """How one scenario ended: its exit code, why, and the name of the scenario."""

    code: int
    reason: str
    name: str


_TOLD, _NAMED, _LONGEST = 4, 12, 160
"""How many scenarios that did not pass the last line gives the reason of, in at most so many characters, and how many
more it names."""


def _short(reason: str) -> str:
    return reason if columns(reason) <= _LONGEST else f"{cut(reason, _LONGEST - 1)}…"


def _failed(ends: Sequence[End]) -> str:
    """Which scenarios did not pass, and why: first those that the exit code is of."""
    failed = sorted((end for end in ends if end.code != 0), key=lambda end: gravity(end.code))
    told = [f"{end.name} (exit {end.code}): {_short(end.reason)}" for end in failed[:_TOLD]]
    named = [f"{end.name} (exit {end.code})" for end in failed[_TOLD : _TOLD + _NAMED]]
    more = len(failed) - len(told) - len(named)
    return "".join(f"; {each}" for each in [*told, *([", ".join(named)] if named else [])]) + (
        f" and {more} more" if more else ""
    )


def _close(console: Console, ends: list[End], code: int, files: int, artifacts: Artifacts) -> int:
    if files > 1:
        console.print()
    where = "some artifacts could not be written" if artifacts.failed else f"artifacts in {artifacts.folder}/"
    console.print(where)
    passed, left = sum(end.code == 0 for end in ends), files - len(ends)
    many = f"{passed} of {files} scenarios passed" + (f", {left} not run" if left else "") + _failed(ends)
    code, reason = closing(code, many if files > 1 else ends[0].reason, artifacts)
    console.print(last_line(code, reason, colour=console.colour))
    return code
