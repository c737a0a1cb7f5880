"""drain_time: from the last send until the queue is back to its depth at the start."""

from __future__ import annotations

import numpy as np

from plg.judge.breach import holds
from plg.judge.looks import BLIND
from plg.judge.windows import NoData
from plg.judge.wording import counted, figure
from plg.runner.recording import Recording


def drain_time(recording: Recording) -> float:
    """When a look first found the queue back (s). Raises `NoData`."""
    if recording.drain_s is None:
        raise NoData(_not_seen(recording))
    return recording.drain_s


def _not_seen(recording: Recording) -> str:
    if not recording.total("sent"):
        return "nothing was sent, so nothing had to drain"
    if recording.drain_waited_s is None:
        return "the queue could not be looked at after the last send"
    left = "" if recording.end_depth is None else f", {counted(recording.end_depth, 'job')} left"
    return f"the queue had not drained after {figure(recording.drain_waited_s, 's')}{left}"


def judge_drain(recording: Recording, op: str, bound: float) -> tuple[bool, float, str]:
    """Whether the expectation holds, the figure it was judged by, and a remark. Raises `NoData`.

    drain_time lies between the last look that found jobs of the run and the first that found none. With looks as close
    as usual the latter stands for it; where looks failed in between, only what holds of the whole stretch is told.
    """
    waited, drained = recording.drain_waited_s, recording.drain_s
    if drained is not None:
        early, late = holds(op, np.array([waited or 0.0, drained]), bound).tolist()
        if early != late and drained - (waited or 0.0) > BLIND:
            between = f"between {figure(waited or 0.0, 's')} and {figure(drained, 's')}"
            raise NoData(f"the queue drained {between} after the last send, when it could not be seen")
        return late, drained, ""
    if waited is None or waited < bound:
        raise NoData(_not_seen(recording))
    return op in (">", ">=", "!="), waited, _not_seen(recording)
