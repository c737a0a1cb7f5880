"""The limits of a whole run, divided among the generators that make it together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from plg.diagnostics import Diagnostic, ScenarioError
from plg.guardrails.limiter import whole_jobs
from plg.plan import Plan
from plg.plan.plan import share
from plg.plan.shedding import NothingShed
from plg.scenario import Guardrails
from plg.units import format_duration, format_rate

_BLOCK = 1 << 16


def divide(limits: Guardrails, plan: Plan) -> Guardrails:
    """The limits of the plan's shard. What all shards may send together is never more than the whole may.

    Jobs a window go in equal parts, the remainder one each to the first shards. ``max_total_jobs`` gives a shard what
    it keeps of the arrivals that the whole may send, which is exact, and an equal part of the jobs beyond those.
    Limits on time, on the queue and on the generator itself hold for each. Raises `ScenarioError` where the window
    holds fewer jobs than there are shards.
    """
    index, shards = plan.shard
    if shards == 1:
        return limits
    jobs, window = whole_jobs(limits.max_rate, limits.rate_limit_window)
    if jobs < shards:
        message = (
            f"max_rate allows {jobs} {'job' if jobs == 1 else 'jobs'} in each {format_duration(window)}, "
            f"which cannot be divided among {shards} shards"
        )
        help_ = "use fewer shards, or a longer rate_limit_window"
        raise ScenarioError([Diagnostic("limit-too-small", message, help=help_, path=("guardrails", "max_rate"))])
    own = jobs // shards + (index < jobs % shards)
    total = _total(limits.max_total_jobs, plan)
    return replace(limits, max_rate=own / window, rate_limit_window=window, max_total_jobs=total)


def remarks(limits: Guardrails, plan: Plan) -> Iterator[str]:
    """What a person should know of the division: that a remainder slows the smaller shards where the run is at its
    limit."""
    index, shards = plan.shard
    jobs, window = whole_jobs(limits.max_rate, limits.rate_limit_window)
    own = jobs // shards + (index < jobs % shards)
    asked = min(plan.peak_rate, limits.max_rate) / shards
    if shards > 1 and asked > own / window * (1 + 1e-9):
        yield (
            f"max_rate does not divide by {shards}: this shard may send {format_rate(own / window)}, "
            f"less than the {format_rate(asked)} asked of it at the peak"
        )


def _total(most: int, plan: Plan) -> int:
    _, shards = plan.shard
    if most >= plan.planned_total:
        return plan.planned + (most - plan.planned_total) // shards
    shed = int(plan.shedding.shed_before(np.array([plan.cut_seq], dtype=np.int64))[0])
    return _kept(plan) + max(0, most - (plan.cut_seq - shed)) // shards


def _kept(plan: Plan) -> int:
    """How many of the shard's arrivals before ``cut_seq`` the rate limit keeps."""
    index, shards = plan.shard
    own = int(share(np.array([plan.cut_seq]), plan.shard)[0])
    if isinstance(plan.shedding, NothingShed):
        return own
    kept = 0
    for first in range(0, own, _BLOCK):
        k = np.arange(first, min(first + _BLOCK, own), dtype=np.int64) * shards + index
        kept += int(np.count_nonzero(plan.shedding.kept(k, plan.arrivals.due(k))))
    return kept
