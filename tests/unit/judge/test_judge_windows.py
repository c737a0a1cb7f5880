"""Windows of the charts: no rate above what was asked for, no job lost, no percentile without its samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.virtual_runs import LOOSE, simulate

from plg.judge.rate_windows import rates, times
from plg.measures import samples_needed
from plg.patterns.registry import read
from plg.runner.recording import Recording
from plg.testing import Server, VirtualClock


def steady(rate: float, duration: float) -> dict[str, Any]:
    return {"type": "steady", "base_rate": rate, "duration": duration}


def custom(*phases: dict[str, Any]) -> dict[str, Any]:
    return {"type": "custom", "phases": [{"name": f"p{i}", **phase} for i, phase in enumerate(phases)]}


def actual_rate(recording: Recording) -> tuple[Any, Any]:
    found = rates(recording)
    return found.t, found.actual


def run(pattern: dict[str, Any], server: Server | None = None) -> Recording:
    recording: Recording = simulate(pattern, server=server)[0]
    return recording


@pytest.mark.parametrize("duration", [10.0, 60.0, 200.0])
@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0, 7.3, 25.0, 33.3, 110.0, 450.0])
def test_a_steady_rate_is_drawn_as_asked_for(rate: float, duration: float) -> None:
    recording = run(steady(rate, duration))
    t, actual = actual_rate(recording)
    assert len(t) >= 2
    assert actual.max() <= rate * 1.001
    assert actual.min() >= rate * 0.999
    assert np.sum(np.diff(t) * actual[:-1]) == pytest.approx(recording.total("acked"), abs=0.51)


SHAPES = {
    "a ramp": {"type": "ramp", "start_rate": 1, "end_rate": 60, "duration": 15},
    "a wave": {"type": "sine", "base_rate": 30, "amplitude": 25, "period": 20, "duration": 60},
    "bursts": {
        "type": "burst", "base_rate": 5, "burst_rate": 300, "burst_duration": 0.5, "burst_interval": 4, "duration": 20,
    },
    "a silence": custom(steady(20, 5), steady(0, 10), steady(2, 10)),
    "many short phases": custom(*(steady(3 + i % 5, 1) for i in range(40))),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_no_window_is_above_the_peak_and_none_loses_a_job(shape: str) -> None:
    recording = run(SHAPES[shape])
    t, actual = actual_rate(recording)
    assert actual.max() <= 1.05 * recording.target_rate.max()
    assert np.sum(np.diff(t) * actual[:-1]) == pytest.approx(recording.total("acked"), abs=0.51)


BURST = {"type": "burst"}
CASES = {
    "three jobs a burst": {
        "type": "burst", "base_rate": 0, "burst_rate": 30, "burst_duration": 0.1, "burst_interval": 3, "duration": 20,
    },
    "a slow phase before bursts": custom(
        steady(0.5, 10),
        {**BURST, "base_rate": 0.5, "burst_rate": 15, "burst_duration": 0.2, "burst_interval": 4, "duration": 20},
        steady(0.3, 7),
    ),
    "small bursts beside a high rate": custom(
        {**BURST, "base_rate": 2, "burst_rate": 9, "burst_duration": 0.33, "burst_interval": 1.7, "duration": 12},
        steady(400, 3),
    ),
    "bursts that the plain windows of a long run would swallow": {
        "type": "burst", "base_rate": 0.1, "burst_rate": 10, "burst_duration": 0.3, "burst_interval": 97,
        "duration": 1800,
    },
    "a last phase of a job and a bit": custom(steady(30, 5), steady(0.4, 3.1)),
    "steps": {"type": "staircase", "start_rate": 1, "end_rate": 9, "steps": 5, "duration": 12},
    "points in steps": {
        "type": "points", "interpolation": "step",
        "points": [{"at": at, "rate": rate} for at, rate in ((0, 1), (3.03, 12), (5, 2), (9, 2))],
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", [*CASES, "bursts", "a silence"])
def test_what_was_delivered_stands_beside_the_target_in_every_window(shape: str) -> None:
    """No window crosses a break: each has a rate of the plan, and all of it is there where all was acked at once."""
    pattern = {**CASES, **SHAPES}[shape]
    recording = run(pattern)
    found = rates(recording)
    assert len(found.t) == len(found.target) == len(found.allowed) == len(found.actual)
    assert found.actual == pytest.approx(found.target, rel=1e-6, abs=1e-6)
    wanted = read(pattern, Path())
    inside = (found.t[:-1] + found.t[1:]) / 2
    assert found.target[:-1] == pytest.approx(wanted.rate(inside), rel=1e-6, abs=1e-9)
    jumps = wanted.breaks()
    assert np.isclose(jumps[:, None], found.t[None, :], atol=1e-6).any(axis=1).all()


def test_a_burst_that_came_late_or_was_refused_is_missing_where_it_was_due() -> None:
    pattern = CASES["three jobs a burst"]
    server = Server(VirtualClock(), stalled=[(6.0, 7.0)], refuse_key=lambda key, at: "OOM" if 9 <= at < 10 else None)
    found = rates(run(pattern, server))
    bursts = found.target[:-1] > 1
    assert found.target[:-1][bursts] == pytest.approx(30)
    assert found.actual[:-1][bursts] == pytest.approx([30, 30, 0, 0, 30, 30, 30], abs=1e-6)
    answered = (found.t[:-1] >= 6.1 - 1e-6) & (found.t[:-1] < 8.9)
    assert np.sum((np.diff(found.t) * found.actual[:-1])[answered]) == pytest.approx(3)


def test_a_plan_of_less_than_half_a_job_delivers_nothing() -> None:
    assert rates(run(steady(0.1, 4))).actual.max(initial=0) == 0


def test_windows_end_where_the_rate_jumps() -> None:
    t, actual = actual_rate(run(SHAPES["a silence"]))
    assert {5.0, 15.0} <= set(np.round(t, 6))
    assert set(actual[(t >= 5) & (t < 15)]) == {0.0}


def test_bursts_keep_their_height_and_their_edges() -> None:
    t, actual = actual_rate(run(SHAPES["bursts"]))
    starts = np.round(t[:-1] % 4, 3)
    burst = actual[:-1] > 100
    assert burst.sum() >= 5
    assert actual[:-1][burst] == pytest.approx(300, rel=0.02)
    assert actual[:-1][~burst] == pytest.approx(5, rel=0.2)
    assert len(set(starts[np.flatnonzero(np.diff(burst.astype(int)) == 1) + 1])) == 1


def test_lost_jobs_are_missing_where_they_were_lost() -> None:
    server = Server(VirtualClock(), refuse_key=lambda key, at: "OOM" if 4 <= at < 6 and int(at * 20) % 4 == 0 else None)
    recording = run(steady(20, 10), server)
    lost = recording.total("failed")
    assert 5 <= lost <= 20
    t, actual = actual_rate(recording)
    missing = 20 * np.diff(t) - actual[:-1] * np.diff(t)
    assert missing[(t[:-1] >= 3) & (t[:-1] < 6)].sum() == pytest.approx(lost, abs=1)
    assert np.abs(missing[(t[:-1] < 3) | (t[:-1] > 6)]).max() < 1.01


def test_a_clipped_rate_never_seems_above_its_limit() -> None:
    limits = replace(LOOSE, max_rate=37.0)
    recording = simulate(steady(55, 20), limits=limits)[0]
    assert actual_rate(recording)[1].max() == pytest.approx(37, rel=0.03)


def test_a_stall_shows_as_one_and_what_comes_after_the_end_is_no_spike() -> None:
    recording = run(steady(20, 10), Server(VirtualClock(), stalled=[(4.0, 6.0), (9.0, 13.0)]))
    t, actual = actual_rate(recording)
    assert actual[(t >= 4) & (t < 5)].max() == 0
    assert t[-1] == pytest.approx(13, abs=0.2)
    assert actual[-1] == pytest.approx(20 / 3, rel=0.1)
    assert np.sum(np.diff(t) * actual[:-1]) == pytest.approx(recording.total("acked"), abs=0.51)


@pytest.mark.parametrize("pattern", [steady(0.5, 30), steady(25, 20), steady(300, 20), SHAPES["bursts"]], ids=str)
def test_percentiles_stand_only_where_the_samples_are_and_else_the_jobs_do(pattern: dict[str, Any]) -> None:
    recording = run(pattern)
    for measure in ("lag", "latency"):
        found = times(recording, measure)
        histograms = recording.histograms[measure]
        jobs = np.add.reduceat(np.append(histograms.counts, 0), histograms.offsets[:-1]) * (
            np.diff(histograms.offsets) > 0
        )
        for start, end, *values in zip(
            found.t[::2], found.t[1::2], *(y[::2] for y in found.curves.values()), strict=True
        ):
            inside = (recording.edges[:-1] >= start - 1e-9) & (recording.edges[:-1] < end - 1e-9)
            for name, value in zip(found.curves, values, strict=True):
                needed = {"p50": 0.5, "p90": 0.9, "p99": 0.99}.get(name)
                assert needed is None or np.isnan(value) == (jobs[inside].sum() < samples_needed(needed))
            dotted = (found.jobs_t >= start) & (found.jobs_t < end)
            assert dotted.any() or not np.isnan(found.curves["p99"][::2][found.t[::2] == start]).any()


def test_the_jobs_of_a_sparse_run_stand_where_they_were_and_as_long_as_they_took() -> None:
    recording = run(steady(0.5, 30), Server(VirtualClock(), delay=0.0123))
    found = times(recording, "latency")
    assert len(found.jobs) == 15
    assert np.abs(found.jobs_t - (1 + 2 * np.arange(15))).max() <= recording.window
    assert found.jobs == pytest.approx(0.0246, rel=0.05)


def test_a_run_that_never_began_has_no_windows() -> None:
    none = replace(run(steady(20, 5)), ended_s=0.0, stop="target")
    assert [len(part) for part in actual_rate(none)] == [0, 0]
