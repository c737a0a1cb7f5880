"""The words all reports share, so that a breach reads the same in a terminal, in JUnit and in HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from plg.guardrails.guard import Hit
from plg.judge import bottleneck, scaling
from plg.judge.windows import phase_at
from plg.measures import FAR_TIMES, ON_LATENCY, ON_TAKEN
from plg.outcome import ExpectationResult, FarSide, Ledger, Outcome, ShardResult, Verdict
from plg.runner.recording import Recording, Stall
from plg.units import counted, format_duration, format_percent, format_rate, format_size

VERDICT_WORDS: Mapping[Verdict, str] = {
    "pass": "PASS",
    "fail": "FAIL",
    "invalid": "INVALID",
    "stopped": "STOPPED",
    "error": "ERROR",
    "interrupted": "INTERRUPTED",
}

NOTHING = "—"
"""Shown where there is no value."""

_GUARDRAIL_UNITS = {
    "max_rate": "jobs/s",
    "max_total_jobs": "jobs",
    "max_duration": "s",
    "max_memory": "bytes",
    "max_memory_mb": "bytes",
    "max_cpu": "fraction",
    "max_cpu_percent": "fraction",
    "max_queue_depth": "jobs",
    "max_queue_age": "s",
    "max_error_rate": "fraction",
}

_VERBS = {"clip": "clipped", "stop": "stopped the run", "warn": "warned", "observe": "was passed"}
_COUNTED = ("max_total_jobs", "max_duration")
_PLAIN_BOUND = re.compile(r"[-+]?\d[\w.]*(?:(?<=[eE])[-+]\d+)?[\w./%]*(?!\s*\*)(\s|$)")
"""A number, with its unit if it has one, that no measure is multiplied by."""


def quantity(value: float | None, unit: str) -> str:
    """``value`` in base ``unit`` (s, jobs, jobs/s, fraction, bytes) as people write it; a dash for None."""
    if value is None:
        return NOTHING
    if unit == "s":
        return format_duration(value)
    if unit == "jobs/s":
        return format_rate(value)
    if unit == "fraction":
        return format_percent(value)
    if unit == "bytes":
        return format_size(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def count(value: int) -> str:
    """A count with thousands separated."""
    return f"{value:,d}"


plural = counted
"""``1 job``, ``1,200 jobs``."""


def mark(result: ExpectationResult) -> str:
    """One sign a result: ✓ holds, ✗ fails, ? no data, ! a warning that does not hold."""
    if result.verdict == "pass":
        return "✓"
    if result.level == "warn":
        return "!"
    return "✗" if result.verdict == "fail" else "?"


def word(result: ExpectationResult) -> str:
    """The sign of `mark` as a word, for readers who see neither sign nor colour."""
    if result.verdict == "pass":
        return "PASS"
    plain = "FAIL" if result.verdict == "fail" else "NO DATA"
    return f"WARN ({plain.lower()})" if result.level == "warn" else plain


def condition(result: ExpectationResult) -> str:
    """What was asked, from the operator on and in the author's own units: ``< 5% in every 1s``.

    A bound that refers to another measure is followed by the figure it came to.
    """
    # Not the one that may stand in the name of a phase.
    found = re.match(rf'(?:"[^"]*"|[^"])*? {re.escape(result.op)} (.*)', result.text, re.DOTALL)
    asked = found[1].removesuffix(" or stop") if found else quantity(result.bound, result.unit)
    relative = found is not None and _PLAIN_BOUND.match(asked) is None and result.bound is not None
    return f"{result.op} {asked}" + (f" ({quantity(result.bound, result.unit)})" if relative else "")


def where(result: ExpectationResult) -> str:
    """``first breach at 12.4s in stampede``; empty when there was none."""
    if result.first_breach_s is None:
        return ""
    phase = f" in {result.first_breach_phase}" if result.first_breach_phase else ""
    return f"first breach at {format_duration(result.first_breach_s)}{phase}"


def breach(result: ExpectationResult) -> str:
    """The sentence about a result that did not hold.

    ``expected < 5%, observed 7.3%, first breach at 12.4s in stampede``
    """
    if result.recovery is not None and result.verdict == "fail":
        return f"expected {result.text.removeprefix('warn ')}, {result.detail}"
    if result.verdict == "no_data":
        return f"expected {condition(result)}, no data" + (f": {result.detail}" if result.detail else "")
    parts = [f"expected {condition(result)}", f"observed {quantity(result.observed, result.unit)}", where(result)]
    return ", ".join(part for part in parts if part)


def margin(result: ExpectationResult) -> float | None:
    """Distance to the bound as a fraction of it: positive to spare, negative beyond; None where that has no meaning."""
    if result.observed is None or not result.bound or result.op in ("==", "!="):
        return None
    distance = (result.bound - result.observed) / abs(result.bound)
    return distance if result.op in ("<", "<=") else -distance


def reasons(results: Sequence[ExpectationResult]) -> list[str]:
    """The detail of each result. Of lines without data that share a long one only the first has it; the others name
    that line."""
    first: dict[str, str] = {}
    told = []
    for result in results:
        said = first.setdefault(result.detail, result.text) if result.verdict == "no_data" else result.text
        told.append(result.detail if said == result.text else min(result.detail, f"as for {said}", key=len))
    return told


def margin_text(result: ExpectationResult) -> str:
    """The margin in words: ``38% to spare``, ``46% beyond``, ``70% short``; from twice the bound on ``12 x the limit``.

    A bound from below is ``the minimum``, and what stays under it is ``short``.
    """
    fraction = margin(result)
    if fraction is None or result.observed is None or not result.bound:
        return ""
    if fraction == 0:
        return "at the limit"
    times, upper = result.observed / result.bound, result.op in ("<", "<=")
    if result.bound > 0 and times >= 2:
        return f"{_times(times)} x the {'limit' if upper else 'minimum'}"
    if fraction > 0:
        return f"{_share(fraction)} to spare"
    return f"{_share(fraction)} {'beyond' if upper else 'short'}"


def _times(times: float) -> str:
    """``2.1``, ``12``, ``10,048``; beyond a million ``over a million``."""
    if times >= 1e6:
        return "over a million"
    return f"{float(f'{times:.2g}'):g}" if times < 10 else f"{times:,.0f}"


def _share(fraction: float) -> str:
    """A distance as a share of the bound; neither nothing nor all of it where it is just not that."""
    size = abs(fraction)
    if size < 0.001:
        return "under 0.1%"
    if 0.995 <= size < 1:
        return "over 99%"
    return f"{size:.0%}" if size >= 0.1 else f"{float(f'{size * 100:.2g}'):g}%"


def speaks_of_latency(results: Iterable[ExpectationResult]) -> bool:
    """Whether a line asks for the answer of Redis, which is easily taken for the work."""
    return any(re.search(r"\((latency|service_time)\)", result.text) for result in results)


def not_the_work(outcome: Outcome) -> str:
    """What the lines of a run do not tell of the work, where they are easily taken for more; else empty."""
    if speaks_of_latency(outcome.expectations):
        return ON_LATENCY
    of_the_queue = any(re.search(r"queue_age|queue_depth|drain", result.text) for result in outcome.expectations)
    unseen = outcome.recording.far is None and outcome.workers is None and not outcome.queue.nobody_worked
    return f"{ON_TAKEN}: see docs/workers.md" if of_the_queue and unseen and outcome.ledger.acked else ""


def left(outcome: Outcome) -> list[str]:
    """What was left in the queue, where that is no headline. Empty, or one sentence."""
    return [outcome.queue.said] if outcome.queue.said and not outcome.queue.nobody_worked else []


def hit_sentence(hit: Hit) -> str:
    """``max_rate clipped from 10s to 10.5s: 450/s asked, 400/s allowed``; for a stop also how soon it came."""
    unit = _GUARDRAIL_UNITS.get(hit.guardrail, "jobs")
    verb = _VERBS.get(hit.action, hit.action)
    span = ", ".join(filter(None, [f"at {format_duration(hit.start_s)}", reaction(hit)]))
    # A stop is a moment, even where the answers that were on their way kept the value over its limit.
    if hit.end_s > hit.start_s and hit.action != "stop":
        span = f"from {format_duration(hit.start_s)} to {format_duration(hit.end_s)}"
    # What was asked for was never seen: the limit came before it.
    wanted = hit.action == "clip" or (hit.action == "stop" and hit.guardrail in _COUNTED)
    asked = f"{quantity(hit.requested, unit)} {'asked' if wanted else 'seen'}"
    return f"{hit.guardrail} {verb} {span}: {asked}, {quantity(hit.allowed, unit)} allowed"


def stalls_sentence(recording: Recording) -> str:
    """``plg itself stood still 3 times, 2.4s in all, the longest 2.1s at 5s in stampede``; empty where it never did.
    The same of plg's own workers."""
    own = [stall for stall in recording.stalls if not stall.workers]
    workers = [stall for stall in recording.stalls if stall.workers]
    told = (_stood_still("plg itself stood still", own, recording), _stood_still(_IDLE, workers, recording))
    return "; ".join(filter(None, told))


