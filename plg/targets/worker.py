"""The reference workers as a run sees them: started before it, stopped after it, with a tally of what they did."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

import numpy as np

from plg.child import python_command
from plg.dataclass import dataclass
from plg.histogram import BUCKETS, Distribution
from plg.queues.base import Job
from plg.queues.envelope import head_of, places_of
from plg.queues.tracing import STREAM
from plg.queues.use import queues_of
from plg.targets.base import Target, TargetError
from plg.targets.consumer import SIGN
from plg.targets.job_source import FIRST, NEXT
from plg.units import counted

_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
_START_PATIENCE = 15.0
_FRESH = 1.0
"""Seconds for which a sign of life tells how many workers there are."""
_STOP_PATIENCE = 5.0
"""Seconds that the workers get to say what they did."""


@dataclass(frozen=True, slots=True, eq=False)
class WorkersReport:
    """What the workers did: jobs ``processed``, and how long each had waited from enqueued_at until it was taken (s).

    Only jobs that say when they were enqueued are dated, so ``waits`` may hold fewer than were processed. ``stalls``
    are the stretches in which they stood still or were gone, by the monotonic clock (s); ``warnings`` are sentences.
    ``foreign`` of the jobs they took are not of the run; None where they cannot be told apart.
    """

    count: int
    each: float
    processed: int
    waits: Distribution
    warnings: tuple[str, ...] = ()
    stalls: tuple[tuple[float, float], ...] = ()
    foreign: int | None = None

    def wait_s(self) -> dict[str, float | None]:
        """``p50 p90 p95 p99 p99.9 max mean`` of the waits in seconds; None without samples."""
        summary = {name: self.waits.quantile(q) for name, q in _PERCENTILES.items()}
        return summary | {"max": self.waits.max if self.waits.total else None, "mean": self.waits.mean()}


class ReferenceWorkers:
    """``count`` workers, each busy ``each`` seconds a job, in one process beside plg (`plg.targets.consumer`).

    They take whatever comes into the queues of ``jobs``, count what is not of the run ``run_id``, and end with plg even
    where nobody stops them. Of a stream that others have read they take also what it holds by now where ``all_of_it``.
    Where asked to ``tell``, they say of each job of the run when they had it.
    """

    def __init__(
        self,
        target: Target,
        jobs: Sequence[Job],
        count: int,
        each: float,
        *,
        run_id: str | None = None,
        all_of_it: bool = True,
        tell: bool = False,
    ) -> None:
        self._count = count
        self._each = each
        head = None if run_id is None else head_of(jobs, run_id)
        self._tells_apart = head is not None
        self._orders = {
            "url": target.url,
            "gate": None if target.address.gate is None else target.address.gate.to_document(),
            "cluster": target.cluster is not None,
            "queues": [(queue.key, queue.taking) for queue in queues_of(jobs)],
            "places": places_of(jobs),
            "count": count,
            "each": each,
            "head": None if head is None else head.decode(),
            "tell": None if head is None or not tell else STREAM + (run_id or ""),
            "begin": FIRST if all_of_it else NEXT,
            "parent": os.getpid(),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._signs: IO[bytes] | None = None
        """Where they write the moment of their last sign of life, by the monotonic clock (s)."""

    @property
    def pid(self) -> int | None:
        """Process id of the workers while they run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Returns once all workers are connected and take jobs. Raises `TargetError` where they cannot."""
        signs = self._signs = tempfile.TemporaryFile()  # noqa: SIM115  # it is read when the workers have ended
        self._process = _spawn(signs.fileno())
        try:
            orders = {**self._orders, "pulse": signs.fileno()}
            _write(self._process, json.dumps(orders).encode() + b"\n")
            self._await_ready(self._process)
        except BaseException:
            _end(self._process)
            self._process = None
            self._forget_signs()
            raise

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        said = _last_line(_read_line(process, time.monotonic() + _START_PATIENCE))
        if said == "ready":
            return
        if isinstance(said, dict) and "error" in said:
            raise TargetError(said["kind"], f"the reference workers could not start: {said['error']}")
        raise TargetError("missing", "the process of the reference workers did not start")

    def stop(self) -> WorkersReport:
        """Ends the workers, whatever they are busy with, and returns the tally; a crash is told in its warnings."""
        process, self._process = self._process, None
        if process is None:
            return self.unknown("they were not running")
        try:
            return self._stopped(process, time.monotonic())
        finally:
            self._forget_signs()

    def _stopped(self, process: subprocess.Popen[bytes], over: float) -> WorkersReport:
        try:
            output, _ = process.communicate(b"stop\n", timeout=_STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            _end(process)
            return self._gone("they did not stop in time", over)
        tally = _last_line(output)
        if not isinstance(tally, dict):
            how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
            return self._gone(f"they ended early ({how})", over)
        trouble = tuple(f"reference workers: {words} ({counted(n, 'time')})" for words, n in tally["trouble"])
        if let_go := tally.get("let_go", 0):
            jobs = "one job was" if let_go == 1 else f"{let_go} jobs were"
            trouble += (f"{jobs} in the hands of reference workers when the run ended, and not finished",)
        return self._report(tally, trouble)

    def _forget_signs(self) -> None:
        signs, self._signs = self._signs, None
        if signs is not None:
            signs.close()

    def _gone(self, why: str, over: float) -> WorkersReport:
        """The report of workers that took no jobs from their last sign of life until the run was ``over``."""
        sign = self._sign()
        last = over if sign is None else sign[0]
        return replace(self.unknown(why), stalls=((last, over),) if last < over else ())

    def _sign(self) -> tuple[float, int, int] | None:
        """Their last sign of life, see `SIGN`."""
        said = os.pread(self._signs.fileno(), SIGN.size, 0) if self._signs else b""
        return SIGN.unpack(said) if len(said) == SIGN.size else None

    def gauges(self) -> dict[str, float]:
        """``workers`` and jobs ``in_flight`` with them, as they said a tenth of a second ago at most; empty where they
        are silent."""
        sign = self._sign()
        if sign is None or time.monotonic() - sign[0] > _FRESH:
            return {}
        return {"workers": sign[1], "in_flight": sign[2]}

    def unknown(self, why: str) -> WorkersReport:
        """The report of workers that did not give one."""
        return self._report({}, (f"what the reference workers did is not known: {why}",))

    def _report(self, tally: Mapping[str, Any], warnings: tuple[str, ...]) -> WorkersReport:
        stalls = tuple((start, end) for start, end in tally.get("stalls", ()))
        foreign = tally.get("foreign") if self._tells_apart else None
        return WorkersReport(
            self._count, self._each, tally.get("processed", 0), _waits(tally), warnings, stalls, foreign
        )


def _waits(tally: Mapping[str, Any]) -> Distribution:
    if not tally.get("waits"):
        return Distribution.empty()
    buckets, counts = np.array(tally["waits"], dtype=np.int64).T
    dense = np.zeros(BUCKETS, dtype=np.int64)
    dense[buckets] = counts
    return Distribution(dense, int(counts.sum()), tally["sum"], tally["min"], tally["max"])


def _spawn(signs: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        python_command("plg.targets.consumer"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A session of its own: Ctrl-C is for plg, which stops the workers when the run has been recorded.
        start_new_session=True,
        pass_fds=(signs,),
        bufsize=0,
    )


def _write(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line)
    except BrokenPipeError:
        raise TargetError("missing", "the process of the reference workers did not start") from None


def _read_line(process: subprocess.Popen[bytes], until: float) -> bytes:
    """What the process says up to the end of a line, or of its output, or until the deadline."""
    assert process.stdout is not None
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not piece:
            break
        said += piece
    return said


def _last_line(output: bytes) -> Any:
    lines = output.splitlines()
    try:
        return json.loads(lines[-1]) if lines else None
    except ValueError:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
