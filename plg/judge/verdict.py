"""The verdict of a whole run: one word, one exit code, one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from plg.judge.remains import nobody_worked
from plg.judge.soundness import WORKERS, too_late
from plg.judge.windows import phase_at
from plg.judge.wording import counted, figure, moment
from plg.measures import NOTHING_JUDGED
from plg.outcome import ExpectationResult, Ledger, Verdict
from plg.runner.recording import Recording

PASS, INTERNAL, USAGE, FAILED, STOPPED, INVALID, TARGET, SIGHUP, SIGINT, SIGTERM = 0, 1, 2, 3, 4, 5, 6, 129, 130, 143
PRECEDENCE = (INTERNAL, SIGINT, SIGTERM, SIGHUP, USAGE, TARGET, STOPPED, INVALID, FAILED, PASS)
"""Which exit code wins when several apply, in one run or over several scenarios. Within a run that is INVALID a line
that plg's own lateness cannot have broken fails all the same: `plg.judge.soundness` says which have no verdict."""

_GUARDED_UNITS = {
    "max_rate": "jobs/s", "max_duration": "s", "max_queue_age": "s", "max_memory": "bytes",
    "max_cpu": "fraction", "max_error_rate": "fraction",
}  # fmt: skip


_CALMER = "run it again on a calmer or larger machine, or with less load"


class Decision(NamedTuple):
    """What a run comes to."""

    verdict: Verdict
    exit_code: int
    reason: str


def worst(codes: Iterable[int]) -> int:
    """The exit code of several scenarios: the one that comes first in `PRECEDENCE`; an unknown code wins over all."""
    return min(codes, key=gravity, default=PASS)


def gravity(code: int) -> int:
    """Where an exit code stands in `PRECEDENCE`, the gravest first; one that is not in it is graver than all."""
    return PRECEDENCE.index(code) if code in PRECEDENCE else -1


def decide(
    results: Sequence[ExpectationResult],
    recording: Recording,
    *,
    own_workers: bool = False,
    failed_in_worker: int = 0,
) -> Decision:
    """Verdict, exit code and reason of one run, by `PRECEDENCE`.

    ``own_workers``: plg's own took the jobs; ``failed_in_worker`` jobs failed there. Neither changes the verdict.

    A ``warn`` changes nothing, but a run that a line ended early never passes, whatever the line: the others were
    asked of the whole run, and nobody saw the rest of it.
    """
    imbalance = Ledger.of(recording).imbalance()
    if imbalance:
        gap = counted(imbalance, "job")
        reason = f"INTERNAL ERROR: the ledger does not add up by {gap}; trust no figure of this run"
        return Decision("error", INTERNAL, reason)
    stopped = {"signal": _interrupted, "user": _asked, "target": _lost, "guardrail": _guarded}.get(recording.stop or "")
    if stopped is not None:
        return stopped(recording)
    if recording.incomplete:
        return Decision("invalid", INVALID, f"not judged: {recording.incomplete}")
    if recording.stop == "shard":
        return Decision("invalid", INVALID, f"not judged: stopped {_at(recording)}: {recording.stop_detail}")
    late = _late(results, recording)
    broken = [r for r in results if r.level == "expect" and r.verdict != "pass" and not r.invalid]
    if broken:
        return Decision("fail", FAILED, _failure(broken, results, recording, late))
    ended = _ended_by(results, recording)
    if late:
        return Decision("invalid", INVALID, "; ".join(filter(None, (late, ended, _CALMER))))
    if ended:
        return Decision("fail", FAILED, f"{ended}; what was to come is not measured")
    return Decision("pass", PASS, _held_all(results, recording, own_workers, failed_in_worker))


def _at(recording: Recording) -> str:
    at = recording.stopped_s
    return f"at {moment(at, phase_at(recording.spans, at))}"


def _ended_by(results: Sequence[ExpectationResult], recording: Recording) -> str:
    """Which line ended the run before its plan or its watch was over, and when; empty where none did."""
    if recording.stop != "expectation":
        return ""
    in_watch = recording.stopped_s >= recording.duration
    line = next((_named(r) for r in results if r.stopped), recording.stop_detail or "a line that is not judged here")
    return (
        f"the watch after the last send was ended by {line}"
        if in_watch
        else f"the run was ended {_at(recording)} by {line}"
    )


def _interrupted(recording: Recording) -> Decision:
    codes = {"SIGTERM": SIGTERM, "SIGHUP": SIGHUP}
    name, _, before = recording.stop_detail.partition(": ")
    name = name if name in codes else "SIGINT"
    who = f" ({recording.stop_by})" if recording.stop_by else ""
    # A run that never began has no moment and no phase to name.
    when = before or _at(recording)
    if before and not recording.total("sent"):
        when += "; nothing had been sent"
    return Decision("interrupted", codes.get(name, SIGINT), f"interrupted by {name} {when}{who}")


