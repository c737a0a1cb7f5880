"""``plg check``: run scenarios in turn, write the artifacts, exit by verdict."""

from __future__ import annotations

import argparse
from pathlib import Path

from plg.cli.console import Console
from plg.cli.loading import loading
from plg.machine import too_few_files_for_a_run
from plg.reports.earlier import set_aside
from plg.reports.registry import REPORTS, USUAL, named
from plg.reports.render_process import RenderProcess
from plg.reports.shared_folder import SharedFolder, junit_name, shard_suffix
from plg.runs.signals import Interruption, taken


def run(options: argparse.Namespace, console: Console) -> int:
    """Check every file named; the gravest exit code is returned."""
    # A verdict is in the exit code and the artifacts: it does not depend on somebody who reads along.
    console.outlive_reader()
    options.reports = options.reports or USUAL
    if options.png:
        options.reports = named(",".join((*options.reports, "png")))
    folder = SharedFolder(Path(options.out), junit_name(options.shard), wanted="junit" in options.reports)
    with taken(for_good=options.program) as interruption:
        # From here on neither the document of an earlier check nor what an earlier run of these scenarios left is to
        # be found, however this one ends.
        folder.enter()
        set_aside(Path(options.out), options.files, suffix=shard_suffix(options.shard), spared=folder.taken())
        try:
            with RenderProcess(any(REPORTS[name].ahead for name in options.reports)) as renderer:
                return _check(options, console, renderer, interruption, folder)
        except KeyboardInterrupt:
            console.print(f"exit {interruption.code}: {interruption.name()} came twice: ended at once")
            return interruption.code
        finally:
            folder.leave()


def _check(
    options: argparse.Namespace,
    console: Console,
    renderer: RenderProcess,
    interruption: Interruption,
    folder: SharedFolder,
) -> int:
    # First of all: what draws loads its libraries on another core while this process loads its own. Not where
    # several run at once and are drawn after all have ended, nor before a start that would not wait for it.
    soon = options.parallel == 1 and options.start_at is None and interruption.name() is None
    if soon and not too_few_files_for_a_run():
        renderer.set_up()
    with loading():
        from plg.cli.checking import check

    return check(options, console, renderer, interruption, folder)
