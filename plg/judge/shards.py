"""The outcomes of the shards of one run, judged as the one run they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from plg.judge.expectations import judge
from plg.judge.outcome import deviation_of, far_results, percentiles, phase_results
from plg.judge.remains import queue_result
from plg.judge.saved_lines import read_lines, refusal
from plg.judge.scaling import scale_up
from plg.judge.series import series
from plg.judge.verdict import decide
from plg.judge.windows import lasted
from plg.judge.wording import counted
from plg.measures import MEASURES
from plg.outcome import PERCENTILES, Ledger, Outcome, Percentiles, ShardInfo, ShardResult, WorkersResult
from plg.runner.merge import CannotMerge, merge
from plg.runner.recording import Recording
from plg.scenario import Expectation
from plg.units import format_duration

MAX_SKEW = 0.05
"""Shards that started further apart (s) did not follow one schedule: their arrivals were held up by as much."""


_JUDGED_LATER = "; plg merge judges the run"


def as_shard(outcome: Outcome, shard: ShardInfo) -> Outcome:
    """The outcome of one generator of several. What the scenario expects is expected of the whole, not of it."""
    # The queue holds the jobs of all shards: whether any was taken, the whole run tells.
    outcome = replace(
        outcome, queue=queue_result(replace(outcome.recording, incomplete="a shard"), outcome.queue.failed)
    )
    if outcome.verdict != "pass":
        return replace(outcome, shard=shard)
    ledger = outcome.ledger
    reason = f"{title(shard)} sent {ledger.sent:,} of its {counted(ledger.planned, 'planned job')}{_JUDGED_LATER}"
    return replace(outcome, shard=shard, reason=reason)


def title(shard: ShardInfo) -> str:
    """``shard 2 of 4``, ``shards 1, 2 and 4 of 4``."""
    numbers = [str(part) for part in shard.parts]
    listed = f"{', '.join(numbers[:-1])} and {numbers[-1]}" if len(numbers) > 1 else numbers[0]
    return f"shard{'s' if len(numbers) > 1 else ''} {listed} of {shard.of}"


def judged_alone(expectation: Expectation) -> bool:
    """Whether a breach seen by one shard is a breach of the whole run, so that ``or stop`` may end the shard.

    Times, gauges, shares and figures compared with one another are alike in a shard. Counts and throughput are only
    its part, which tells of the whole when it is too large already, never when it is too small.
    """
    measure = MEASURES[expectation.subject.measure]
    additive = measure.kind == "count" or measure.name == "throughput"
    if not additive or expectation.relative is not None:
        return True
    return expectation.op in ("<", "<=") or (expectation.op == "==" and expectation.bound == 0)


def merge_outcomes(
    outcomes: Sequence[Outcome],
    files: Sequence[str],
    *,
    partial: bool = False,
    lost: Mapping[int, str] = MappingProxyType({}),
    clocks: Mapping[int, float] = MappingProxyType({}),
) -> Outcome:
    """One outcome of all shards; ``files`` names where each came from.

    ``lost`` says by their numbers what became of shards that left no outcome, ``clocks`` how far (s) the clock of each
    was ahead of the one that their start was told by.

    Raises `ScenarioError` where they are not the shards of one run, each once, or (unless ``partial``) not all of
    them. What is not all of a run is never judged: its verdict is ``invalid``.
    """
    shards = _shards(outcomes, files)
    present = sorted(shard.parts[0] for shard in shards)
    missing = [part for part in range(1, shards[0].of + 1) if part not in present]
    if missing and not partial:
        told = title(ShardInfo("", shards[0].of, tuple(missing)))
        help_ = "name their outcomes too, or look at what there is with --partial"
        raise refusal("missing-shard", f"{told} {'is' if len(missing) == 1 else 'are'} missing", files[0], help_)
    ordered = [outcome for _, outcome in sorted(zip(shards, outcomes, strict=True), key=lambda pair: pair[0].parts)]
    try:
        recording = merge(list(map(_signed, ordered)), shards[0].of, shards[0].limits)
    except CannotMerge as fault:
        raise refusal("different-run", str(fault), files[0]) from None
    starts = _starts(ordered, clocks)
    incomplete = _lost(lost, shards[0].of) or _incomplete(shards[0].of, missing, starts)
    recording = replace(recording, incomplete=incomplete)
    if recording.stop == "signal":
        recording = replace(recording, stop_by=_stopped_shards(ordered, recording))
    whole = replace(shards[0], parts=tuple(present), begun_s=None)
    places = {shard.parts[0]: file for shard, file in zip(shards, files, strict=True)}
    results = [_result(outcome, places, starts, clocks) for outcome in ordered]
    results += [ShardResult(part, "", "lost", reason) for part, reason in lost.items()]
    judged = _judged(ordered, recording, whole)
    return replace(judged, shards=tuple(sorted(results, key=lambda result: result.part)))


def _result(
    outcome: Outcome, places: Mapping[int, str], starts: Mapping[int, float], clocks: Mapping[int, float]
) -> ShardResult:
    assert outcome.shard is not None, "whole runs were refused"
    [part] = outcome.shard.parts
    skew = round(starts[part] - min(starts.values()), 6) if part in starts else None
    clock, ledger = clocks.get(part), outcome.ledger
    reason = outcome.reason.removesuffix(_JUDGED_LATER)
    return ShardResult(
        part, places[part], outcome.verdict, reason, skew, clock, ledger.planned, ledger.acked,
        outcome.deviation,
    )  # fmt: skip


def _lost(lost: Mapping[int, str], of: int) -> str:
    return "; ".join(f"shard {part} of {of} {reason}" for part, reason in sorted(lost.items()))


def _signed(outcome: Outcome) -> Recording:
    """The recording of a shard; the reason for its stop bears the shard's name where it found it itself."""
    recording = outcome.recording
    if outcome.shard is None or recording.stop_by or recording.stop not in ("target", "guardrail", "expectation"):
        return recording
    return replace(recording, stop_by=title(outcome.shard))