def _asked(recording: Recording) -> Decision:
    why = f": {recording.stop_detail}" if recording.stop_detail else ""
    return Decision("interrupted", SIGINT, f"stopped by {recording.stop_by or 'a user'} {_at(recording)}{why}")


def _by(recording: Recording) -> str:
    """`` (seen by shard 2 of 4)``; empty where the run itself found the reason of its stop."""
    return f" (seen by {recording.stop_by})" if recording.stop_by else ""


def _lost(recording: Recording) -> Decision:
    what = f"the target failed {_at(recording)}" if recording.stopped_s > 0 else "the target could not be used"
    what += _by(recording)
    return Decision("error", TARGET, f"{what}: {recording.stop_detail}" if recording.stop_detail else what)


def _guarded(recording: Recording) -> Decision:
    name, _, why = recording.stop_detail.partition(": ")
    reason = f"stopped by {name or 'a guardrail'} {_at(recording)}{_by(recording)}" + (f": {why}" if why else "")
    for hit in recording.hits:
        if hit.action == "stop" and hit.guardrail == recording.stop_detail:
            unit = _GUARDED_UNITS.get(hit.guardrail, "jobs")
            # Of these two the hit tells what the plan asked for, which was never reached.
            asked = " asked" if hit.guardrail in ("max_total_jobs", "max_duration") else ""
            reason += f": {figure(hit.requested, unit)}{asked} of at most {figure(hit.allowed, unit)}"
            break
    return Decision("stopped", STOPPED, reason)


def _late(results: Sequence[ExpectationResult], recording: Recording) -> str:
    """Why plg itself keeps the run from saying anything, or keeps a line from it."""
    whole = too_late(recording)
    if whole:
        return f"the generator could not hold the schedule: {whole}"
    untold = [r for r in results if r.level == "expect" and r.invalid]
    more = f", and {counted(len(untold) - 1, 'other')}" if len(untold) > 1 else ""
    if not untold:
        return ""
    cause = "" if untold[0].detail.startswith(WORKERS) else "the generator could not hold the schedule: "
    return f"{cause}{untold[0].text}: {untold[0].detail}{more}"


def _failure(
    broken: list[ExpectationResult], results: Sequence[ExpectationResult], recording: Recording, late: str
) -> str:
    total = sum(r.level == "expect" for r in results)
    failed = sum(r.verdict == "fail" for r in broken)
    untold = len(broken) - failed
    of = f" of {counted(total, 'expectation')}"
    parts = [f"{number}{said}" for number, said in ((failed, " failed"), (untold, " had no data")) if number]
    # What the line ended the run by is the cause; else what is known to be broken, before what is not known.
    named = min(broken, key=lambda r: (not r.stopped, r.verdict != "fail"))
    said = f"{' and '.join(parts).replace(' ', of + ' ', 1)}: {_named(named)}"
    if len(broken) > 1:
        said += f", and {counted(len(broken) - 1, 'other')}"
    if recording.stop == "expectation" and not named.stopped:
        said += f"; {_ended_by(results, recording)}"
    elif recording.stop == "expectation":
        in_watch = recording.stopped_s >= recording.duration
        said += "; that ended the watch after the last send" if in_watch else f"; the run ended {_at(recording)}"
    if late:
        said += f"; besides, {late}"
    return said


def _named(result: ExpectationResult) -> str:
    if result.verdict == "no_data":
        return f"{result.text} ({result.detail or 'no data'})"
    seen = "" if result.observed is None else f" (observed {figure(result.observed, result.unit)})"
    return f"{result.text}{seen}"


def _held_all(
    results: Sequence[ExpectationResult], recording: Recording, own_workers: bool, failed_in_worker: int
) -> str:
    judged = [r for r in results if r.level == "expect"]
    warned = sum(r.level == "warn" and r.verdict != "pass" for r in results)
    nothing = NOTHING_JUDGED if recording.total("planned") else "no job was planned or sent"
    said = {0: nothing, 1: "the one expectation held"}.get(len(judged), f"all {len(judged)} expectations held")
    but = ", but" if judged else ";"
    if nobody_worked(recording):
        said += f"{but} no job was taken from the queue"
    elif recording.lost:
        said += f"{but} jobs may be lost"
    elif failed_in_worker:
        said += f"{but} {counted(failed_in_worker, 'job')} failed in the worker"
    elif own_workers:
        said += ", with plg's own workers in place of yours"
    return f"{said} ({counted(warned, 'warning')})" if warned else said
