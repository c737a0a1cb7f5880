"""Outcomes of made-up runs, rich enough to show every part of a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from plg.guardrails.guard import Hit
from plg.histogram import bucket_of
from plg.measures import GAUGES
from plg.outcome import ExpectationResult, Ledger, Outcome, PhaseResult, TargetInfo, WorkersResult
from plg.runner.recording import COUNTERS, TIMES, Histograms, Recording, cell_edges

SCENARIO: dict[str, Any] = {
    "name": "flash-sale",
    "description": "Checkout queue on sale day.",
    "tags": ["checkout", "sale"],
    "target": "embedded",
    "jobs": [
        {"name": "checkout", "weight": 8, "queue": "orders", "payload": {"sku": "A-${seq}", "qty": 1}},
        {"name": "refund", "weight": 2, "queue": "refunds", "payload": {"order": "${seq}"}},
    ],
    "pattern": {
        "type": "custom",
        "phases": [
            {"name": "doors", "type": "ramp", "start_rate": 10, "end_rate": 200, "duration": "4s"},
            {"name": "crowd", "type": "sine", "base_rate": 200, "amplitude": 80, "period": "2s", "duration": "6s"},
            {"name": "stampede", "type": "burst", "base_rate": 50, "burst_rate": 450, "duration": "6s"},
        ],
    },
    "guardrails": {"max_rate": 400, "max_total_jobs": 20000, "max_duration": "2m", "max_queue_depth": 50000},
    "expect": ["deviation < 5%", "p99(latency) < 250ms during stampede"],
}


def recording(
    duration: float, window: float, hits: tuple[Hit, ...] = (), stop: str | None = None, until: float | None = None
) -> Recording:
    """A recording of the run whose columns `series` makes up, with everything that charts read of it."""
    edges = cell_edges(duration, window, ())
    columns = {name: np.array(values, dtype=np.float64) for name, values in series(duration, window, until).items()}
    cells = len(edges) - 1
    counters = {name: np.zeros(cells, dtype=np.int64) for name in COUNTERS}
    for name in ("sent", "shed"):
        counters[name][:-1] = np.nan_to_num(columns[name])
    counters["planned"] = counters["sent"] + counters["shed"]
    counters["acked"] = counters["sent"].copy()
    empty = Histograms.empty(cells)
    p50s = {"latency": columns["latency_p50_s"], "service_time": columns["service_p50_s"], "lag": columns["lag_p99_s"]}
    rates = {name: np.append(columns[name], 0.0) for name in ("target", "allowed")}
    return Recording(
        edges=edges,
        window=window,
        duration=duration,
        spans={},
        counters=counters,
        histograms={name: times_of(p50s[name], counters["acked"]) if until != 0 else empty for name in TIMES},
        sample_times=np.zeros(0),
        samples={name: np.zeros(0) for name in GAUGES},
        target_rate=rates["target"],
        allowed_rate=rates["allowed"],
        hits=hits,
        ended_s=duration if until is None else until,
        stop=stop,
    )


def times_of(p50: np.ndarray, jobs: np.ndarray) -> Histograms:
    """A histogram a cell: 90 of 100 jobs at its p50, 8 at twice that, the rest at four times."""
    shares = np.stack([jobs - jobs // 10 - jobs // 50, jobs // 10, jobs // 50], axis=1)
    values = np.append(np.nan_to_num(p50), 0.0)[:, None] * np.array([1.0, 2.0, 4.0])
    filled = shares > 0
    count = filled.sum(axis=1)
    return Histograms(
        np.append(0, np.cumsum(count)), bucket_of(values[filled].copy()), shares[filled],
        (values * shares).sum(axis=1), np.where(jobs > 0, values[:, 0], np.inf),
        np.where(jobs > 0, np.where(filled, values, 0).max(axis=1), -np.inf),
    )  # fmt: skip


def percentiles(p50: float) -> dict[str, float | None]:
    factors = {"p50": 1.0, "p90": 1.8, "p95": 2.3, "p99": 4.0, "p99.9": 9.0, "max": 14.0, "mean": 1.2}
    return {name: p50 * factor for name, factor in factors.items()}


NO_PERCENTILES: dict[str, float | None] = dict.fromkeys(percentiles(1.0))


def expectation(text: str, verdict: str, observed: float | None, bound: float | None, unit: str, **more: Any) -> Any:
    op = next(op for op in (" <= ", " >= ", " == ", " != ", " < ", " > ") if op in text).strip()
    level = "warn" if text.startswith("warn ") else "expect"
    values = {"file": "scenarios/flash-sale.plg", "line": 38, **more}
    return ExpectationResult(text, level, verdict, observed, bound, unit, op, **values)  # type: ignore[arg-type]


def rate_at(t: np.ndarray, scale: float) -> np.ndarray:
    """Ramp, sine, bursts: the shape of SCENARIO over 16 units of time, stretched by ``scale``."""
    u = t / scale
    ramp = 10 + 190 * u / 4
    sine = 200 + 80 * np.sin(np.pi * (u - 4))
    burst = np.where((u - 10) % 2 < 0.5, 450.0, 50.0)
    return np.where(u < 4, ramp, np.where(u < 10, sine, burst))


def series(duration: float, window: float, until: float | None = None) -> dict[str, list[float | None]]:
    """Columns of a run of SCENARIO's shape; empty of measurements after ``until``."""
    noise = np.random.default_rng(7)
    t = np.arange(0, duration - 1e-9, window)
    target = rate_at(t + window / 2, duration / 16)
    allowed = np.minimum(target, 400.0)
    wobble = noise.normal(1, 0.02, len(t))
    actual = allowed * wobble
    heavy = np.clip((target - 200) / 250, 0, 1)
    service = 0.0012 * (1 + heavy * 6) * noise.lognormal(0, 0.25, len(t))
    latency = service + 0.0006 * (1 + heavy * 40)
    depth = np.clip(np.cumsum((actual - 120) * window), 0, None)
    columns = {
        "t_s": t,
        "target": target,
        "allowed": allowed,
        "actual": actual,
        "sent": np.round(actual * window),
        "planned": np.round(target * window),
        "queue_depth": np.round(depth),
        "queue_age_s": depth / 120,
        "cpu_percent": 6 + heavy * 14 + noise.random(len(t)) * 3,
        "memory_mb": 48 + np.log1p(t) * 2,
        "errors": np.where(heavy > 0.9, noise.poisson(0.3, len(t)), 0),
        "shed": np.round((target - allowed) * window),
        "late": np.zeros(len(t)),
        "lag_p99_s": 0.0004 + 0.002 * heavy * noise.random(len(t)),
        "latency_p50_s": latency,
        "latency_p90_s": latency * 1.8,
        "latency_p99_s": latency * 4,
        "latency_max_s": latency * 9,
        "service_p50_s": service,
        "service_p99_s": service * 3,
    }
    measured = set(columns) - {"t_s", "target", "allowed", "planned"}
    return {
        name: [
            None if (until is not None and name in measured and time >= until) else round(float(v), 9)
            for time, v in zip(t, values, strict=True)
        ]
        for name, values in columns.items()
    }


