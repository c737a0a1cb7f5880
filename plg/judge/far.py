"""What is said of the workers: the verdict of a line on them, and their ledger."""

from __future__ import annotations

import numpy as np

from plg.judge import bottleneck
from plg.judge.aggregate import Flags, Reader
from plg.judge.breach import holds
from plg.judge.far_bounds import bounds, may_still_count
from plg.judge.wording import counted, where
from plg.measures import FAR_TIMES
from plg.outcome import FarSide
from plg.runner.recording import Recording
from plg.scenario import Subject


def settled(reader: Reader, subject: Subject, width: float | None, op: str, bound: float) -> Flags:
    """In which windows the verdict is the same whatever the unknown jobs come to."""
    least, most = bounds(reader, subject, width)
    same = holds(op, least, bound) == holds(op, most, bound)
    # One value alone is asked for, or ruled out, that may lie between the two.
    between = (least < bound) & (bound < most) if op in ("==", "!=") else False
    return np.asarray(same & ~np.asarray(between))


def why_open(reader: Reader, subject: Subject) -> str:
    """Why the value is not known."""
    recording = reader.recording
    assert recording.far is not None, "it was checked that there is a record"
    if subject.measure not in FAR_TIMES and recording.far.doubt:
        return recording.far.doubt
    traced = float(reader.counter("traced", subject)[0])
    if subject.measure == "queue_wait":
        missing = traced - float(reader.rows("queue_wait", subject.during, None).totals[0])
        return f"of {counted(int(missing), 'job')}{where(subject)} it is not known when a worker started them"
    open_jobs = float(reader.counter("unfinished", subject)[0])
    nowhere = int(reader.counter("lost", subject)[0])
    if not open_jobs and nowhere and subject.measure not in FAR_TIMES:
        return f"{counted(nowhere, 'job')}{where(subject)} can be found nowhere, and may have ended in any way"
    if subject.measure == "lost":
        held = f"{counted(int(may_still_count(reader, subject, None)[0]), 'job')} of {int(traced):,}{where(subject)}"
        return f"{held} had not ended and stood with a worker when the watch was over: lost if it was killed"
    if not open_jobs:
        missing = traced - float(reader.rows(subject.measure, subject.during, None).totals[0])
        return f"of {counted(int(missing), 'job')}{where(subject)} no worker has told how they ended"
    return f"{counted(int(open_jobs), 'job')} of {int(traced):,}{where(subject)} had not ended when the watch was over"


def far_side(recording: Recording) -> FarSide | None:
    """The ledger of the workers; None where nobody knows what they did."""
    far = recording.far
    if far is None or "traced" not in recording.counters or "completed" in far.untold:
        return None
    exact = not far.doubt
    return FarSide(
        completed=recording.total("completed"), failed_attempts=recording.total("job_failures"),
        retried=recording.total("retried"), dead=recording.total("dead"), waiting=far.waiting,
        in_flight=far.in_flight, delayed=far.delayed, lost=recording.total("lost") if exact else None,
        duplicates=None if "duplicates" in far.untold else recording.total("duplicates"), residue=recording.residue,
        read=far.read, jobs=far.jobs, source=far.source, clock_offset_s=far.clock_offset_s,
        said=bottleneck.sentence(recording), doubt=far.doubt, found=far.found,
    )  # fmt: skip
