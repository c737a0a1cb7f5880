"""An order run by a process of its own: what it says, and how it ended."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from plg.child import python_command
from plg.diagnostics import Diagnostic, ScenarioError
from plg.judge.verdict import INTERNAL
from plg.outcome import Outcome
from plg.outcome_io import from_json
from plg.runs.events import Event, Finished, Refused, event_from
from plg.runs.launcher import Ending, NoOutcome, internal_error, interrupted_before
from plg.runs.order import Order, faults_from
from plg.runs.relay import Listen
from plg.runs.signals import CODES, code_of
from plg.stop import Stop

HEARING = 1.5
"""Seconds in which a process has to answer that it is to stop."""
ENDING = 8.0
"""Seconds that one which has answered gets to end."""


class ProcessLauncher:
    """Runs each order in a child process. Outcomes pass through hidden files in ``folder``.

    ``every`` is the least number of seconds between two rows of ``windows``; None: as the child has it. Where this
    process dies, a child ends its run ``orphan_limit`` seconds later.
    """

    def __init__(self, folder: Path, *, every: float | None = None, orphan_limit: float = 0.0) -> None:
        self._folder, self._every, self._orphan_limit = folder, every, orphan_limit
        self._numbers = itertools.count()

    def launch(self, order: Order, listen: Listen, saved: Path | None = None) -> RunProcess:
        """See `Launcher.launch`. An outcome that goes to a file ``saved`` of the caller's stays there."""
        into = saved or self._folder / f".plg-{os.getpid()}-{next(self._numbers)}.json"
        asked = [] if self._every is None else [f"{self._every:g}", f"{self._orphan_limit:g}"]
        return RunProcess(order, into, listen, asked, kept=saved is not None)