def plan(duration: float) -> dict[str, Any]:
    part = duration / 16
    return {
        "scenario": "flash-sale",
        "duration_s": duration,
        "planned": round(2710 * part),
        "peak_rate": 450.0,
        "sent_estimate": round(2635 * part),
        "phases": [
            {"name": "doors", "start_s": 0.0, "duration_s": 4 * part, "planned": round(420 * part), "peak_rate": 200.0},
            {"name": "crowd", "start_s": 4 * part, "duration_s": 6 * part, "planned": 1200, "peak_rate": 280.0},
            {"name": "stampede", "start_s": 10 * part, "duration_s": 6 * part, "planned": 900, "peak_rate": 450.0},
        ],
        "clips": [
            {"guardrail": "max_rate", "start_s": (10 + 2 * i) * part, "end_s": (10.5 + 2 * i) * part, "shed": 25}
            for i in range(3)
        ],
        "warnings": [],
    }


def hits(duration: float) -> tuple[Hit, ...]:
    part = duration / 16
    warn = (Hit("max_rate", 9.9 * part, 10 * part, 330.0, 400.0, "warn"),)
    return warn + tuple(
        Hit("max_rate", (10 + 2 * i) * part, (10.5 + 2 * i) * part, 450.0, 400.0, "clip") for i in range(3)
    )


def phases(duration: float) -> tuple[PhaseResult, ...]:
    part = duration / 16
    return (
        PhaseResult("doors", 0.0, 4 * part, 420, 420, 420, 0.0, percentiles(0.0018)),
        PhaseResult("crowd", 4 * part, 6 * part, 1200, 1200, 1199, 0.0008333, percentiles(0.0052)),
        PhaseResult("stampede", 10 * part, 6 * part, 900, 825, 823, 0.08556, percentiles(0.0312)),
    )


