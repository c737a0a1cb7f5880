"""What every report of a run says first: why its figures may not tell what they seem to tell."""

from __future__ import annotations

from plg.outcome import Notice, Outcome, WorkersResult


def notices(outcome: Outcome) -> tuple[Notice, ...]:
    """All that is to be said first of a run, the gravest before the others; most have nothing."""
    found = []
    if outcome.workers is not None and (taken := _foreign(outcome, outcome.workers)):
        found.append(Notice("others-jobs-taken", f"plg's own workers took {taken} not of this run"))
    if outcome.queue.nobody_worked:
        found.append(Notice("nobody-worked", outcome.queue.said))
    return tuple(found)


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
