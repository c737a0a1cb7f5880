"""Draws a report in a process of its own: an outcome's JSON on standard input, the report on standard output.

Drawing loads Plotly and holds whole charts. Done here, it neither counts against the memory of a generator that has
more scenarios to run, nor can take a run's other artifacts with it when it fails. The process may be started before
there is an outcome: it then loads what it needs, says so by one byte, and sleeps until its input comes or ends.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

from plg.child import python_command

_UNAVAILABLE = 3
_READY = b"\n"
"""What the drawing process says first, before the report."""
_PATIENCE = 120.0
"""Seconds that a drawing may take."""
_LOOK = 0.1


class RenderError(Exception):
    """A report could not be drawn; the message says why in a sentence."""


def render(outcome_json: str, form: str, left: Callable[[], float] = lambda: _PATIENCE) -> bytes:
    """The report of a saved outcome. See `Drawing.finish`."""
    with Drawing(form) as drawing:
        drawing.begin(outcome_json)
        return drawing.finish(left)


class Drawing:
    """One report to be drawn by a process that starts now. However this process ends, that one ends with it.

    A context manager that abandons a drawing which has not been finished.
    """

    def __init__(self, form: str) -> None:
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
        # Beside this thread: a process that does not read must not hold up what is written here.
        threading.Thread(target=_hand_over, args=(given, outcome_json.encode()), daemon=True).start()

    def finish(self, left: Callable[[], float] = lambda: _PATIENCE, patience: float = _PATIENCE) -> bytes:
        """The report, after ``patience`` seconds at most, and no later than when there are no seconds ``left``.

        Raises `RenderError`.
        """
        until = time.monotonic() + patience
        while True:
            try:
                drawn, complaints = self._process.communicate(timeout=_LOOK)
                break
            except subprocess.TimeoutExpired:
                late, hurried = time.monotonic() >= until, left() <= 0
                if late or hurried:
                    self._end()
                    why = "drawing it took too long" if late else "a signal came, and it was not drawn soon enough"
                    raise RenderError(why) from None
        if self._process.returncode == 0:
            return drawn.removeprefix(_READY)
        words = complaints.decode("utf-8", "replace").strip().splitlines()
        raise RenderError(words[-1] if words else f"the drawing process ended with {self._process.returncode}")

    def _end(self) -> None:
        with suppress(OSError):  # with the browser that it may have started
            os.killpg(self._process.pid, signal.SIGKILL)

    def abandon(self) -> None:
        """End the process at once, if it has not ended; it leaves nothing behind."""
        if self._process.poll() is None:
            self._end()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.abandon()


def _hand_over(given: IO[bytes], outcome_json: bytes) -> None:
    # A process that has failed already reads no more: its last words are told by `Drawing.finish`.
    with suppress(OSError), given:
        given.write(outcome_json)


def _of(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "a pipe was asked for"
    return pipe


def main() -> int:
    """Draw the form that is the first argument. See the top of the file."""
    form = sys.argv[1]
    # The browser is started by a Python process of kaleido's own, which must not look into the working folder either.
    os.environ.pop("PYTHONPATH", None)
    if form == "html":
        _load()
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    given = sys.stdin.buffer.read().decode()
    # Without an outcome there is nobody left who wants a report of it.
    return _draw(given, form) if given else 0


def _load() -> None:
    """Load what an HTML report needs, down to what is loaded at its first use."""
    from plg import outcome_io  # noqa: F401  # for the sake of the import
    from plg.language import write  # noqa: F401  # likewise
    from plg.reports.html import rehearse

    rehearse()
    # All of this stays until the end: not looked through again, neither while drawing nor at the end.
    gc.freeze()


def _draw(given: str, form: str) -> int:
    from plg.outcome_io import from_json
    from plg.reports.registry import REPORTS, ReportUnavailable

    try:
        made = REPORTS[form].make([from_json(given, trusted=True)])
        sys.stdout.buffer.write(made if isinstance(made, bytes) else made.encode())
    except ReportUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return _UNAVAILABLE
    return 0