def failing(duration: float = 16.0, window: float = 0.1, name: str = "flash-sale") -> Outcome:
    part = duration / 16
    return Outcome(
        scenario={**SCENARIO, "name": name},
        scenario_file="scenarios/flash-sale.plg",
        scenario_hash="9f2c4b7ad0e1c35e68f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7",
        run_id="0b6f1f7a-5a77-4a0c-9c3a-2f6f4c1e8d55",
        seed=42,
        verdict="fail",
        exit_code=3,
        reason="2 of 6 expectations failed: p99(latency) < 250ms during stampede, and 1 more",
        started_at="2026-11-23T18:30:05.123456+00:00",
        duration_s=duration,
        target=TargetInfo("embedded", "unix:///tmp/plg/r.sock", "valkey", "9.1.2"),
        plan=plan(duration),
        ledger=Ledger(2520, 2445, 75, 0, 0, 2442, 2, 1),
        deviation=0.03095,
        phases=phases(duration),
        lag_s=percentiles(0.0004),
        service_time_s=percentiles(0.0021),
        latency_s=percentiles(0.0094),
        expectations=(
            expectation("deviation < 5%", "pass", 0.03095, 0.05, "fraction", line=34),
            expectation(
                "deviation < 20% in every 1s", "fail", 0.31, 0.2, "fraction", line=35,
                first_breach_s=10 * part, first_breach_phase="stampede",
                detail="3 of 16 windows failed; worst 31% at 10s in stampede",
            ),
            expectation("errors <= 5", "pass", 3.0, 5.0, "jobs", line=36),
            expectation(
                "p99(latency) < 250ms during stampede or stop", "fail", 0.312, 0.25, "s", line=37,
                first_breach_s=12.4 * part, first_breach_phase="stampede",
            ),
            expectation("p99.9(lag) < 20ms during doors", "no_data", None, 0.02, "s", line=38,
                        detail="needs 1,000 samples, has 420"),
            expectation("warn p99(lag) < 1ms", "fail", 0.0016, 0.001, "s", line=39, first_breach_s=10.2 * part,
                        first_breach_phase="stampede"),
        ),
        guardrail_hits=hits(duration),
        warnings=("phase doors is not looked at by any expectation of its own",),
        series=series(duration, window),
        recording=recording(duration, window, hits(duration)),
        workers=WorkersResult(2, 0.005, 2401, percentiles(0.02), foreign=0),
        errors=(("OOM command not allowed when used memory > 'maxmemory'.", 2), ("connection reset", 1)),
        plg_version="0.2.0",
    )  # fmt: skip


def passing(name: str = "flash-sale") -> Outcome:
    outcome = failing(name=name)
    good = tuple(
        replace(r, verdict="pass", observed=r.bound * 0.4, first_breach_s=None, first_breach_phase=None, detail="")
        for r in outcome.expectations
    )
    return replace(
        outcome,
        verdict="pass",
        exit_code=0,
        reason="all 6 expectations hold",
        run_id="11111111-2222-4333-8444-555555555555",
        expectations=good,
        guardrail_hits=(),
        warnings=(),
        errors=(),
        ledger=Ledger(2520, 2520, 0, 0, 0, 2520, 0, 0),
        deviation=0.0,
    )


def invalid() -> Outcome:
    return replace(
        passing(),
        verdict="invalid",
        exit_code=5,
        reason="plg itself was slow to send 6.1% of the arrivals, more than 1%: the run says nothing about the target",
        ledger=Ledger(2520, 2366, 0, 154, 0, 2366, 0, 0),
        deviation=0.0611,
    )


def stopped() -> Outcome:
    stop = (Hit("max_queue_depth", 11.2, 11.2, 50210.0, 50000.0, "stop", 0.084),)
    return replace(
        failing(),
        verdict="stopped",
        exit_code=4,
        reason="max_queue_depth reached at 11.2s: 50,210 jobs waiting, 50,000 allowed",
        series=series(16.0, 0.1, until=11.2),
        duration_s=11.2,
        ledger=Ledger(2520, 1700, 40, 0, 780, 1700, 0, 0),
        guardrail_hits=(*hits(16.0)[:2], *stop),
        recording=recording(16.0, 0.1, stop, stop="guardrail", until=11.2),
    )


def unreachable() -> Outcome:
    """Nothing was sent and nothing sampled."""
    outcome = failing()
    nothing = series(16.0, 0.1, until=0.0)
    return replace(
        outcome,
        verdict="error",
        exit_code=6,
        reason="redis://localhost:6390/0 refused the connection",
        duration_s=0.0,
        target=TargetInfo("redis", "redis://localhost:6390/0"),
        series={name: nothing[name] for name in ("t_s", "target", "allowed", "planned")},
        recording=recording(16.0, 0.1, until=0.0),
        ledger=Ledger(2520, 0, 0, 0, 2520, 0, 0, 0),
        deviation=None,
        phases=(),
        lag_s=NO_PERCENTILES,
        service_time_s=NO_PERCENTILES,
        latency_s=NO_PERCENTILES,
        expectations=tuple(
            replace(r, verdict="no_data", observed=None, first_breach_s=None, detail="nothing was sent")
            for r in outcome.expectations
        ),
        guardrail_hits=(),
        errors=(("connection refused", 1),),
        workers=None,
        seed=None,
    )


def short() -> Outcome:
    return replace(failing(3.0, 0.1, name="three-seconds"), run_id="33333333-2222-4333-8444-555555555555")


def long() -> Outcome:
    return replace(failing(36000.0, 1.0, name="ten-hours"), run_id="44444444-2222-4333-8444-555555555555")


SAMPLES = {
    "pass": passing,
    "fail": failing,
    "invalid": invalid,
    "stopped": stopped,
    "error": unreachable,
    "short": short,
    "long": long,
}
