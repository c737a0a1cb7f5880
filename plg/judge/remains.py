"""What was left in the queue at the end of a run, and whether anybody took a job from it."""

from __future__ import annotations

import numpy as np

from plg.judge.looks import known
from plg.judge.wording import counted, figure
from plg.outcome import QueueResult
from plg.runner.recording import Recording


def queue_result(recording: Recording, failed: int | None = None) -> QueueResult:
    """The queue at the end, and the sentence that every report says of it. ``failed`` jobs failed in the workers."""
    nobody = nobody_worked(recording)
    return QueueResult(
        recording.start_depth, recording.end_depth, recording.end_age_s, nobody, _said(recording, nobody), failed
    )


def nobody_worked(recording: Recording) -> bool:
    """Whether no job was given to a worker: none was seen to be, or all that was acked still waits. Not told of a part
    of a run, whose queue holds the jobs of the other parts too."""
    if recording.taken is False and (recording.end_depth is not None or recording.stop == "target"):
        return bool(recording.total("acked")) and not recording.incomplete
    start, end, acked = *_not_taken(recording), recording.total("acked")
    if start is None or end is None or not acked or end - start < acked or recording.incomplete:
        return False
    # Where others add jobs, a queue may be as deep as that and worked on all the same: then it was seen to shrink.
    depths = known(recording, "queue_depth")[1]
    return recording.sample_step is not None or not bool(np.any(np.diff(depths) < 0))


def _not_taken(recording: Recording) -> tuple[int | None, int | None]:
    """Jobs that no worker had been given, before the run and at its end; all that waited where no more is known."""
    start, end = recording.start_untaken, recording.end_untaken
    known_both = start is not None and end is not None
    return (start, end) if known_both else (recording.start_depth, recording.end_depth)


def _said(recording: Recording, nobody: bool) -> str:
    start, end = recording.start_depth, recording.end_depth
    if start is None or not recording.total("sent"):
        return ""
    if end is None and nobody:
        return "no job was taken from the queue while it could be seen"
    if end is None:
        return "" if recording.stop == "target" else "the queue could not be looked at after the last send"
    before = f" ({start:,} from before the run)" if start else ""
    oldest = "" if recording.end_age_s is None else f", the oldest {figure(_rounded(recording.end_age_s), 's')}"
    if nobody and end < start + recording.total("acked"):
        return f"no job was taken from the queue, yet only {end:,} of {start + recording.total('acked'):,} still wait"
    if nobody:
        return f"no job was taken from the queue: {counted(end, 'job')} still {_wait(end)}{before}{oldest}"
    held = 0 if recording.end_untaken is None else end - recording.end_untaken
    given = f", {held:,} of them taken and not acknowledged" if held > 0 else ""
    return f"still waiting: {counted(end, 'job')}{before}{oldest}{given}" if end > start else ""


def _wait(jobs: int) -> str:
    return "waits" if jobs == 1 else "wait"


def _rounded(seconds: float) -> float:
    """An age as fine as looks are: to a tenth of a second from a second on."""
    return round(seconds, 1) if seconds >= 1 else round(seconds, 2)
