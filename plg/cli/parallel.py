"""Several scenarios at the same time, each in a process of its own with its own connections and ledger."""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from plg.child import python_command
from plg.cli.console import Console
from plg.cli.signals import CODES
from plg.outcome import Outcome
from plg.outcome_io import from_json, read_outcome
from plg.reports.columns import columns, cut
from plg.reports.terminal import printable
from plg.units import format_duration, format_rate

if TYPE_CHECKING:
    from plg.cli.signals import Interruption
    from plg.runner.start import Start

_LOOK = 0.1
_LOG_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How one process ended: its exit code, the outcome that it left if it left one, and what it complained of."""

    file: Path
    code: int
    outcome: Outcome | None
    complaint: str


@dataclass
class _Child:
    """A running scenario. ``state`` is its latest progress."""

    file: Path
    number: int
    process: subprocess.Popen[bytes]
    complaints: IO[bytes]
    saved: Path
    name: str
    unread: list[bytes] = field(default_factory=list)
    ready: bool = False
    begun: bool = False
    state: dict[str, Any] = field(default_factory=dict)
    left: Outcome | None = None
    waiting: str = ""

    def take(self, data: bytes) -> None:
        """What the process wrote, in pieces of any size."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self.unread, lines[0]])
            self.unread = []
        self.unread.append(rest)
        for line in lines:
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict) and "ready" in message:
                    self.ready, self.name = True, printable(str(message["ready"]))
                elif isinstance(message, dict) and "waiting" in message:
                    self.waiting = printable(str(message["waiting"]))
                elif isinstance(message, dict) and "outcome" in message:
                    self.left = from_json(str(message["outcome"]), str(self.saved), trusted=True)
                elif isinstance(message, dict):
                    self.state = message.get("progress", self.state)

    def begin(self) -> None:
        self.begun = True
        assert self.process.stdin is not None, "a pipe was asked for"
        with suppress(OSError):  # gone already: its exit code tells
            self.process.stdin.write(b"go\n")
            self.process.stdin.flush()

    def line(self) -> str:
        """``flash-sale 12s of 30s, 400/s``."""
        if not self.state:
            return f"{self.name} {'begins' if self.begun else 'gets ready'}"
        at = format_duration(int(self.state["t"]))
        if self.state["stage"] == "draining":
            return f"{self.name} {at}, draining"
        errors = f", {self.state['errors']:,} errors" if self.state["errors"] else ""
        whole = format_duration(round(self.state["duration"], 1))
        return f"{self.name} {at} of {whole}, {format_rate(round(self.state['actual_rate'], 1))}{errors}"


