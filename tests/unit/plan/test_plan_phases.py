"""Phases as planned, and the plan as a document."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.plan_scenarios import SALE, everything, plan, scenario

from plg.diagnostics import ScenarioError
from plg.plan import make_plan
from plg.scenario import Expectation, Subject

TICK = {"name": "tick", "type": "steady", "base_rate": 3, "duration": 1}
TOCK = {"type": "steady", "base_rate": 1, "duration": 1}


def test_the_document_of_the_sale() -> None:
    made = plan(max_rate=500.0)
    document = json.loads(json.dumps(made.to_document()))
    assert document["scenario"] == "sale"
    assert (document["duration_s"], document["planned"], document["sent_estimate"]) == (16, 2279, 2279)
    assert (document["peak_rate"], document["seed"], document["clips"]) == (400, 0, [])
    assert [warning["code"] for warning in document["warnings"]] == ["nothing-promised"]
    assert document["phases"] == [
        {"name": "doors", "start_s": 0, "duration_s": 4, "planned": 254, "peak_rate": 200, "times": 1},
        {"name": "crowd", "start_s": 4, "duration_s": 6, "planned": 1200, "peak_rate": 280, "times": 1},
        {"name": "stampede", "start_s": 10, "duration_s": 6, "planned": 825, "peak_rate": 400, "times": 1},
    ]


def test_clips_and_warnings_in_the_document() -> None:
    expectation = Expectation("p99.9(latency) < 1s", Subject("latency", "p99.9"), "<", 1.0, line=7, file="sale.plg")
    document = plan(max_rate=350.0, expect=(expectation,)).to_document()
    assert document["clips"][0] == {"guardrail": "max_rate", "start_s": 10.0, "end_s": 10.5, "shed": 25}
    assert [(warning["code"], warning["line"]) for warning in document["warnings"]] == [
        ("too-few-samples", 7),
        ("queue-not-judged", 7),
        ("guardrail-bound-to-hit", None),
    ]


@pytest.mark.parametrize("poisson", [False, True])
def test_a_phase_counts_the_arrivals_of_all_its_times(poisson: bool) -> None:
    made = plan({"type": "custom", "repeat": 4, "phases": [SALE, TICK, TOCK]}, poisson=poisson, seed=2)
    due = everything(made).due
    for phase in made.phases:
        inside = sum(int(((due >= start) & (due < end)).sum()) for start, end in phase.spans)
        assert phase.planned == inside
        assert len(phase.spans) == 4
    outermost = [phase for phase in made.phases if phase.name in ("phase-1", "tick", "phase-2")]
    assert sum(phase.planned for phase in outermost) == made.planned


def test_each_arrival_is_told_its_innermost_phase() -> None:
    layers = {"type": "overlay", "name": "both", "layers": [
        {"type": "steady", "base_rate": 1, "duration": 3}, {**TICK, "name": "inner"}]}  # fmt: skip
    made = plan({"type": "custom", "phases": [TOCK, {**SALE, "name": "sale"}, layers]})
    t = np.array([0.5, 1.0, 5.0, 11.2, 17.5, 18.5, 20.0, -1.0])
    assert made.phase_names(t) == ["phase-1", "doors", "crowd", "stampede", "inner", "both", "", ""]
    assert made.phase_names(np.empty(0)) == []


def test_a_phase_that_stands_too_often_is_listed_but_cannot_be_judged_apart() -> None:
    often = {"type": "custom", "repeat": 20_000, "phases": [TICK, TOCK]}
    made = plan(often)
    assert [(phase.name, phase.planned, phase.span.times) for phase in made.phases] == [
        ("tick", 60_000, 20_000),
        ("phase-1", 20_000, 20_000),
    ]
    assert len(made.phases[0].spans) == 10_000
    asked = Expectation("p99(latency) < 1s during tick", Subject("latency", "p99", "tick"), "<", 1.0, file="x.plg")
    with pytest.raises(ScenarioError, match="stands 20,000 times") as caught:
        make_plan(scenario(often, expect=(asked,)))
    fault = caught.value.diagnostics[0]
    assert (fault.code, fault.path, fault.file) == ("too-many-spans", ("expect", 0), "x.plg")


def test_a_plan_of_ten_thousand_phases_is_linear_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from plg.patterns.sine import Sine

    asked: list[int] = []
    plain = Sine.count
    monkeypatch.setattr(Sine, "count", lambda self, t: asked.append(np.size(t)) or plain(self, t))
    calls = []
    for size in (1000, 2000):
        asked.clear()
        phases = [
            {"name": f"a{i}", "type": "sine", "base_rate": 10, "amplitude": 5, "period": 0.3, "duration": 1}
            if i % 2
            else {"name": f"a{i}", "type": "ramp", "start_rate": 5, "end_rate": 15, "duration": 1}
            for i in range(size)
        ]
        made = plan({"type": "custom", "phases": phases})
        assert len(made.phases) == size
        calls.append((len(asked), sum(asked)))
    assert calls[0][0] <= 600
    assert calls[1][0] <= 2 * calls[0][0] + 10
    assert calls[1][1] <= 2 * calls[0][1] + 10
