"""Random arrivals: one seed is one run, and the statistics are those of a Poisson process."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.plan_scenarios import everything, plan, scenario

from plg.diagnostics import ScenarioError
from plg.plan import make_plan

LONG = {"type": "steady", "base_rate": 2000, "duration": 50}


def kolmogorov(sample: np.ndarray) -> float:  # type: ignore[type-arg]  # any floats in [0, 1]
    """Largest distance of a sample's distribution from the uniform one, times √n."""
    n = len(sample)
    ordered = np.sort(sample)
    steps = np.arange(n + 1) / n
    return float(max(np.abs(ordered - steps[:-1]).max(), np.abs(steps[1:] - ordered).max()) * math.sqrt(n))


def test_one_seed_is_one_run() -> None:
    first, second = plan(poisson=True, seed=42), plan(poisson=True, seed=42)
    assert everything(first).due.tolist() == everything(second).due.tolist()
    assert plan(poisson=True, seed=43).planned != first.planned
    assert everything(first, 13).due.tolist() == everything(first).due.tolist()


def test_the_number_is_known_beforehand() -> None:
    for seed in range(20):
        made = plan(poisson=True, seed=seed)
        assert made.planned == len(everything(made).due)
        assert abs(made.planned - 2279) < 4 * math.sqrt(2279)


def test_a_run_without_a_seed_records_the_one_it_drew() -> None:
    first, second = plan(poisson=True), plan(poisson=True)
    assert first.seed != second.seed
    again = make_plan(scenario(poisson=True), seed=first.seed)
    assert everything(again).due.tolist() == everything(first).due.tolist()
    assert again.to_document()["seed"] == first.seed


def test_a_given_seed_goes_before_the_scenarios_own() -> None:
    made = make_plan(scenario(poisson=True, seed=1), seed=7)
    assert everything(made).due.tolist() == everything(plan(poisson=True, seed=7)).due.tolist()


def test_gaps_on_the_curve_are_exponential_and_counts_vary_as_they_should() -> None:
    made = plan(LONG, poisson=True, seed=5)
    due = everything(made).due
    gaps = np.diff(np.concatenate([[0.0], made.pattern.count(due)]))
    assert kolmogorov(1 - np.exp(-gaps)) < 1.63
    counts = made.planned_in(np.arange(0, 50.05, 0.1))
    assert counts.mean() == pytest.approx(200, rel=0.02)
    assert counts.var() == pytest.approx(200, rel=0.15)
    lagged = np.corrcoef(gaps[:-1], gaps[1:])[0, 1]
    assert abs(lagged) < 3 / math.sqrt(len(gaps))


def test_due_times_follow_the_shape_of_the_curve() -> None:
    made = plan({"type": "ramp", "start_rate": 0, "end_rate": 4000, "duration": 10}, poisson=True, seed=8)
    assert kolmogorov(made.pattern.count(everything(made).due) / made.pattern.count(np.asarray(10.0))) < 1.63


def test_windows_hold_what_the_due_times_say() -> None:
    made = plan(poisson=True, seed=9)
    due = everything(made).due
    edges = np.linspace(0, 16.5, 100)
    assert made.planned_in(edges).tolist() == np.diff(np.searchsorted(due, edges, side="left")).tolist()


def test_an_empty_curve_has_no_random_arrival() -> None:
    made = plan({"type": "steady", "base_rate": 0, "duration": 5}, poisson=True, seed=1)
    assert made.planned == 0
    assert made.planned_in(np.array([0.0, 5.0])).tolist() == [0]


def test_more_than_can_be_drawn_is_refused_in_words() -> None:
    with pytest.raises(ScenarioError, match="drawn one by one") as caught:
        plan({"type": "steady", "base_rate": 1e9, "duration": 60}, poisson=True, seed=1)
    assert caught.value.diagnostics[0].code == "too-many-arrivals"


def test_what_is_shed_leaves_a_poisson_process_of_the_clipped_curve() -> None:
    rise = {"type": "ramp", "start_rate": 0, "end_rate": 4000, "duration": 50}
    made = plan(rise, poisson=True, seed=3, max_rate=1000)
    all_of_them = everything(made)
    inside = made.pattern.rate(all_of_them.due) > 1000
    assert all_of_them.kept[~inside].all()
    kept = all_of_them.due[all_of_them.kept]
    allowed = made.allowed.count(kept)
    assert kolmogorov(1 - np.exp(-np.diff(allowed))) < 1.63
    assert len(kept) == made.sent_estimate
    assert sum(clip.shed for clip in made.clips) == int((~all_of_them.kept).sum())