class Parallel:
    """Runs files, at most ``many`` at a time. The first ones begin together, once all of them are ready."""

    def __init__(
        self,
        options: argparse.Namespace,
        start: Start | None,
        console: Console,
        interruption: Interruption,
        finished: Callable[[Finished], None],
    ) -> None:
        self._options, self._start = options, start
        self._console, self._interruption, self._finished = console, interruption, finished
        self._folder = Path(options.out)
        self._selector = selectors.DefaultSelector()
        self._running: list[_Child] = []
        self._failed = self._told = False
        self._next_line = time.monotonic() + _LOG_EVERY

    def run(self, files: Sequence[Path]) -> list[Finished]:
        """How each file that was begun ended, in the order given; ``finished`` is called as each one ends."""
        left = list(enumerate(files))
        done: dict[int, Finished] = {}
        with self._ending_all():
            first = left[: self._options.parallel]
            while left or self._running:
                while left and len(self._running) < self._options.parallel and not (done and self._closing()):
                    self._running.append(self._spawn(*left.pop(0)))
                self._look()
                for child in [c for c in self._running if c.process.poll() is not None]:
                    done[child.number] = self._collect(child)
                self._release(len(first))
                self._show()
                if self._closing() and not self._running:
                    break
        return [done[number] for number in sorted(done)]

    def _closing(self) -> bool:
        return self._interruption.name() is not None or (self._options.fail_fast and self._failed)

    def _spawn(self, number: int, file: Path) -> _Child:
        saved = self._folder / f".plg-{os.getpid()}-{number}.json"
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the child
        process = subprocess.Popen(
            python_command("plg.cli.main", _arguments(self._options, file, saved, self._start)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            # A session of its own: Ctrl-C reaches this process, which passes it on, once.
            start_new_session=True,
            bufsize=0,
        )
        assert process.stdout is not None, "a pipe was asked for"
        os.set_blocking(process.stdout.fileno(), False)
        child = _Child(file, number, process, complaints, saved, printable(file.stem))
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        return child

    def _look(self) -> None:
        """Hear what the children say, for a moment at most; pass on an interruption."""
        for key, _ in self._selector.select(_LOOK):
            data = os.read(key.fd, 1 << 16)
            key.data.take(data)
            if not data:
                self._selector.unregister(key.fileobj)
                with suppress(subprocess.TimeoutExpired):
                    key.data.process.wait(5.0)  # its output has ended: so will it
        for child in self._running:
            words, child.waiting = child.waiting, ""
            if words and not self._options.quiet:
                self._console.print(f"{child.name} is {words}")
        name = self._interruption.name()
        if name is not None and not self._told:
            self._told = True
            self._signal_all(signal.Signals[name])

    def _release(self, first: int) -> None:
        """Let those begin that are ready: the first ones when none of them still prepares, later ones at once."""
        if all(c.ready for c in self._running if c.number < first) or self._interruption.name() is not None:
            for child in self._running:
                if not child.begun and (child.ready or self._interruption.name() is not None):
                    child.begin()

    def _collect(self, child: _Child) -> Finished:
        self._running.remove(child)
        assert child.process.stdout is not None, "a pipe was asked for"
        with suppress(OSError):  # what it said last, while this process was busy with another
            while data := os.read(child.process.stdout.fileno(), 1 << 16):
                child.take(data)
        with suppress(KeyError):
            self._selector.unregister(child.process.stdout)
        for pipe in (child.process.stdin, child.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        child.complaints.seek(0)
        complaint = child.complaints.read().decode("utf-8", "replace").strip()
        child.complaints.close()
        outcome = read_outcome(child.saved) if child.saved.exists() else child.left
        child.saved.unlink(missing_ok=True)
        code = child.process.returncode
        code = 128 - code if code < 0 else code  # as a shell tells of a signal
        if outcome is None and code not in (2, *CODES):
            code = 1
        end = Finished(child.file, code, outcome, complaint)
        self._failed = self._failed or code != 0
        self._finished(end)
        return end

    def _signal_all(self, number: int) -> None:
        for child in self._running:
            child.process.send_signal(number)

    @contextmanager
    def _ending_all(self) -> Iterator[None]:
        """Whatever happens here, no child is left behind."""
        try:
            yield
        except BaseException:
            self._signal_all(signal.SIGTERM)
            for child in self._running:
                try:
                    child.process.wait(2.0)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
                child.saved.unlink(missing_ok=True)
            raise
        finally:
            self._selector.close()
            self._console.clear()

    def _show(self) -> None:
        """All that run, in one live line; in a log every few seconds."""
        if self._options.quiet or not any(child.state for child in self._running):
            return
        text = "; ".join(child.line() for child in self._running)
        if self._console.live:
            room = self._console.width - 1
            self._console.redraw(text if columns(text) <= room else f"{cut(text, room - 1)}…")
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LOG_EVERY
            self._console.print(text)


def _arguments(options: argparse.Namespace, file: Path, saved: Path, start: Start | None) -> list[str]:
    """The command line of one child."""
    given: list[str] = ["check", "--feed", str(saved), "--out", str(options.out)]
    for name in ("target", "seed", "env", "policy", "connections"):
        value = getattr(options, name)
        given += [] if value is None else [f"--{name}={value}"]
    if options.wait is not None:
        given.append(f"--wait={options.wait}s")
    given += [f"--set={setting}" for setting in options.set]
    if options.shard is not None:
        given.append(f"--shard={options.shard[0] + 1}/{options.shard[1]}")
    if options.share_limits:
        given.append("--share-limits")
    if start is not None:
        given.append(f"--start-at={start.text()}")
    return [*given, "--", str(file)]