_IDLE = "plg's own reference workers stood still or were gone"


def _stood_still(who: str, stalls: Sequence[Stall], recording: Recording) -> str:
    if not stalls:
        return ""
    longest = max(stalls, key=lambda stall: stall.length_s)
    phase = phase_at(recording.spans, longest.start_s)
    at = f"{_seconds(longest.length_s)} at {_seconds(max(0.0, longest.start_s))}{f' in {phase}' if phase else ''}"
    cause = ", the machine being suspended" if longest.suspended_s else ""
    if len(stalls) == 1:
        return f"{who} for {at}{cause}"
    whole = _seconds(sum(stall.length_s for stall in stalls))
    return f"{who} {plural(len(stalls), 'time')}, {whole} in all, the longest {at}{cause}"


def remarks(outcome: Outcome) -> tuple[str, ...]:
    """All that is remarked on a run: what was left in the queue first, plg's own stalls last."""
    stalls = stalls_sentence(outcome.recording)
    return (*left(outcome), *outcome.warnings, *([stalls] if stalls else []))


def shard_sentence(outcome: Outcome, shard: ShardResult) -> str:
    """``shard 2 of 4 on tcp://10.0.0.7:4711 began 120us after the first: 5,000 of 5,000 jobs acked, deviation 0%``."""
    of = outcome.shard.of if outcome.shard is not None else len(outcome.shards)
    said = f"shard {shard.part} of {of}" + (f" on {shard.where}" if shard.where else "")
    if shard.planned is None:
        return f"{said} {shard.reason}"
    if shard.skew_s is not None:
        said += f" began {_micro(shard.skew_s)} after the first" if shard.skew_s else " began first"
    said += f": {count(shard.acked or 0)} of {plural(shard.planned, 'job')} acked"
    said += f", deviation {quantity(shard.deviation, 'fraction')}"
    if shard.clock_s is not None and abs(shard.clock_s) >= 0.001:
        said += f"; its clock is {_micro(abs(shard.clock_s))} {'ahead' if shard.clock_s > 0 else 'behind'}"
    return said if shard.verdict == "pass" else f"{said}; {shard.reason}"