class RunProcess(Ending):
    """A run in a child process. Its outcome goes to the file ``saved`` until it is collected, or where it is ``kept``.

    ``asked`` are further arguments of the child.
    """

    def __init__(
        self, order: Order, saved: Path, listen: Listen, asked: Sequence[str] = (), *, kept: bool = False
    ) -> None:
        super().__init__()
        self.order, self.saved, self._kept = order, saved, kept
        self._stop: Stop | None = None
        self._deaf = False
        self.begun = False
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the child
        self.process = subprocess.Popen(
            python_command("plg.runs.child", [str(saved), *asked]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            # A session of its own: Ctrl-C reaches this process, which passes it on, once.
            start_new_session=True,
            bufsize=0,
        )
        self._said: SimpleQueue[str | None] = SimpleQueue()
        self._lines = _Lines(listen, saved)
        self._said.put(order.to_json())
        # An order may be longer than a pipe holds, and the child takes a while to read it.
        threading.Thread(target=self._speak, name="plg-speaking", daemon=True).start()
        threading.Thread(target=self._hear, name="plg-hearing", daemon=True).start()

    def begin(self, at: float | None = None) -> None:
        """See `Handle.begin`."""
        self.begun = True
        self._said.put(json.dumps({"begin": at}))

    def stop(self, stop: Stop) -> None:
        """See `Handle.stop`; a signal is passed on as what it is. A process that does not answer is killed."""
        if self._stop is None:
            self._stop = stop
            threading.Thread(target=self._insist, name="plg-insisting", daemon=True).start()
        if stop.name == "signal":
            with suppress(OSError):  # it has just ended
                self.process.send_signal(signal.Signals[stop.detail])
        else:
            self._said.put(json.dumps({"stop": asdict(stop)}))

    def abandon(self, patience: float) -> None:
        """See `Handle.abandon`."""
        self.stop(Stop("signal", "SIGTERM"))
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if not self._kept:
            self.saved.unlink(missing_ok=True)

    def _insist(self) -> None:
        """Kill a process that was asked to stop and does not answer, or does not end: it may be suspended."""
        if not self._over.wait(HEARING) and (not self._lines.heard or not self._over.wait(ENDING)):
            self._deaf = True
            self.process.kill()

    def _speak(self) -> None:
        assert self.process.stdin is not None, "a pipe was asked for"
        with suppress(OSError, ValueError):  # gone already: its exit code tells
            while (line := self._said.get()) is not None:
                view = memoryview(line.encode() + b"\n")
                while view:
                    view = view[self.process.stdin.write(view) or 0 :]

    def _hear(self) -> None:
        assert self.process.stdout is not None, "a pipe was asked for"
        try:
            while data := os.read(self.process.stdout.fileno(), 1 << 16):
                self._lines.take(data)
            self.process.wait()
            self._said.put(None)
            last = self._collect()
        except Exception as fault:  # nobody waits for ever for an outcome that plg itself stumbles over
            last = self._refused(internal_error(fault, self.order.file))
        self._over.set()
        self._lines.listen(last)

    def _collect(self) -> Event:
        """What came of a process that has ended; its file and its pipes are gone then."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._complaints.seek(0)
        complaint = self._complaints.read().decode("utf-8", "replace").strip()
        self._complaints.close()
        self._outcome = self._left()
        if self._outcome is not None:
            return Finished.of(self._outcome)
        code = self.process.returncode
        code = 128 - code if code < 0 else code  # as a shell tells of a signal
        return self._refused(self._refusal(code, complaint))

    def _refused(self, fault: NoOutcome) -> Event:
        self._fault = fault
        return Refused.of(fault, fault.code)

    def _refusal(self, code: int, complaint: str) -> NoOutcome:
        """Why there is no outcome: the faults of the order, or what the process said at its end."""
        file = self.order.file
        refused = self._lines.refused
        if refused is not None and refused.exit_code != INTERNAL:
            return NoOutcome(faults_from(refused.faults), refused.exit_code)
        if code in CODES:
            return interrupted_before(file, code)
        if self._deaf:
            return self._unheard()
        words = complaint.splitlines()[-1] if complaint else "its process ended without a word"
        return NoOutcome(
            ScenarioError([Diagnostic("internal-error", f"{file} left no outcome: {words}", file)]), INTERNAL
        )

    def _unheard(self) -> NoOutcome:
        """What came of a process that was killed because it did not end itself."""
        asked = self._stop
        assert asked is not None, "it was asked to stop"
        signalled = asked.name == "signal"
        by = f"was interrupted by {asked.detail}" if signalled else "was to stop"
        took = f"did not answer within {HEARING:g}s" if not self._lines.heard else f"did not end within {ENDING:g}s"
        words = f"{self.order.file} {by}; its process {took} and was killed, so what it had sent is not known"
        fault = Diagnostic("interrupted" if signalled else "not-finished", words, self.order.file)
        return NoOutcome(ScenarioError([fault]), code_of(asked.detail) if signalled else INTERNAL)

    def _left(self) -> Outcome | None:
        try:
            return from_json(self.saved.read_text(encoding="utf-8"), str(self.saved), trusted=True)
        except (OSError, ScenarioError):
            return self._lines.left
        finally:
            if not self._kept:
                with suppress(OSError):
                    self.saved.unlink(missing_ok=True)


class _Lines:
    """What the process writes, handed on event by event; the last one waits until all is collected."""

    def __init__(self, listen: Listen, saved: Path) -> None:
        self.listen, self._saved = listen, saved
        self.refused: Refused | None = None
        self.left: Outcome | None = None
        self.heard = False
        """Whether the process answered that it is to stop, or has nothing left to do but to leave its outcome."""
        self._pieces: list[bytes] = []

    def take(self, data: bytes) -> None:
        """What the process wrote, in pieces of any size."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._pieces, lines[0]])
            self._pieces = []
        self._pieces.append(rest)
        for message in _objects(lines):
            if "outcome" in message:
                self.left = from_json(str(message["outcome"]), str(self._saved), trusted=True)
                continue
            event = event_from(message)
            self.heard = self.heard or "heard" in message or isinstance(event, Finished | Refused)
            if isinstance(event, Refused):
                self.refused = event
            elif event is not None and not isinstance(event, Finished):
                self.listen(event)


def _objects(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found
