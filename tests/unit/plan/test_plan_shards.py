"""Shards: n of them started together are exactly one run."""

from __future__ import annotations

import numpy as np
import pytest
from support.plan_scenarios import everything, plan, scenario

from plg.diagnostics import ScenarioError
from plg.plan import make_plan


@pytest.mark.parametrize("poisson", [False, True])
@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards_partition_the_run(shards: int, poisson: bool) -> None:
    more = {"poisson": poisson, "seed": 11, "max_rate": 250.0}
    whole = everything(plan(**more))
    plans = [plan(shard=(i, shards), **more) for i in range(shards)]
    parts = [everything(made, 97) for made in plans]
    order = np.argsort(np.concatenate([part.seq for part in parts]))
    for name in ("seq", "due", "kind", "kept"):
        assert np.concatenate([getattr(part, name) for part in parts])[order].tolist() == getattr(whole, name).tolist()
    for i, (made, part) in enumerate(zip(plans, parts, strict=True)):
        assert np.all(part.seq % shards == i)
        assert len(part) == made.planned
        assert made.planned_total == len(whole)
        assert made.sent_estimate == pytest.approx(int(part.kept.sum()), abs=60)
    edges = np.linspace(0, 16, 33)
    assert sum(made.planned_in(edges) for made in plans).tolist() == plan(**more).planned_in(edges).tolist()
    t = np.linspace(0, 15.9, 50)
    assert sum(made.target_rate(t) for made in plans) == pytest.approx(plan(**more).target_rate(t))
    assert sum(made.allowed_count(t) for made in plans) == pytest.approx(plan(**more).allowed_count(t))
    for row, phases in enumerate(zip(*(made.phases for made in plans), strict=True)):
        assert sum(phase.planned for phase in phases) == plan(**more).phases[row].planned


def test_a_shard_without_any_arrival() -> None:
    made = plan({"type": "steady", "base_rate": 1, "duration": 2}, shard=(5, 7))
    assert made.planned == made.sent_estimate == 0
    assert list(made.chunks()) == []


def test_shards_of_a_random_run_must_be_given_a_seed() -> None:
    with pytest.raises(ScenarioError, match="need one seed") as caught:
        plan(poisson=True, shard=(0, 2))
    assert caught.value.diagnostics[0].code == "shards-need-seed"
    assert make_plan(scenario(poisson=True), seed=3, shard=(0, 2)).seed == 3


def test_a_shard_that_does_not_exist() -> None:
    for shard in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="does not exist"):
            plan(shard=shard)