def _micro(value: float) -> str:
    return format_duration(round(value, 6))


def _seconds(value: float) -> str:
    return format_duration(round(value, 3))


def reaction(hit: Hit) -> str:
    """How soon a stop came: ``84ms after the last reading within the limit``; empty where that is not known."""
    if hit.reaction_s is None or hit.action != "stop":
        return ""
    if hit.reaction_s == 0 and hit.guardrail in _COUNTED:
        return "before a job over the limit was sent"
    if hit.reaction_s == 0 and hit.guardrail == "max_error_rate":
        return "at the answer that passed the limit"
    if hit.reaction_s >= hit.start_s > 0:
        return "at the first reading of the run"
    return f"{format_duration(hit.reaction_s)} after the last reading within the limit"


def hit_quantity(hit: Hit, value: float) -> str:
    """A figure of a guardrail hit in that guardrail's unit."""
    return quantity(value, _GUARDRAIL_UNITS.get(hit.guardrail, "jobs"))


def ledger_sentence(ledger: Ledger) -> str:
    """Both equations of the ledger on one line."""
    return (
        f"{ledger.planned:,d} planned = {ledger.sent:,d} sent + {ledger.shed:,d} shed + {ledger.late:,d} late"
        f" + {ledger.cancelled:,d} cancelled; {ledger.sent:,d} sent = {ledger.acked:,d} acked"
        f" + {ledger.failed:,d} failed + {ledger.unknown:,d} unknown"
    )


