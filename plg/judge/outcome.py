"""From a recording to an outcome: everything a report needs, reckoned once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from plg import __version__
from plg.histogram import Distribution
from plg.judge.expectations import judge
from plg.judge.far import far_side
from plg.judge.remains import queue_result
from plg.judge.scaling import scale_up
from plg.judge.series import series
from plg.judge.verdict import decide
from plg.judge.windows import lasted
from plg.measures import FAR_TIMES, percentile
from plg.outcome import (
    PERCENTILES,
    ExpectationResult,
    Ledger,
    Outcome,
    Percentiles,
    PhaseResult,
    TargetInfo,
    WorkersResult,
)
from plg.redaction import redact
from plg.runner.recording import Recording
from plg.scenario import Expectation, Scenario
from plg.stop import Stop

GRACE = 0.3
"""Seconds that judging goes on after a signal; lines that are left then have no data."""


class ServerLike(Protocol):
    """Who answered."""

    @property
    def kind(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def nodes(self) -> int: ...


class WorkersLike(Protocol):
    """What the reference workers did: how many, busy how long with a job (s), jobs processed and how long those waited,
    and jobs they took that were not of the run."""

    @property
    def count(self) -> int: ...
    @property
    def each(self) -> float: ...
    @property
    def processed(self) -> int: ...
    @property
    def foreign(self) -> int | None: ...
    def wait_s(self) -> Percentiles: ...


def make_outcome(
    scenario: Scenario,
    plan_document: Mapping[str, Any],
    recording: Recording,
    *,
    run_id: str,
    seed: int | None,
    started_at: str,
    server: ServerLike,
    workers: WorkersLike | None = None,
    failed_in_worker: int | None = None,
    warnings: Sequence[str] = (),
    interrupted: Callable[[], Stop | None] = lambda: None,
) -> Outcome:
    """Judge one run and put together all that is known of it.

    ``plan_document`` is what ``plg plan --json`` prints, ``started_at`` a moment in UTC by ISO 8601. Passwords in the
    server's URL and in the scenario's are replaced by ``***``. ``failed_in_worker`` jobs failed there during the run.
    """
    document = _without_passwords(scenario.document)
    results, recording = judge_attended(scenario.expect, recording, interrupted)
    decision = decide(results, recording, own_workers=workers is not None, failed_in_worker=failed_in_worker or 0)
    ledger = Ledger.of(recording)
    times = {name: percentiles(recording.histograms[name].over(recording.whole())) for name in recording.histograms}
    return Outcome(
        scenario=document, scenario_file=scenario.file, scenario_hash=scenario_hash(document),
        run_id=run_id, seed=seed, verdict=decision.verdict, exit_code=decision.exit_code, reason=decision.reason,
        started_at=started_at, duration_s=lasted(recording),
        target=TargetInfo(server.kind, redact(server.url), server.name, server.version, server.nodes),
        plan=plan_document, ledger=ledger, deviation=deviation_of(ledger.planned, ledger.acked),
        phases=phase_results(plan_document, recording),
        lag_s=times["lag"], service_time_s=times["service_time"], latency_s=times["latency"],
        expectations=results, guardrail_hits=recording.hits, warnings=tuple(warnings), series=series(recording),
        recording=recording, queue=queue_result(recording, failed_in_worker),
        scale_up=scale_up(recording),
        **far_results(recording),
        workers=_workers_result(workers), errors=recording.errors, stalls=recording.stalls, plg_version=__version__,
    )  # fmt: skip


def far_results(recording: Recording) -> dict[str, Any]:
    """The fields of an outcome that tell what the workers did."""
    found = far_side(recording)
    times = {
        f"{name}_s": percentiles(recording.histograms[name].over(recording.whole()))
        for name in FAR_TIMES
        if name in recording.histograms
    }
    seen = None if recording.far is None else recording.far.workers
    return {"far_side": found, "workers_seen": seen, "residue": recording.residue, **times}


def judge_attended(
    expectations: Sequence[Expectation], recording: Recording, interrupted: Callable[[], Stop | None]
) -> tuple[tuple[ExpectationResult, ...], Recording]:
    """Results that a signal waits for at most `GRACE` seconds; a run that went to its end has been stopped by one that
    comes while it is judged."""
    heard: list[float] = []

    def given_up() -> bool:
        if not heard and interrupted() is not None:
            heard.append(time.monotonic())
        return bool(heard) and time.monotonic() - heard[0] > GRACE

    results = judge(expectations, recording, given_up)
    stop = interrupted()
    if stop is None or recording.stop is not None:
        return results, recording
    detail = f"{stop.detail}: while it was judged" if stop.name == "signal" else stop.detail
    return results, replace(recording, stop=stop.name, stop_detail=detail, stop_by=stop.by)


def _workers_result(workers: WorkersLike | None) -> WorkersResult | None:
    if workers is None:
        return None
    return WorkersResult(workers.count, workers.each, workers.processed, workers.wait_s(), workers.foreign)


def rejudge(outcome: Outcome, expectations: Sequence[Expectation]) -> Outcome:
    """The same run under other expectations: new results, verdict and reason; nothing is sent."""
    results = judge(expectations, outcome.recording)
    verdict, exit_code, reason = decide(
        results, outcome.recording, own_workers=outcome.workers is not None, failed_in_worker=outcome.queue.failed or 0
    )
    return replace(outcome, expectations=results, verdict=verdict, exit_code=exit_code, reason=reason)


def percentiles(distribution: Distribution) -> Percentiles:
    """The figures of a time measure shown in reports (s). Every percentile stands, however few the samples."""
    found: dict[str, float | None] = {}
    for name in PERCENTILES:
        q = percentile(name)
        found[name] = distribution.quantile(q) if q is not None else None
    found["max"] = distribution.max if distribution.total else None
    found["mean"] = distribution.mean()
    return found


def deviation_of(planned: int, acked: int) -> float | None:
    """|acked - planned| / planned; None where nothing was planned."""
    return abs(acked - planned) / planned if planned else None


def phase_results(plan_document: Mapping[str, Any], recording: Recording) -> tuple[PhaseResult, ...]:
    """One row a phase of the plan, in its order; a phase that comes back has one row a time."""
    rows = plan_document.get("phases") or _phases_of(recording)
    return tuple(_phase(str(row["name"]), float(row["start_s"]), float(row["duration_s"]), recording) for row in rows)


def _phases_of(recording: Recording) -> Iterable[dict[str, Any]]:
    rows = [
        {"name": name, "start_s": start, "duration_s": end - start}
        for name, pieces in recording.spans.items()
        for start, end in pieces
    ]
    return sorted(rows, key=lambda row: float(row["start_s"]))


def _phase(name: str, start: float, duration: float, recording: Recording) -> PhaseResult:
    cells = recording.within(((start, start + duration),))
    planned, sent, acked = (recording.total(column, cells) for column in ("planned", "sent", "acked"))
    latency = percentiles(recording.histograms["latency"].over(cells))
    return PhaseResult(name, start, duration, planned, sent, acked, deviation_of(planned, acked), latency)


def scenario_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document in canonical JSON: sorted keys, no blanks, whole numbers without a fraction."""
    text = json.dumps(_canonical(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(key): _canonical(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_canonical(value) for value in node]
    if isinstance(node, float) and np.isfinite(node) and node == int(node):
        return int(node)
    return node


def _without_passwords(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the URLs of its target redacted."""

    def clean(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: clean(value) for key, value in node.items()}
        return redact(node) if isinstance(node, str) else node

    return {key: clean(value) if key == "target" else value for key, value in document.items()}
