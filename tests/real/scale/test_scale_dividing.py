"""The limits of a whole run, divided: what the shards may do together is what the whole may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scale_runs import WAVES, planned, scenario, simulate, with_limits

from plg.diagnostics import ScenarioError
from plg.guardrails.dividing import divide, remarks
from plg.guardrails.limiter import whole_jobs
from plg.runner.grid import Grid


def kept(plan) -> np.ndarray:
    """Numbers of the arrivals that the rate limit keeps, before any limit on their sum."""
    return np.concatenate([chunk.seq[chunk.kept] for chunk in plan.chunks()] or [np.zeros(0, dtype=np.int64)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3000), st.booleans(), st.sampled_from([30.0, 150.0, 250.0, 400.0, 1000.0]))
def test_the_parts_of_a_total_are_what_the_whole_would_send(shards: int, most: int, poisson: bool, rate: float) -> None:
    of = scenario(limits=with_limits(max_total_jobs=most, max_rate=rate), poisson=poisson)
    whole = planned(of)
    sent = kept(whole)[:most]
    parts = [divide(of.guardrails, planned(of, (i, shards))) for i in range(shards)]
    assert sum(part.max_total_jobs for part in parts) <= most
    for i, part in enumerate(parts):
        own = int(np.count_nonzero(sent % shards == i))
        assert part.max_total_jobs >= own
        if len(kept(whole)) >= most:
            assert part.max_total_jobs == own, "not one job more where the whole is cut"
    spare = most - len(sent)
    assert sum(part.max_total_jobs for part in parts) > most - shards or spare == 0


@given(st.integers(1, 50), st.floats(0.5, 5000), st.sampled_from([0.1, 0.25, 1.0, 3.0]))
@settings(max_examples=60, deadline=None)
def test_the_parts_of_a_rate_add_up_to_the_jobs_of_a_window(shards: int, rate: float, window: float) -> None:
    limits = with_limits(max_rate=rate, rate_limit_window=window)
    jobs, width = whole_jobs(rate, window)
    of = scenario({"type": "steady", "base_rate": 1, "duration": 1}, limits)
    plans = [planned(of, (i, shards)) for i in range(shards)]
    if shards > 1 and jobs < shards:
        with pytest.raises(ScenarioError, match="cannot be divided"):
            divide(limits, plans[0])
        return
    parts = [divide(limits, plan) for plan in plans]
    capacities = [whole_jobs(part.max_rate, part.rate_limit_window)[0] for part in parts]
    assert shards == 1 or all(part.rate_limit_window == width for part in parts)
    assert sum(capacities) == jobs
    assert max(capacities) - min(capacities) <= 1
    told = [list(remarks(limits, plan)) for plan in plans]
    if jobs / shards >= window:  # each may send the one job a second that is asked of all
        assert not any(told)


def test_a_remainder_is_told_where_the_run_is_at_its_limit() -> None:
    of = scenario({"type": "steady", "base_rate": 50, "duration": 5}, with_limits(max_rate=10.0))
    told = [list(remarks(of.guardrails, planned(of, (i, 4)))) for i in range(4)]
    assert [len(some) for some in told] == [0, 0, 1, 1]
    assert told[3] == [
        "max_rate does not divide by 4: this shard may send 2/s, less than the 2.5/s asked of it at the peak"
    ]


def test_other_limits_hold_for_each() -> None:
    limits = with_limits(max_queue_depth=50, max_cpu=0.5, max_memory=1e9, max_queue_age=3.0)
    parts = divide(limits, planned(scenario(limits=limits), (1, 3)))
    for name in ("max_duration", "max_queue_depth", "max_cpu", "max_memory", "max_queue_age", "emergency_stop"):
        assert getattr(parts, name) == getattr(limits, name)


@pytest.mark.parametrize("shards", [2, 4, 5])
@pytest.mark.parametrize("most", [100_000, 900, 1])
@pytest.mark.parametrize("poisson", [False, True])
def test_shards_together_send_what_one_generator_sends(shards: int, most: int, poisson: bool) -> None:
    """From the servers' view: each job once, not one more than allowed in sum, nor in any window."""
    of = scenario(WAVES, with_limits(max_total_jobs=most), poisson)
    _, alone, _ = simulate(of)
    runs = [simulate(of, (i, shards)) for i in range(shards)]
    together = sorted(seq for _, seqs, _ in runs for seq in seqs)
    assert together == sorted(alone)
    times = np.sort(np.concatenate([times for _, _, times in runs]))
    busiest = int((np.searchsorted(times, times + 1.0, side="left") - np.arange(len(times))).max())
    assert busiest <= 400
    assert Grid.of(planned(of, (0, shards))).edges.tolist() == Grid.of(planned(of)).edges.tolist()
