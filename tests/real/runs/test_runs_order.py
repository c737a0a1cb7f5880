"""An order travels as JSON and comes to the same run: with its files, its policy, and no more of the environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plg.diagnostics import ScenarioError
from plg.guardrails.policy import Policy
from plg.guardrails.policy_file import read_policy
from plg.prepare import Request, prepare
from plg.runs.order import Order, digest, faults_from, faults_to

TEXT = """
scenario "s" {
  param peak = env PEAK else 50/s
  target env REDIS_URL
  data users "users.csv"
  job j { queue "q" payload { who: "${users.name}" } }
  traffic { a: steady peak over 1s then b: replay "curve.csv" }
  guardrails { max_rate 500/s max_total_jobs 10_000 max_duration 1m }
  expect { errors == 0 }
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "users.csv").write_text("name\nann\nbob\n")
    (tmp_path / "curve.csv").write_text("seconds,rate\n0,10\n2,30\n")
    (tmp_path / "s.plg").write_text(TEXT)
    return tmp_path / "s.plg"


def test_an_order_comes_to_the_same_run(file: Path) -> None:
    environ = {"REDIS_URL": "redis://h/0"}
    asked = Request({}, seed=7, shard=(1, 3), run_id="r", connections=2, wait=3.0, force=True, environ=environ)
    order = Order.of(file, asked, {"REDIS_URL": "redis://h/0", "SECRET": "x", "HOME": "/root"})
    assert order.environ == {"REDIS_URL": "redis://h/0"}, "no other variable leaves this process"
    again = Order.from_json(order.to_json())
    assert again == order
    here = prepare(file, asked)
    with again.prepared() as there:
        assert there.scenario == here.scenario
        assert (there.plan.seed, there.plan.shard, there.run_id, there.wait) == (7, (1, 3), "r", 3.0)
        assert there.force
        assert digest(there) == digest(here)


def test_an_order_brings_its_files_along(file: Path) -> None:
    order = Order.of(file, Request({}), {"REDIS_URL": "redis://h/0"}).packed()
    assert set(order.files) == {"users.csv", "curve.csv"}
    for name in ("users.csv", "curve.csv", "s.plg"):
        file.with_name(name).unlink()
    with Order.from_json(order.to_json()).prepared() as prepared:
        assert prepared.plan.planned_total == 90
        assert prepared.scenario.data["users"].column("name") == ["ann", "bob"]
        unpacked = prepared.loaded.source.folder
        assert unpacked != file.parent
    assert not unpacked.exists(), "what was unpacked is gone with the run"


def test_the_orderers_policy_holds_where_it_is_run(file: Path) -> None:
    rules = file.with_name("plg-policy.yaml")
    rules.write_text("ceilings: {max_rate: 20/s}\n")
    order = Order.of(file, Request({}, policy=Policy((read_policy(rules),))), {"REDIS_URL": "redis://h/0"})
    rules.unlink()
    with Order.from_json(order.to_json()).prepared() as prepared:
        assert prepared.scenario.guardrails.max_rate == 20


def test_another_version_or_another_plan_is_refused(file: Path) -> None:
    order = Order.of(file, Request({}), {"REDIS_URL": "redis://h/0"})
    with pytest.raises(ScenarioError, match=r"this worker has plg .*, the run was ordered by plg 0\.0\.1"):
        Order.from_json(json.dumps({**json.loads(order.to_json()), "version": "0.0.1"}))
    wrong = Order.from_json(json.dumps({**json.loads(order.to_json()), "digest": "0123"}))
    with pytest.raises(ScenarioError, match="not the one that was ordered"), wrong.prepared():
        pass


def test_faults_travel_with_their_places(file: Path) -> None:
    file.write_text(TEXT.replace("errors == 0", "erors == 0  p99(latncy) < 5ms"))
    with pytest.raises(ScenarioError) as refused, Order.of(file, Request({}), {}).prepared():
        pass
    again = faults_from(json.loads(json.dumps(faults_to(refused.value))))
    assert again.diagnostics == refused.value.diagnostics
    assert len(again.diagnostics) >= 3
    assert again.sources == refused.value.sources
