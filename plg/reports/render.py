"""Draws a report in a process of its own: an outcome's JSON on standard input, the report on standard output.

Drawing loads Plotly and holds whole charts. Done here, it neither counts against the memory of a generator that has
more scenarios to run, nor can take a run's other artifacts with it when it fails. The process may be started before
there is an outcome: it then loads what it needs, says so by one byte, and sleeps until its input comes or ends.
"""

from __future__ import annotations

import gc
import select
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import IO, Literal, Self

from plg.child import python_command

Format = Literal["html", "png"]
_UNAVAILABLE = 3
_READY = b"\n"
"""What the drawing process says first, before the report."""


class RenderError(Exception):
    """A report could not be drawn; the message says why in a sentence."""


def render(outcome_json: str, form: Format) -> bytes:
    """The report of a saved outcome. Raises `RenderError`."""
    with Drawing(form) as drawing:
        drawing.begin(outcome_json)
        return drawing.finish()


class Drawing:
    """One report to be drawn by a process that starts now. However this process ends, that one ends with it.

    A context manager that abandons a drawing which has not been finished.
    """

    def __init__(self, form: Format) -> None:
        self._process = subprocess.Popen(
            python_command("plg.reports.render", [form]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A session of its own: Ctrl-C ends a run, whose report is drawn all the same.
            start_new_session=True,
        )

    def await_ready(self, patience: float) -> None:
        """Wait until the process has nothing left to do before its input comes, for ``patience`` s at most."""
        # It says one byte, or its output ends: either can be seen without being read.
        select.select([_of(self._process.stdout)], [], [], patience)

    def begin(self, outcome_json: str) -> None:
        """Hand the outcome over; the drawing goes on by itself."""
        given = _of(self._process.stdin)
        self._process.stdin = None
        # One that has failed already reads no more: its last words are told by `finish`.
        with suppress(BrokenPipeError), given:
            given.write(outcome_json.encode())

    def finish(self) -> bytes:
        """The report. Raises `RenderError`."""
        drawn, complaints = self._process.communicate()
        if self._process.returncode == 0:
            return drawn.removeprefix(_READY)
        words = complaints.decode("utf-8", "replace").strip().splitlines()
        raise RenderError(words[-1] if words else f"the drawing process ended with {self._process.returncode}")

    def abandon(self) -> None:
        """End the process at once, if it has not ended; it leaves nothing behind."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.abandon()


def _of(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "a pipe was asked for"
    return pipe


def main() -> int:
    """Draw the form that is the first argument. See the top of the file."""
    form = sys.argv[1]
    if form == "html":
        _load()
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    given = sys.stdin.buffer.read().decode()
    # Without an outcome there is nobody left who wants a report of it.
    return _draw(given, form) if given else 0


def _load() -> None:
    """Load what an HTML report needs, down to what is loaded at its first use."""
    from plg import outcome_io  # noqa: F401  # for the sake of the import, as the next
    from plg.language import write  # noqa: F401
    from plg.reports.html import rehearse

    rehearse()
    # All of this stays until the end: not looked through again, neither while drawing nor at the end.
    gc.freeze()


def _draw(given: str, form: str) -> int:
    from plg.outcome_io import from_json

    outcome = from_json(given, trusted=True)
    if form == "html":
        from plg.reports.html import html

        sys.stdout.buffer.write(html([outcome]).encode())
        return 0
    from plg.reports.png import ReportUnavailable, png

    try:
        sys.stdout.buffer.write(png(outcome))
    except ReportUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return _UNAVAILABLE
    return 0
