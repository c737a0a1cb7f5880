"""What guardrails will clip: evenly, exactly, and told beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pattern_documents import anything
from support.plan_scenarios import everything, plan

from plg.plan import Plan


def whole_story(made: Plan) -> None:
    """What every plan must tell of itself, counted again from its arrivals."""
    all_of_them = everything(made)
    end = np.inf if made.stop_s is None else made.stop_s
    sent = all_of_them.kept & (all_of_them.due < end)
    if made.cut_seq < made.planned_total:
        sent &= all_of_them.seq < made.cut_seq
    assert int(sent.sum()) == made.sent_estimate
    assert made.planned == made.sent_estimate + sum(clip.shed for clip in made.clips)


@settings(max_examples=100, deadline=None)
@given(anything, st.sampled_from([0.3, 20.0, 123.4, 300.0]))
def test_the_kept_are_within_a_job_of_the_clipped_curve(pattern: dict[str, Any], cap: float) -> None:
    made = plan(pattern, max_rate=cap)
    all_of_them = everything(made)
    t = np.linspace(0, made.duration, 200)
    kept = np.searchsorted(all_of_them.due[all_of_them.kept], t, side="left")
    assert np.all(np.abs(kept - made.allowed.count(t)) <= 1 + 1e-6)
    whole_story(made)


@settings(max_examples=60, deadline=None)
@given(anything, st.sampled_from([20.0, 123.4]))
def test_nothing_is_shed_outside_an_excursion(pattern: dict[str, Any], cap: float) -> None:
    made = plan(pattern, max_rate=cap)
    all_of_them = everything(made)
    starts, ends = made.pattern.above(cap)
    shed = all_of_them.due[~all_of_them.kept]
    if not len(starts):
        assert not len(shed)
        return
    # The arrival that completes a job of excess may be the first one after its excursion.
    at = np.searchsorted(starts, shed + 1e-9, side="right") - 1
    assert np.all(at >= 0)
    after = np.searchsorted(all_of_them.due, ends[at] - 1e-9, side="left")
    next_one = all_of_them.due[np.minimum(after, len(all_of_them) - 1)]
    assert np.all(shed <= np.maximum(ends[at], next_one) + 1e-9)


def test_rounding_sheds_nothing_while_the_rate_is_low() -> None:
    for extra in np.linspace(0.0, 30.0, 31).tolist():
        made = plan({"type": "burst", "base_rate": 13.7 + extra, "burst_rate": 107.3 + extra, "burst_duration": 0.5,
                     "burst_interval": 4, "duration": 40}, max_rate=102.3 + extra)  # fmt: skip
        all_of_them = everything(made)
        shed = all_of_them.due[~all_of_them.kept]
        assert np.all(shed % 4 <= 0.5 + 1 / (13.7 + extra))
        assert len(shed) == 25
        assert [clip.shed for clip in made.clips] == [2, 3] * 5


def test_shedding_is_even() -> None:
    made = plan({"type": "steady", "base_rate": 400, "duration": 10}, max_rate=300.0)
    kept = everything(made).kept
    gaps = np.diff(np.flatnonzero(~kept))
    assert set(gaps.tolist()) == {4}
    assert kept.sum() == 3000
    assert made.clips[0].shed == 1000


def test_the_sale_under_a_tight_limit() -> None:
    made = plan(max_rate=250.0)
    bursts = [clip for clip in made.clips if clip.start_s >= 10]
    assert [(clip.guardrail, clip.start_s, clip.end_s, clip.shed) for clip in bursts] == [
        ("max_rate", 10, 10.5, 75), ("max_rate", 12, 12.5, 75), ("max_rate", 14, 14.5, 75),
    ]  # fmt: skip
    crests = [clip for clip in made.clips if clip.start_s < 10]
    assert [round((clip.start_s + clip.end_s) / 2, 9) for clip in crests] == [4.5, 6.5, 8.5]
    whole_story(made)
    assert made.allowed_rate(np.array([10.25, 11.0])).tolist() == [250, 50]
    assert made.target_rate(np.array([10.25, 11.0, 16.0, -1.0])).tolist() == [400, 50, 0, 0]
    assert made.target_count(np.array([16.0, 20.0])) == pytest.approx([2278.694, 2278.694], abs=1e-3)


def test_a_rate_at_the_limit_is_not_over_it() -> None:
    made = plan(max_rate=400.0)
    assert made.clips == ()
    assert made.sent_estimate == made.planned


@pytest.mark.parametrize("poisson", [False, True])
@pytest.mark.parametrize("most", [1, 254, 1000, 1500, 1900])
def test_max_total_jobs_bites_at_the_first_job_too_many(poisson: bool, most: int) -> None:
    made = plan(max_rate=250.0, max_jobs=most, poisson=poisson, seed=6)
    all_of_them = everything(made)
    refused = np.flatnonzero(all_of_them.kept)[most]
    assert made.cut_seq == refused
    assert made.clips[-1].guardrail == "max_total_jobs"
    assert made.clips[-1].start_s == made.stop_s == all_of_them.due[refused]
    assert made.sent_estimate == most
    whole_story(made)


def test_max_duration_ends_the_run() -> None:
    made = plan(max_duration=12.0)
    assert made.stop_s == 12
    assert made.clips[-1].guardrail == "max_duration"
    assert made.clips[-1].shed == int((everything(made).due >= 12).sum())
    whole_story(made)
    assert made.allowed_rate(np.array([11.9, 12.1])).tolist() == [50, 0]
    assert made.allowed_count(np.array([16.0]))[0] == made.pattern.count(np.array([12.0]))[0]


def test_only_the_first_limit_to_bite_is_told() -> None:
    made = plan(max_duration=12.0, max_jobs=100)
    assert [clip.guardrail for clip in made.clips] == ["max_total_jobs"]
    made = plan(max_duration=1.0, max_jobs=2000, max_rate=300.0)
    assert [clip.guardrail for clip in made.clips] == ["max_duration"]
    whole_story(made)


def test_countless_excursions_are_folded_into_the_last_row() -> None:
    made = plan({"type": "burst", "base_rate": 1, "burst_rate": 9, "burst_duration": 1, "burst_interval": 2,
                 "duration": 40_000}, max_rate=5.0)  # fmt: skip
    assert len(made.clips) == 10_000
    assert made.clips[-1].end_s == 39_999
    whole_story(made)
    endless = plan({"type": "custom", "repeat": 1_000_000, "phases": [
        {"type": "steady", "base_rate": 1, "duration": 1}, {"type": "steady", "base_rate": 9, "duration": 1},
        {"type": "steady", "base_rate": 1, "duration": 1}, {"type": "steady", "base_rate": 9, "duration": 1}]},
        max_rate=5.0)  # fmt: skip
    assert [(clip.start_s, clip.end_s) for clip in endless.clips] == [(0, 4_000_000)]
    assert endless.clips[0].shed == 8_000_000