def _shards(outcomes: Sequence[Outcome], files: Sequence[str]) -> list[ShardInfo]:
    """Their places in the run. Raises `ScenarioError` for those that do not belong together."""
    shards: list[ShardInfo] = []
    seen: dict[int, str] = {}
    for outcome, file in zip(outcomes, files, strict=True):
        shard = outcome.shard
        if shard is None:
            help_ = "a shard is made by plg check --shard I/N"
            raise refusal("not-a-shard", "this outcome is of a whole run", file, help_)
        if len(shard.parts) > 1 or outcome.recording.incomplete:
            raise refusal("not-a-shard", "this outcome is merged already", file, "name the outcomes of the shards")
        [part] = shard.parts
        if part in seen:
            raise refusal("same-shard", f"{title(shard)} is in {seen[part]} already: it must not count twice", file)
        if not _adds_up(outcome.plan):
            raise refusal("broken-outcome", "the plan in this outcome is damaged", file)
        seen[part] = file
        shards.append(shard)
        _compare(outcomes[0], outcome, files[0], file)
    return shards


def _adds_up(plan: Mapping[str, Any]) -> bool:
    """Whether all is there that `merge_plans` adds."""
    return {"planned", "sent_estimate", "phases"} <= plan.keys() and all("planned" in row for row in plan["phases"])


def _phase_names(outcome: Outcome) -> list[str]:
    return [str(row.get("name")) for row in outcome.plan["phases"]]


def _compare(first: Outcome, other: Outcome, first_file: str, file: str) -> None:
    def shard(pick: Callable[[ShardInfo], Any]) -> Callable[[Outcome], Any]:
        return lambda outcome: pick(outcome.shard) if outcome.shard else None

    for what, value in (
        ("scenario", lambda outcome: outcome.scenario_hash[:12]),
        ("number of shards", shard(lambda s: s.of)),
        ("run id", shard(lambda s: s.group)),
        ("set of guardrails", shard(lambda s: dict(s.limits))),
        ("seed", lambda outcome: outcome.seed),
        ("list of phases", _phase_names),
    ):
        if value(first) != value(other):
            message = f"its {what} is {value(other)}, that of {first_file} is {value(first)}: not shards of one run"
            raise refusal("different-run", message, file)


def _incomplete(of: int, missing: Sequence[int], starts: Mapping[int, float]) -> str:
    if missing:
        return f"{title(ShardInfo('', of, tuple(missing)))} {'is' if len(missing) == 1 else 'are'} missing"
    skew = round(max(starts.values()) - min(starts.values()), 3) if starts else 0.0
    if skew > MAX_SKEW:
        last = f"shard {max(starts, key=starts.__getitem__)} last"
        most = format_duration(MAX_SKEW)
        return f"the shards started {format_duration(skew)} apart ({last}), more than {most}: give all one --start-at"
    return ""


def _stopped_shards(outcomes: Sequence[Outcome], recording: Recording) -> str:
    """The shards that ended as the whole is said to have, where not all did."""
    cause = recording.stop, recording.stop_detail
    found = [o.shard for o in outcomes if o.shard and (o.recording.stop, o.recording.stop_detail) == cause]
    if not found or len(found) == found[0].of:
        return ""
    return title(ShardInfo("", found[0].of, tuple(part for shard in found for part in shard.parts)))


