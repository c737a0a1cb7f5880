"""``plg check``: run scenarios in turn, write the artifacts, exit by verdict."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from plg.cli.console import Console
from plg.cli.loading import loading
from plg.reports.easel import Easel


def run(options: argparse.Namespace, console: Console) -> int:
    """Check every file named; the gravest exit code is returned."""
    # A verdict is in the exit code and the artifacts: it does not depend on somebody who reads along.
    console.outlive_reader()
    if options.feed:
        return _feed(options)
    with Easel() as easel:
        # First of all: what draws loads its libraries on another core while this process loads its own. Not where
        # several run at once and are drawn after all have ended, nor before a start that would not wait for it.
        if options.parallel == 1 and options.start_at is None:
            easel.set_up()
        with loading():
            from plg.cli.checking import check

        return check(options, console, easel, signals)


def _feed(options: argparse.Namespace) -> int:
    """The one scenario of a child process of `plg.cli.parallel`."""
    from plg.cli import feed
    from plg.cli.files import request

    with signals() as interruption:
        try:
            return feed.run(Path(options.files[0]), request(options), Path(options.feed), interruption)
        except KeyboardInterrupt:
            return interruption.code


class Interruption:
    """The first SIGINT or SIGTERM asks the run to stop; a second one ends the program at once."""

    def __init__(self) -> None:
        self._name: str | None = None

    def name(self) -> str | None:
        """The signal that came, or None."""
        return self._name

    @property
    def code(self) -> int:
        """The exit code that a shell gives to the signal that came."""
        return 128 + signal.Signals[self._name] if self._name else 130

    def take(self, number: int, frame: FrameType | None) -> None:
        if self._name is not None:
            raise KeyboardInterrupt
        self._name = signal.Signals(number).name


@contextmanager
def signals() -> Iterator[Interruption]:
    """Take SIGINT and SIGTERM for a while."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption.take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
