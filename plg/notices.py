"""What every report of a run says first: why its figures may not tell what they seem to tell."""

from __future__ import annotations

from plg.measures import NOTHING_JUDGED, TAKEN
from plg.outcome import Notice, Outcome, WorkersResult


def notices(outcome: Outcome) -> tuple[Notice, ...]:
    """All that is to be said first of a run, the gravest before the others; most have nothing."""
    found = []
    if _nothing_judged(outcome):
        found.append(Notice("nothing-promised", NOTHING_JUDGED))
    if outcome.workers is not None and (taken := _foreign(outcome, outcome.workers)):
        found.append(Notice("others-jobs-taken", f"plg's own workers took {taken} not of this run"))
    if failed := outcome.queue.failed:
        many = f"{failed:,} job{'s' * (failed != 1)}"
        found.append(Notice("failed-in-worker", f"{many} failed in the worker during this run; {TAKEN}, done or not"))
    if outcome.queue.nobody_worked:
        found.append(Notice("nobody-worked", outcome.queue.said))
    if taken := _none_completed(outcome):
        found.append(Notice("none-completed", taken))
    if outcome.recording.lost:
        found.append(Notice("jobs-lost", outcome.recording.lost))
    if not outcome.queue.nobody_worked and outcome.workers is not None and outcome.ledger.acked:
        found.append(Notice("own-workers", f"{_taken_by_own(outcome, outcome.workers)}, not by yours"))
    return tuple(found)


def _nothing_judged(outcome: Outcome) -> bool:
    """Whether a run passed that could not fail by what it did; a shard is judged with the others."""
    judged = any(result.level == "expect" for result in outcome.expectations)
    part = outcome.shard is not None and len(outcome.shard.parts) < outcome.shard.of
    return outcome.exit_code == 0 and outcome.ledger.planned > 0 and not judged and not part


def _none_completed(outcome: Outcome) -> str:
    """That workers took jobs and had finished none when the watch was over, in a sentence; else empty."""
    far = outcome.far_side
    if far is None or outcome.queue.nobody_worked or far.completed or far.dead or not far.in_flight:
        return ""
    many = f"{far.in_flight:,} job{'s were' if far.in_flight != 1 else ' was'}"
    return f"no job was completed: {many} with workers when the watch was over; {TAKEN}, not whether they were done"


def _taken_by_own(outcome: Outcome, workers: WorkersResult) -> str:
    """Which jobs plg's own workers took: all that were taken, or so many of them."""
    own = f"plg's own {workers.count:,} worker{'s' * (workers.count != 1)}"
    queue = outcome.queue
    if outcome.recording.lost:
        return f"{workers.processed:,} job{'s' * (workers.processed != 1)} were taken by {own}"
    if queue.start is None or queue.end is None or outcome.shard is not None:
        return f"the jobs were taken by {own}"
    taken = queue.start + outcome.ledger.acked - queue.end
    if 0 < workers.processed < 0.9 * taken:
        return f"{workers.processed:,} of the {taken:,} jobs that were taken were taken by {own}"
    return f"the jobs were taken by {own}"


def _foreign(outcome: Outcome, workers: WorkersResult) -> str:
    """Which jobs of others plg's own workers took, as the words before ``not of this run``; empty where none.

    Jobs that do not tell whose they are count where more were taken than the run can have put there.
    """
    if workers.foreign is not None:
        number, least = workers.foreign, ""
    elif outcome.shard is not None and len(outcome.shard.parts) < outcome.shard.of:
        return ""  # the workers of one shard take the jobs of all
    else:
        number, least = workers.processed - outcome.ledger.acked - outcome.ledger.unknown, "at least "
    if number <= 0:
        return ""
    return f"{least}{number:,} job{'s' * (number != 1)} that {'was' if number == 1 else 'were'}"
