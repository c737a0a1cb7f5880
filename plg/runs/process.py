"""An order run by a process of its own: what it says, and how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from plg.child import python_command
from plg.diagnostics import ScenarioError
from plg.outcome import Outcome
from plg.outcome_io import from_json
from plg.runs.order import Order, faults_from
from plg.runs.signals import CODES


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended: its exit code, and the outcome that it left, its faults, or what its process complained of."""

    file: Path
    code: int
    outcome: Outcome | None = None
    refused: ScenarioError | None = None
    complaint: str = ""


@dataclass(eq=False)
class RunProcess:
    """A run in a child process. ``state`` is its latest progress, ``waiting`` what it waits for."""

    order: Order
    saved: Path
    process: subprocess.Popen[bytes]
    complaints: IO[bytes]
    name: str
    ready: bool = False
    begun: bool = False
    waiting: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    _unread: list[bytes] = field(default_factory=list)
    _left: Outcome | None = None
    _refused: ScenarioError | None = None

    @staticmethod
    def launch(order: Order, saved: Path) -> RunProcess:
        """Start a process that prepares ``order``; its outcome goes to the file ``saved`` until it is collected."""
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the child
        process = subprocess.Popen(
            python_command("plg.runs.child", [str(saved)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            # A session of its own: Ctrl-C reaches this process, which passes it on, once.
            start_new_session=True,
            bufsize=0,
        )
        assert process.stdin is not None, "a pipe was asked for"
        assert process.stdout is not None, "a pipe was asked for"
        os.set_blocking(process.stdout.fileno(), False)
        # An order may be longer than a pipe holds, and the child takes a while to read it.
        line = order.to_json().encode() + b"\n"
        threading.Thread(target=_write, args=(process.stdin, line), name="plg-order", daemon=True).start()
        return RunProcess(order, saved, process, complaints, Path(order.file).stem)

    @property
    def output(self) -> int:
        """The descriptor that tells when there is something to `hear`."""
        assert self.process.stdout is not None, "a pipe was asked for"
        return self.process.stdout.fileno()

    def hear(self) -> bool:
        """Take what the process has said; False where its output has ended."""
        try:
            data = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return True
        self.take(data)
        return bool(data)

    def take(self, data: bytes) -> None:
        """What the process wrote, in pieces of any size."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._unread, lines[0]])
            self._unread = []
        self._unread.append(rest)
        for line in lines:
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    self._heard(message)

    def _heard(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self.ready, self.name = True, str(message["ready"])
        elif "waiting" in message:
            self.waiting = str(message["waiting"])
        elif "refused" in message:
            self._refused = faults_from(message["refused"])
        elif "outcome" in message:
            self._left = from_json(str(message["outcome"]), str(self.saved), trusted=True)
        else:
            self.state = message.get("progress", self.state)

    def begin(self) -> None:
        """Let the schedule begin."""
        self.begun = True
        assert self.process.stdin is not None, "a pipe was asked for"
        _write(self.process.stdin, b"go\n")

    def stop(self, number: int) -> None:
        """Pass a signal on: the run ends as it would by that signal."""
        with suppress(OSError):  # it has just ended
            self.process.send_signal(number)

    def collect(self) -> Finished:
        """What came of a process that has ended; its file and its pipes are gone then."""
        with suppress(OSError):
            while self.hear():
                pass
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self.complaints.seek(0)
        complaint = self.complaints.read().decode("utf-8", "replace").strip()
        self.complaints.close()
        outcome = self._outcome()
        code = self.process.returncode
        code = 128 - code if code < 0 else code  # as a shell tells of a signal
        if outcome is None and self._refused is None and code not in CODES:
            code = 1
        return Finished(Path(self.order.file), code, outcome, self._refused, complaint)

    def _outcome(self) -> Outcome | None:
        try:
            return from_json(self.saved.read_text(encoding="utf-8"), str(self.saved), trusted=True)
        except (OSError, ScenarioError):
            return self._left
        finally:
            self.saved.unlink(missing_ok=True)

    def abandon(self, patience: float) -> None:
        """End the process, which has ``patience`` seconds to end itself, and leave nothing behind."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.saved.unlink(missing_ok=True)


def _write(pipe: IO[bytes], line: bytes) -> None:
    with suppress(OSError, ValueError):  # gone already: its exit code tells
        pipe.write(line)
        pipe.flush()
