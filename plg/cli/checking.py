"""The scenarios of a ``plg check``, one after the other or several at once, and what is told of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from plg import session
from plg.cli.closing import closing, losses
from plg.cli.console import Console
from plg.cli.files import expand, for_file, refuse_lonely_shards, request, usage_error
from plg.cli.loading import loading
from plg.cli.view import RunView
from plg.diagnostics import Diagnostic, ScenarioError
from plg.interrupt import Interrupted, attend
from plg.judge.deciding import gravity, worst
from plg.redaction import hide_known
from plg.reports.artifacts import Artifacts
from plg.reports.columns import columns, cut
from plg.reports.easel import Easel
from plg.reports.shared_folder import SharedFolder
from plg.reports.terminal import last_line
from plg.runs.signals import CODES

if TYPE_CHECKING:
    from plg.runs.process import Finished
    from plg.runs.signals import Interruption

_SHORT = 60.0
"""Seconds of a run beyond which what draws is not kept waiting: half a second less would not be noticed there, what
Plotly takes of a small machine's memory might."""


def check(
    options: argparse.Namespace,
    console: Console,
    easel: Easel,
    interruption: Interruption,
    folder: SharedFolder,
) -> int:
    """Check every file named; the gravest exit code is returned."""
    artifacts = Artifacts(
        Path(options.out), png=options.png, shard=options.shard, easel=easel, shared=folder,
        interrupted=interruption.name,
    )  # fmt: skip
    try:
        asked, files = request(options), expand(options.files)
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
        return _check_all(options, asked, files, console, artifacts, interruption)
    except KeyboardInterrupt:
        reason = f"{interruption.name()} came twice: ended at once"
        artifacts.give_up(ScenarioError([Diagnostic("interrupted", reason, "<command line>")]))
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
    if min(options.parallel, len(files)) > 1:
        ends, kept = _check_at_once(options, asked, files, console, artifacts, interruption)
        return _finish(console, ends, len(files), artifacts, interruption.code if kept else None)
    ends = []
    for number, file in enumerate(files):
        if number:
            console.print()
            artifacts.easel.set_up()
        ends.append(_check_safely(file, asked, console, artifacts, interruption, quiet=options.quiet))
        if len(files) > 1:
            console.print(last_line(*ends[-1][:2], colour=console.colour))
        if interruption.name() or (options.fail_fast and ends[-1].code != 0):
            break
    # Decided once: a signal that comes while the last files are written keeps nothing from running.
    kept = files[len(ends) :] if interruption.name() else []
    for file in kept:
        artifacts.add_invalid(file, _interrupted(file))
    return _finish(console, ends, len(files), artifacts, interruption.code if kept else None)


def _check_at_once(
    options: argparse.Namespace,
    asked: session.Request,
    files: list[Path],
    console: Console,
    artifacts: Artifacts,
    interruption: Interruption,
) -> tuple[list[End], list[Path]]:
    """Several at a time; each is told of as a whole when it ends, and what programs read of it is written then.

    Reports are drawn when all have ended: drawing would take the machine from those that still run.
    How they ended, and the files that a signal kept from running.
    """
    from plg.cli.parallel import ParallelView
    from plg.runs.order import Order
    from plg.runs.supervisor import Listener, Supervisor

    view = RunView(console, quiet=options.quiet)
    ends: dict[Path, End] = {}

    def tell(end: Finished) -> None:
        console.clear()
        if ends:
            console.print()
        if end.outcome is not None:
            view.verdict(end.outcome)
            ends[end.file] = End(end.outcome.exit_code, end.outcome.reason, end.outcome.name)
            artifacts.add_undrawn(end.outcome)
        else:
            refused = _refusal(end)
            console.diagnostics(refused.diagnostics, refused.sources)
            told = _faults(end.file, refused) if end.code == 2 else str(refused)
            ends[end.file] = End(end.code, told, end.file.stem)
            artifacts.add_invalid(end.file, refused)
        console.print(last_line(*ends[end.file][:2], colour=console.colour))

    view.waiting(asked.start)
    listener = Listener(tell, ParallelView(console, quiet=options.quiet).look, interruption.name)
    supervisor = Supervisor(
        lambda file: Order.of(file, for_file(asked, file), os.environ), options.parallel, artifacts.folder, listener,
        fail_fast=options.fail_fast,
    )  # fmt: skip
    done = supervisor.run(files)
    console.clear()
    begun = {end.file for end in done}
    kept = [file for file in files if file not in begun] if interruption.name() else []
    for file in kept:
        artifacts.add_invalid(file, _interrupted(file))
    artifacts.draw()
    return [ends[end.file] for end in done], kept


def _refusal(end: Finished) -> ScenarioError:
    """Why a scenario left no outcome: its faults, or what its process said at its end."""
    if end.refused is not None:
        return end.refused
    if end.code in CODES:
        return _interrupted(end.file)
    words = end.complaint.splitlines()[-1] if end.complaint else "its process ended without a word"
    return ScenarioError([Diagnostic("internal-error", f"{end.file} left no outcome: {words}", str(end.file))])


def _interrupted(file: Path) -> ScenarioError:
    return ScenarioError([Diagnostic("interrupted", f"{file} was interrupted before it began", str(file))])


def _faults(file: Path, error: ScenarioError) -> str:
    faults = sum(d.severity == "error" for d in error.diagnostics)
    return f"{file} has {faults} fault{'s' if faults != 1 else ''}"


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
    except Exception as error:  # the last net but one; `plg.cli.program` has the last
        if os.environ.get("PLG_DEBUG"):
            raise
        message = hide_known(f"internal error: {type(error).__name__}: {error}")
        console.error(message)
        console.error("this is a fault of plg, not of the scenario; PLG_DEBUG=1 shows where")
        artifacts.add_invalid(file, ScenarioError([Diagnostic("internal-error", message, file=str(file))]))
        return End(1, message, file.stem)


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
        with loading():
            prepared = attend(lambda: session.prepare(file, for_file(asked, file)), interruption.name)
    except ScenarioError as error:
        console.diagnostics(error.diagnostics, error.sources)
        artifacts.add_invalid(file, error)
        return End(2, _faults(file, error), file.stem)
    except Interrupted:
        artifacts.add_invalid(file, _interrupted(file))
        return End(interruption.code, f"interrupted by {interruption.name()} before it began", file.stem)
    view.plan(prepared.scenario, prepared.plan, prepared.notes)
    view.waiting(prepared.start)
    if prepared.plan.duration > _SHORT:
        artifacts.easel.clear()
    observer = session.Observer(
        view.progress, interruption.stop, view.interval, artifacts.easel.await_calm, view.late_server
    )
    outcome = session.run(prepared, observer)
    artifacts.add(outcome)
    view.verdict(outcome)
    return End(outcome.exit_code, outcome.reason, outcome.name)


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
