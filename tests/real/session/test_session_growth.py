"""Reading, checking and planning a scenario costs in proportion to its length: counted in calls, not in seconds."""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path

import pytest
from support.session_runs import scenario

from plg.prepare import Request, prepare

KINDS = (
    "steady 5/s over 1s",
    "ramp 1/s -> 9/s over 1s exponential",
    "sine 5/s +- 2/s every 500ms over 1s",
    "burst 1/s -> 9/s for 100ms every 500ms over 1s",
    "staircase 1/s -> 5/s in 5 steps over 1s",
    "chaos 1/s .. 9/s every 500ms over 1s seed 3",
    "points linear { 0s 1/s, 1s 9/s }",
    "pause 1s",
)
LIMITS = "guardrails { max_rate 100/s max_total_jobs 1_000_000 max_duration 1d }"


def long_scenario(file: Path, phases: int) -> Path:
    traffic = "\nthen ".join(f"p{n}: {KINDS[n % len(KINDS)]}" for n in range(phases))
    expect = f"expect {{ errors == 0  deviation during p{phases - 1} < 5% }}"
    file.write_text(scenario(traffic, expect, limits=LIMITS), encoding="utf-8")
    return file


def calls(file: Path) -> int:
    """Calls of Python functions, and into C, that preparing a run takes."""
    profile = cProfile.Profile()
    prepared = profile.runcall(prepare, file, Request({}))
    assert len(prepared.plan.phases) > 0
    return int(pstats.Stats(profile).total_calls)


def test_twice_the_phases_cost_twice_the_calls(tmp_path):
    prepare(long_scenario(tmp_path / "warm.plg", 8), Request({}))  # imports, caches
    some, many = (calls(long_scenario(tmp_path / f"{n}.plg", n)) for n in (250, 1000))
    assert many < 4.4 * some, (some, many)


@pytest.mark.slow
def test_ten_thousand_phases(tmp_path):
    """Ten thousand phases are read and planned at hardly more calls a phase than five hundred take."""
    prepare(long_scenario(tmp_path / "warm.plg", 8), Request({}))
    few, many = (calls(long_scenario(tmp_path / f"{n}.plg", n)) for n in (500, 10_000))
    assert many < 22 * few, (few, many)
