"""Where the jobs are that no worker told the end of, by what is left in the queue after the watch.

A framework that records nothing of a single job still counts what waits, what is to come and what its workers have. Of
the jobs that nobody has heard of as many are there; what is more than that is nowhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plg.runner.far_jobs import FarJobs
from plg.targets.base import Depth, Target, TargetError
from plg.targets.leftovers import Leftovers
from plg.targets.register import RunEntry

Places = npt.NDArray[np.intp]
_LOOKED_THROUGH = 200_000
"""Jobs in the queue that are looked through for those of the run."""


def left_in_queue(target: Target) -> Depth | None:
    """A last look at the queues; None where it fails."""
    probe = target.probe()
    try:
        probe.rehearse()
        return probe.look()
    except TargetError:
        return None
    finally:
        probe.close()


def place_silent(jobs: FarJobs, before: Depth | None, after: Depth | None) -> None:
    """Say of each job of which there is no record where it is, by how many more there are than ``before`` the run."""
    own = jobs.traceable & ~jobs.recorded
    if after is None or before is None or not own.any():
        return
    running = np.flatnonzero(own & jobs.are("running"))
    again = np.flatnonzero(own & jobs.are("delayed"))
    silent = np.flatnonzero(own & jobs.are(None))
    # The queue holds the jobs of all generators of the run.
    share = len(jobs) / max(1, jobs.planned) / jobs.parts
    waiting = _more(after.waiting, before.waiting, share)
    delayed = _more(after.delayed, before.delayed, share)
    held = None if after.in_flight is None else _more(after.in_flight, before.in_flight, share)
    # Workers take what was sent first: what waits was sent last.
    silent = silent[np.argsort(jobs.asked_for[silent], kind="stable")]
    rest, there = _last(silent, waiting)
    jobs.put(there, "waiting")
    later = rest[jobs.asked_for[rest] > jobs.due[rest]]
    _, there = _last(later, max(0, delayed - len(again)))
    jobs.put(there, "delayed")
    rest = np.setdiff1d(rest, there)
    if held is not None:
        # A worker that died holds its jobs no longer, unless the framework gives them to another.
        running = running[np.argsort(jobs.began[running], kind="stable")]
        gone, _ = _last(running, held)
        jobs.put(gone, "gone")
        rest, there = _last(rest, max(0, held - len(running)))
        jobs.put(there, "running")
    jobs.put(rest, "gone")


def check_whose(jobs: FarJobs, target: Target, entry: RunEntry, before: Depth | None) -> None:
    """Doubt that what was placed in the queue by its number is of the run, where not as many of its jobs are there.

    It is their ids that tell. What is taken meanwhile is not missed: the number is looked at again after that.
    """
    placed = int((jobs.traceable & ~jobs.recorded & jobs.are("waiting", "delayed")).sum())
    if not placed or before is None or not jobs.all_of_them or jobs.parts > 1:
        return
    there = left_in_queue(target)
    if there is None or there.waiting + (there.delayed or 0) > _LOOKED_THROUGH:
        jobs.doubt = f"whose the jobs are that wait is not known where they are more than {_LOOKED_THROUGH:,}"
        return
    try:
        with Leftovers(target) as leftovers:
            own = leftovers.look(entry).left.jobs
    except TargetError as error:
        jobs.doubt = f"whose the jobs are that wait could not be seen: {error}"
        return
    after = left_in_queue(target)
    if after is None:
        return
    least = min(placed, _more(after.waiting, before.waiting, 1.0) + _more(after.delayed, before.delayed, 1.0))
    if own < least:
        many = f"{least - own:,} of {least:,}"
        jobs.doubt = f"{many} jobs by which the queue has grown are of others, and as many of the run are elsewhere"


def place_unrecorded(jobs: FarJobs, target: Target, entry: RunEntry, taken: bool | None) -> None:
    """Tell jobs that were lost from those whose record alone went, of those without one.

    One that stands in the queue has not been run, nor has any where none was ``taken``; where the others leave their
    records after their end, one that is missing is lost. Of the rest it is not known. A worker that tells of its jobs
    itself told of those that it has ended.
    """
    gone = jobs.recorded & ~jobs.hooked & jobs.are("gone")
    if not gone.any():
        return
    why = ""
    if evicted := jobs.forgotten.evicted:
        why = f"the server evicted {evicted:,} key{'s' * (evicted != 1)} during the run"
    doubted = np.zeros(len(jobs), dtype=np.bool_)
    for kind, tracing in enumerate(jobs.tracings):
        own = jobs.kind == kind
        kept = jobs.are("completed") & own
        if tracing is None or (jobs.hooked & own).any() or not (gone & own).any():
            continue
        if jobs.forgotten.evicted or (tracing.unless and (tracing.some or not kept.any())):
            doubted |= gone & own
            why = why or f"workers keep none where they are told so ({tracing.unless})"
    waiting = _waiting(target, entry)
    jobs.unwritten = waiting & set(jobs.seq[gone].tolist())
    doubted &= ~np.isin(jobs.seq, list(jobs.unwritten))
    if taken is not False and doubted.any():
        jobs.put(np.flatnonzero(doubted), None)
        count = int(doubted.sum())
        many = f"{count:,} job{'s' * (count != 1)}"
        jobs.doubt = jobs.doubt or f"{many} left no record, lost or done before: {why}"


def _waiting(target: Target, entry: RunEntry) -> set[int]:
    """The numbers of the jobs in the queues; none where they cannot be seen, or there are too many."""
    there = left_in_queue(target)
    if there is None or not 0 < there.waiting <= _LOOKED_THROUGH:
        return set()
    try:
        with Leftovers(target) as leftovers:
            return leftovers.waiting(entry)
    except TargetError:
        return set()


def _more(after: int | None, before: int | None, share: float) -> int:
    """How many of the jobs asked after that may be."""
    return round(max(0, (after or 0) - (before or 0)) * share)


def _last(places: Places, count: int) -> tuple[Places, Places]:
    """All but the last ``count``, and these."""
    cut = max(0, len(places) - count)
    return places[:cut], places[cut:]