def far_ledger_sentence(far: FarSide) -> str:
    """What became of the jobs that Redis confirmed, on one line."""
    lost = "? lost" if far.lost is None else f"{far.lost:,d} lost"
    parts = (
        f"{far.completed:,d} completed + {far.dead:,d} dead + {far.waiting:,d} waiting + {far.in_flight:,d} in flight"
    )
    beside = f"{far.failed_attempts:,d} failed attempts, {far.retried:,d} retried"
    again = "" if far.duplicates is None else f", {far.duplicates:,d} duplicates"
    return f"{parts} + {far.delayed:,d} delayed + {lost}; {beside}{again}"


def far_lines(outcome: Outcome) -> list[str]:
    """What the workers did, and how that is known; nothing where nobody asked them."""
    return [*_far_lines(outcome), *work_lines(outcome), *_residue_lines(outcome)]


def work_lines(outcome: Outcome) -> list[str]:
    """Whether the workers kept up, and what an autoscaler did about a backlog; nothing where that is not known."""
    kept_up = bottleneck.sentence(outcome.recording)
    rose = [] if outcome.scale_up is None else [scaling.told(outcome.scale_up)]
    return [*([kept_up] if kept_up else []), *rose]


def _residue_lines(outcome: Outcome) -> list[str]:
    """What the run left in the target, where somebody looked; else how to remove it, where jobs wait there."""
    if outcome.residue is None:
        more = (outcome.queue.end or 0) > (outcome.queue.start or 0)
        stays = more and outcome.target.kind in ("url", "sentinel", "cluster") and not outcome.recording.residue_said
        how = f"plg clean {outcome.run_id} --target URL removes them"
        return [f"jobs of the run stay in the target: {how}"] if stays else []
    said = f"; {outcome.recording.residue_said}" if outcome.recording.residue_said else ""
    return [f"left in the target: {counted(outcome.residue, 'job')}{said}"]


def _far_lines(outcome: Outcome) -> list[str]:
    far, record = outcome.far_side, outcome.recording.far
    if record is None:
        return []
    if far is None:
        return [f"workers: {why}" for why in list(dict.fromkeys(record.untold.values()))[:1]]
    sample = "" if far.read == far.jobs else f", read {far.read:,d} of {far.jobs:,d} jobs"
    clock = ""
    if far.clock_offset_s is not None and abs(far.clock_offset_s) >= 0.001:
        way = "ahead" if far.clock_offset_s > 0 else "behind"
        clock = f"; the server's clock is {_micro(abs(far.clock_offset_s))} {way}"
    cost = f", {plural(record.questions, 'question')}" if record.questions else ""
    cost += f", {format_size(record.size)} read" if record.size else ""
    lines = [f"workers: {far_ledger_sentence(far)} (by {far.source}{sample}{cost}{clock})"]
    times = [
        f"{name} p50 {quantity(of['p50'], 's')}, p95 {quantity(of['p95'], 's')}, max {quantity(of['max'], 's')}"
        for name, of in (
            ("queue_wait", outcome.queue_wait_s), ("run_time", outcome.run_time_s),
            ("end_to_end", outcome.end_to_end_s),
        )
        if of is not None and of["p50"] is not None
    ]  # fmt: skip
    reasons = {why: [name for name in FAR_TIMES if record.untold.get(name) == why] for why in record.untold.values()}
    silent = [f"{' and '.join(names)}: {why}" for why, names in reasons.items() if names]
    return [*lines, *(["; ".join(times)] if times else []), *silent, *far.found]


def target_text(outcome: Outcome) -> str:
    """``valkey 9.1.2, embedded``: what answered, and where it stood."""
    target = outcome.target
    server = "" if target.server == "unknown" else f"{target.server} {target.version}".strip()
    kind = f"{target.kind} of {plural(target.nodes, 'node')}" if target.kind == "cluster" else target.kind
    place = kind if not target.url or target.url == target.kind else f"{kind} {target.url}"
    return f"{server}, {place}" if server else place
