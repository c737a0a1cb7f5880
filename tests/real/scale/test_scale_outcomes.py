"""Outcomes of shards: what belongs together is judged as one, what does not is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import acked, expect, outcome_of, random_events, record, steady

from plg.diagnostics import ScenarioError
from plg.judge import rejudge
from plg.judge.shards import as_shard, judged_alone, merge_outcomes, merge_workers, title
from plg.measures import GAUGES
from plg.outcome import Outcome, ShardInfo, WorkersResult
from plg.outcome_io import from_json, to_json

LIMITS = {"max_rate": 500.0, "max_total_jobs": 20_000.0}
TEXTS = ("errors == 0", "acked >= 200", "throughput > 15/s in every 1s", "p90(latency) < 250ms during crowd")
DOCUMENT = {"name": "made-up", "expect": list(TEXTS)}
PLAN = {
    "planned": 50, "sent_estimate": 50, "shard": [0, 4], "peak_rate": 20.0,
    "phases": [{"name": "doors", "start_s": 0.0, "duration_s": 4.0, "planned": 20, "peak_rate": 20.0}],
}  # fmt: skip


def outcomes(events: Sequence, shards: int = 4, **more) -> list[Outcome]:
    """The run divided among shards: the events k with ``k mod n == i`` each."""
    made = [outcome_of(record(events[i::shards], **more), document=DOCUMENT, plan_document=PLAN) for i in range(shards)]
    infos = [ShardInfo("0123456789ab", shards, (i + 1,), LIMITS, (11, 12, 13, 14)) for i in range(shards)]
    return [as_shard(outcome, info) for outcome, info in zip(made, infos, strict=True)]


def merge(parts: Sequence[Outcome], **more) -> Outcome:
    return merge_outcomes(parts, [f"{i}.json" for i in range(len(parts))], **more)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(8, 300), st.integers(1, 6), st.randoms())
def test_shards_are_judged_as_the_run_of_one_generator(seed: int, jobs: int, shards: int, order) -> None:
    events = random_events(seed, jobs)
    parts = outcomes(events, shards)
    order.shuffle(parts)
    whole = merge([from_json(to_json(part)) for part in parts])
    alone = outcome_of(record(events), document=DOCUMENT)
    judged = rejudge(alone, [replace(e, file="made-up.plg") for e in read(TEXTS)])
    for name in ("ledger", "deviation", "duration_s", "verdict", "exit_code", "reason"):
        assert getattr(whole, name) == getattr(judged, name), name
    for name in ("lag_s", "latency_s", "service_time_s"):
        assert {k: v for k, v in getattr(whole, name).items() if k != "mean"} == {
            k: v for k, v in getattr(judged, name).items() if k != "mean"
        }
    assert [(r.text, r.verdict, r.observed) for r in whole.expectations] == [
        (r.text, r.verdict, r.observed) for r in judged.expectations
    ]
    assert [r.line for r in whole.expectations] == [11, 12, 13, 14]
    assert whole.shard is not None
    assert whole.shard.parts == tuple(range(1, shards + 1))
    assert from_json(to_json(whole)).shard == whole.shard


def read(texts: Sequence[str]):
    from plg.language.expectation import read_expectation

    return [read_expectation(text, ["doors", "crowd", "stampede"])[0] for text in texts]


def test_a_shard_is_not_judged_by_what_is_expected_of_the_whole() -> None:
    parts = outcomes(steady(20))
    assert [part.exit_code for part in parts] == [0] * 4
    assert parts[1].reason == "shard 2 of 4 sent 50 of its 50 planned jobs; plg merge judges the run"
    assert parts[1].expectations == ()
    assert merge(parts).verdict == "pass"
    assert merge(parts).ledger.planned == 200


def test_the_plan_of_the_whole_is_the_sum_of_its_counts() -> None:
    plan = merge(outcomes(steady(20))).plan
    assert (plan["planned"], plan["sent_estimate"], plan["peak_rate"], plan["shard"]) == (200, 200, 20.0, [0, 1])
    assert plan["phases"][0]["planned"] == 80


def refused(parts: Sequence[Outcome], **more) -> tuple[str, str]:
    with pytest.raises(ScenarioError) as caught:
        merge(parts, **more)
    [fault] = caught.value.diagnostics
    return fault.code, fault.message


def test_no_shard_counts_twice() -> None:
    parts = outcomes(steady(20))
    assert refused([*parts, parts[2]]) == ("same-shard", "shard 3 of 4 is in 2.json already: it must not count twice")
    whole = merge(parts)
    assert refused([whole]) == ("not-a-shard", "this outcome is merged already")
    assert refused([whole, *parts])[0] == "not-a-shard"
    one = outcomes(steady(20), 1)
    assert merge(one).ledger.planned == 200


def test_a_missing_shard_is_refused_and_with_partial_makes_the_run_invalid() -> None:
    parts = outcomes(steady(20))
    assert refused(parts[:3]) == ("missing-shard", "shard 4 of 4 is missing")
    assert refused([parts[3], parts[0]]) == ("missing-shard", "shards 2 and 3 of 4 are missing")
    some = merge([parts[3], parts[0]], partial=True)
    assert (some.verdict, some.exit_code) == ("invalid", 5)
    assert some.reason == "not judged: shards 2 and 3 of 4 are missing"
    assert some.ledger.planned == 100
    again = rejudge(from_json(to_json(some)), read(["errors == 0"]))
    assert (again.verdict, again.reason) == (some.verdict, some.reason), "also when it is judged once more"
    assert refused([some, parts[1]], partial=True)[0] == "not-a-shard"


def test_an_outcome_of_a_whole_run_is_no_shard() -> None:
    assert refused([outcome_of(record(steady(20)))]) == ("not-a-shard", "this outcome is of a whole run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda o: replace(o, scenario_hash="f" * 64), "its scenario is ffffffffffff, that of 0.json is "),
        (lambda o: replace(o, seed=9), "its seed is 9, that of 0.json is None"),
        (
            lambda o: replace(o, shard=replace(o.shard, group="other")),
            "its run id is other, that of 0.json is 0123456789ab",
        ),
        (lambda o: replace(o, shard=replace(o.shard, of=5)), "its number of shards is 5, that of 0.json is 4"),
        (lambda o: replace(o, shard=replace(o.shard, limits={})), "its set of guardrails is {}, that of 0.json is "),
    ],
)
def test_shards_of_different_runs_are_refused(change, said: str) -> None:
    parts = outcomes(steady(20))
    code, message = refused([*parts[:2], change(parts[2]), parts[3]])
    assert code == "different-run"
    assert message.startswith(said)
    assert message.endswith("not shards of one run")


def test_shards_that_did_not_start_together_made_another_run() -> None:
    parts = outcomes(steady(20))
    close = replace(parts[2], started_at="2026-11-23T18:30:05.173Z")
    assert merge([*parts[:2], close, parts[3]]).verdict == "pass"
    apart = replace(parts[2], started_at="2026-11-23T18:30:05.623Z")
    whole = merge([*parts[:2], apart, parts[3]])
    assert (whole.verdict, whole.exit_code) == ("invalid", 5)
    assert "the shards started 500ms apart" in whole.reason
    assert whole.started_at == "2026-11-23T18:30:05.123Z"


def test_graver_ends_than_a_missing_shard_are_told_first() -> None:
    parts = outcomes(steady(20))
    stopped = outcomes(steady(20), stop="guardrail", stop_detail="max_cpu", ended_s=4.0)[0]
    assert stopped.exit_code == 4
    whole = merge([stopped, parts[1]], partial=True)
    assert (whole.verdict, whole.exit_code) == ("stopped", 4)
    assert any(text.startswith("shard 1 of 4: stopped by max_cpu") for text in whole.warnings)


def test_a_shard_that_was_held_up_makes_the_whole_invalid_only_by_its_share() -> None:
    events = steady(20)
    held = [replace(event, held=index % 4 == 0 and index < 4) for index, event in enumerate(events)]
    assert merge(outcomes(held)).verdict == "pass", "one of 200 is half a percent"
    many = [replace(event, held=index % 4 == 0 and index < 40) for index, event in enumerate(events)]
    parts = outcomes(many)
    assert parts[0].verdict == "invalid"
    assert merge(parts).verdict == "invalid"


@pytest.mark.parametrize(
    ("expectation", "alone"),
    [
        (expect("latency", "<", 0.1, "p99"), True),
        (expect("queue_depth", "<", 10.0), True),
        (expect("error_rate", "<=", 0.01), True),
        (expect("deviation", "<", 0.05, window=1.0), True),
        (expect("errors", "==", 0.0), True),
        (expect("errors", "<", 10.0), True),
        (expect("throughput", "<", 900.0), True),
        (expect("throughput", ">", 900.0), False),
        (expect("acked", "==", 100.0), False),
        (expect("acked", ">=", 100.0), False),
        (expect("errors", "!=", 0.0), False),
    ],
)
def test_what_may_stop_a_shard_by_itself(expectation, alone: bool) -> None:
    assert judged_alone(expectation) is alone


def test_consumers_of_all_shards_are_told_together() -> None:
    def workers(processed: int, mean: float, p99: float | None) -> WorkersResult:
        wait = {"p50": mean, "p90": mean, "p95": mean, "p99": p99, "p99.9": None, "max": 1.0, "mean": mean}
        return WorkersResult(2, 0.005, processed, wait)

    whole = merge_workers([workers(100, 0.1, 0.4), None, workers(300, 0.3, None)])
    assert whole is not None
    assert (whole.count, whole.processed, whole.each_s) == (4, 400, 0.005)
    assert whole.wait_s["mean"] == pytest.approx(0.25)
    assert (whole.wait_s["p50"], whole.wait_s["p99"], whole.wait_s["p99.9"]) == (0.3, 0.4, None)
    assert merge_workers([None, None]) is None


def test_titles() -> None:
    assert title(ShardInfo("g", 4, (2,))) == "shard 2 of 4"
    assert title(ShardInfo("g", 4, (1, 2, 4))) == "shards 1, 2 and 4 of 4"


@pytest.mark.parametrize("parts", [[], [0], [5], [1, 1], ["1"], [1.5]])
def test_a_saved_outcome_with_impossible_parts_is_refused(parts: list) -> None:
    import json

    saved = json.loads(to_json(outcomes([acked(1.0)])[0]))
    saved["shard"]["parts"] = parts
    with pytest.raises(ScenarioError):
        from_json(json.dumps(saved))


@pytest.mark.parametrize(
    "plan", [{}, {"planned": 1}, {"planned": 1, "sent_estimate": 1, "phases": [{"name": "doors"}]}]
)
def test_a_plan_that_somebody_changed_is_refused_in_words(plan: dict) -> None:
    parts = outcomes(steady(20))
    assert refused([replace(parts[0], plan=plan), *parts[1:]]) == (
        "broken-outcome",
        "the plan in this outcome is damaged",
    )


def test_shards_with_different_phases_are_refused() -> None:
    parts = outcomes(steady(20))
    other = {**parts[1].plan, "phases": [{**row, "name": "lunch"} for row in parts[1].plan["phases"]]}
    code, message = refused([parts[0], replace(parts[1], plan=other), *parts[2:]])
    assert code == "different-run"
    assert message.startswith("its list of phases is ['lunch'], that of 0.json is ")


def test_merged_samples_know_the_step_of_one_generator() -> None:
    parts = outcomes(steady(20))
    sampled = [
        replace(
            part,
            recording=replace(
                part.recording,
                sample_times=np.arange(50) / 10 + k / 1000,
                samples={name: np.ones(50) for name in GAUGES},
            ),
        )
        for k, part in enumerate(parts)
    ]
    for some in (sampled, [sampled[0], *parts[1:]]):
        whole = merge(some)
        assert whole.recording.sample_step == pytest.approx(0.1)
        assert from_json(to_json(whole)).recording.sample_step == whole.recording.sample_step
    saved = json.loads(to_json(whole))
    del saved["recording"]["sample_step"]
    assert from_json(json.dumps(saved)).recording.sample_step is None, "as in what an earlier plg has saved"
    saved["recording"]["sample_step"] = "soon"
    with pytest.raises(ScenarioError):
        from_json(json.dumps(saved))


def test_a_merged_run_says_which_shard_found_the_reason_for_its_stop() -> None:
    parts = outcomes(steady(40, 0, 5), 2)
    first = replace(parts[0].recording, stop="guardrail", stop_detail="max_cpu", stop_by="shard 2 of 2", ended_s=4.0)
    second = replace(parts[1].recording, stop="guardrail", stop_detail="max_cpu", ended_s=4.1)
    whole = merge([replace(parts[0], recording=first), replace(parts[1], recording=second)])
    assert whole.stop is not None
    assert (whole.stop.name, whole.stop.by, whole.stop.detail) == ("guardrail", "shard 2 of 2", "max_cpu")
    assert whole.reason.startswith("stopped by max_cpu at ")
    assert "(seen by shard 2 of 2)" in whole.reason


@pytest.mark.parametrize(
    ("struck", "said"), [((1,), " (shard 2 of 3)"), ((0, 2), " (shards 1 and 3 of 3)"), ((0, 1, 2), "")]
)
def test_an_interrupted_shard_is_named_with_the_moment_of_its_interruption(struck: tuple[int, ...], said: str) -> None:
    parts = outcomes(steady(40), 3)
    for i in struck:
        cut = replace(parts[i].recording, stop="signal", stop_detail="SIGINT", ended_s=4.5 + i / 10)
        parts[i] = replace(parts[i], recording=cut)
    whole = from_json(to_json(merge(parts)))
    first = 4.5 + struck[0] / 10
    assert (whole.exit_code, whole.reason) == (130, f"interrupted by SIGINT at {first:.1f}s in crowd{said}")
    assert whole.stop is not None
    assert whole.stop.at_s == first
