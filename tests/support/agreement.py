"""What plg tells of the times of jobs, held against what the jobs wrote down themselves."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from plg.outcome import Outcome
from plg.runner.far_jobs import FarJobs
from plg.runner.recording import Floats

MEDIAN, P99 = 0.005, 0.020
"""Seconds by which the two may differ."""


def own_times(outcome: Outcome, asked_for: Floats, seen: list[dict]) -> tuple[Floats, Floats]:
    """How long each job waited and ran by its own record, in the order of their numbers. ``asked_for`` is in that order
    too, in seconds of the run."""
    zero = datetime.fromisoformat(outcome.started_at).timestamp()
    own = sorted(seen, key=lambda job: job["seq"])
    began, ended = (np.array([job[name] for job in own]) for name in ("at", "end"))
    return began - zero - asked_for, ended - began


def figures_agree(outcome: Outcome, asked_for: Floats, seen: list[dict]) -> None:
    """The median and the 99th percentile of a run are those of the jobs."""
    waits, runs = own_times(outcome, asked_for, seen)
    for measure, of, values in (("queue_wait", outcome.queue_wait_s, waits), ("run_time", outcome.run_time_s, runs)):
        for q, within in ((50, MEDIAN), (99, P99)):
            own = float(np.percentile(values, q, method="inverted_cdf"))
            # Figures are kept to one part in a hundred.
            assert abs(of[f"p{q}"] - own) < within + 0.01 * own, (measure, q)


def jobs_agree(outcome: Outcome, jobs: FarJobs, seen: list[dict]) -> None:
    """So are the times of each job for itself, whatever the machine made of them: of half of the jobs to 5 ms, and of
    99 in a hundred to 20 ms."""
    zero = datetime.fromisoformat(outcome.started_at).timestamp()
    waits, runs = own_times(outcome, jobs.asked_for, seen)
    for measure, told, own in (
        ("queue_wait", jobs.started - zero - jobs.asked_for, waits),
        ("run_time", jobs.finished - jobs.began, runs),
    ):
        apart = np.sort(np.abs(told - own))
        assert np.percentile(apart, 50) < MEDIAN, (measure, apart[-9:])
        assert np.percentile(apart, 99) < P99, (measure, apart[-9:])
