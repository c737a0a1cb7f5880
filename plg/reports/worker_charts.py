"""Charts of what the workers did: when jobs were due, sent, started and finished, and how long they waited and ran."""

from __future__ import annotations

import numpy as np

from plg.outcome import Outcome
from plg.reports.axes import finite
from plg.reports.charts import JOBS, TALL, time_charts
from plg.reports.figure import Chart, Floats, View, curve, frame
from plg.reports.sampling import column

_FLOW = (("due", "planned", "target"), ("sent", "sent", "actual"), ("started", "started", "allowed"))
_ENDED = ("finished", "completed", "depth")


def count(outcome: Outcome) -> int:
    """How many charts there are: none where nobody told of any job."""
    return 3 if finite(*(column(outcome.series, name) for _, name, _ in (*_FLOW, _ENDED)[2:])).size else 0


def charts_of(outcome: Outcome, view: View) -> list[Chart]:
    """The cumulative flow, and the two times on one logarithmic scale."""
    if not count(outcome):
        return []
    return [_flow(outcome, view), *time_charts(outcome, view, ("queue_wait", "run_time"), log=True)]


def _flow(outcome: Outcome, view: View) -> Chart:
    """Four curves that follow one another: between two of them, across, is a wait; upwards, a number of jobs."""
    starts = column(outcome.series, "t_s")
    width = starts[1] - starts[0] if len(starts) > 1 else outcome.recording.window
    ends = np.append(starts[1:], starts[-1] + width)
    t = np.concatenate([[0.0], ends])
    traces = []
    for name, source, role in (*_FLOW, _ENDED):
        style = {"dash": "3px,6px", "width": 2} if name == "due" else {}
        traces.append(curve(view, name, role, t, _summed(column(outcome.series, source)), JOBS, line=style))
    caption = (
        "Jobs so far: due, sent, started by a worker, finished. The gap between sent and started is the queue, "
        "the one between started and finished is with the workers; across, both are how long that takes."
    )
    far = outcome.far_side
    if far is not None and far.read < far.jobs:
        caption += f" Started and finished are reckoned from {far.read:,} of {far.jobs:,} jobs."
    return Chart("flow", "Cumulative flow", caption, frame(view, traces, height=TALL, suffix=""))


def _summed(counts: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.nan_to_num(counts))])