def _starts(outcomes: Sequence[Outcome], clocks: Mapping[int, float]) -> dict[int, float]:
    """When each shard that started did, by its number: in seconds since the Unix epoch, by one clock."""
    starts = {}
    for outcome in [o for o in outcomes if o.recording.ended_s > 0] or outcomes:
        assert outcome.shard is not None, "whole runs were refused"
        [part] = outcome.shard.parts
        begun = datetime.fromisoformat(outcome.started_at).timestamp() + (outcome.shard.begun_s or 0.0)
        starts[part] = begun - clocks.get(part, 0.0)
    return starts


def _judged(outcomes: Sequence[Outcome], recording: Recording, shard: ShardInfo) -> Outcome:
    first = outcomes[0]
    expectations = _expectations(first, recording, shard)
    results = judge(expectations, recording)
    # All shards look at one queue: who looked last saw most.
    failed = max((o.queue.failed for o in outcomes if o.queue.failed is not None), default=None)
    decision = decide(results, recording, own_workers=any(o.workers for o in outcomes), failed_in_worker=failed or 0)
    ledger = Ledger.of(recording)
    plan = merge_plans([outcome.plan for outcome in outcomes])
    times = {name: percentiles(recording.histograms[name].over(recording.whole())) for name in recording.histograms}
    return replace(
        first, verdict=decision.verdict, exit_code=decision.exit_code, reason=decision.reason,
        started_at=min(outcome.started_at for outcome in outcomes), duration_s=lasted(recording), plan=plan,
        ledger=ledger, deviation=deviation_of(ledger.planned, ledger.acked), phases=phase_results(plan, recording),
        lag_s=times["lag"], service_time_s=times["service_time"], latency_s=times["latency"],
        expectations=results, guardrail_hits=recording.hits, warnings=_warnings(outcomes), series=series(recording),
        recording=recording, queue=queue_result(recording, failed),
        scale_up=scale_up(recording),
        **far_results(recording),
        workers=merge_workers([o.workers for o in outcomes]), errors=recording.errors, stalls=recording.stalls,
        shard=shard,
    )  # fmt: skip


def _expectations(outcome: Outcome, recording: Recording, shard: ShardInfo) -> list[Expectation]:
    texts = outcome.scenario.get("expect") or []
    numbers = shard.lines if len(shard.lines) == len(texts) else (None,) * len(texts)
    lines = [(text, outcome.scenario_file, number) for text, number in zip(texts, numbers, strict=True)]
    return read_lines(lines, list(recording.spans), outcome.scenario_file or "<outcome>")


def _warnings(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """The remarks of all shards, each once, and what befell each that did not end well."""
    remarks = dict.fromkeys(text for outcome in outcomes for text in outcome.warnings)
    fates = [
        f"{title(outcome.shard)}: {outcome.reason}" for outcome in outcomes if outcome.exit_code != 0 and outcome.shard
    ]
    return (*remarks, *fates)


def merge_plans(plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The plan of the parts together: counts add up, everything else they have in common."""
    phases = [
        {**rows[0], "planned": sum(int(row["planned"]) for row in rows)}
        for rows in zip(*(plan["phases"] for plan in plans), strict=True)
    ]
    counts = {name: sum(int(plan[name]) for plan in plans) for name in ("planned", "sent_estimate")}
    return {**plans[0], **counts, "phases": phases, "shard": [0, 1]}


def merge_workers(parts: Sequence[WorkersResult | None]) -> WorkersResult | None:
    """All reference consumers together.

    Of each percentile of their waiting time the largest of any shard stands: an upper bound, for percentiles do not
    add up. The mean is exact.
    """
    there = [part for part in parts if part is not None]
    if not there:
        return None
    jobs = sum(part.processed for part in there)
    wait: Percentiles = {
        name: max((w for part in there if (w := part.wait_s[name]) is not None), default=None) for name in PERCENTILES
    }
    if jobs:
        wait = {**wait, "mean": sum((part.wait_s["mean"] or 0.0) * part.processed for part in there) / jobs}
    return WorkersResult(sum(part.count for part in there), there[0].each_s, jobs, wait, _all_foreign(there))


def _all_foreign(parts: Sequence[WorkersResult]) -> int | None:
    counts = [part.foreign for part in parts if part.foreign is not None]
    return sum(counts) if len(counts) == len(parts) else None
