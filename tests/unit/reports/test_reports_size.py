"""The page is under 2 MB whatever the scenario: what has no room is counted, and the page says where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.report_samples import SCENARIO, expectation, failing, long, passing, plan, recording

from plg.guardrails.guard import Hit
from plg.outcome import Outcome, PhaseResult
from plg.reports.html import html

LIMIT = 2_000_000
WORST = "\"<&>'\U0001f9e8"
"""What takes the most bytes as HTML, as JSON, as UTF-8."""


def results(count: int, letters: int = 40) -> tuple[Any, ...]:
    made = [
        expectation(
            f"{WORST * (letters // 6)}max(latency) < {i + 9}s during p{i}",
            "pass",
            0.0123,
            i + 9.0,
            "s",
            detail=WORST * 9,
        )
        for i in range(count)
    ]
    broken = [replace(one, verdict="fail", first_breach_s=1.0, first_breach_phase=WORST * letters) for one in made[-9:]]
    return (*made[:-9], *broken)


def phased(count: int, letters: int = 4) -> Outcome:
    names = [f"p{i}{WORST * letters}" for i in range(count)]
    planned = [
        {"name": name, "start_s": i * 0.01, "duration_s": 0.01, "planned": 1, "peak_rate": 100.0}
        for i, name in enumerate(names)
    ]
    rows = tuple(PhaseResult(name, 0.0, 0.01, 1, 1, 1, 0.0, {"p50": 0.001}) for name in names)
    pattern = {"type": "custom", "phases": [{"name": name, "type": "steady"} for name in names]}
    return replace(
        failing(),
        plan={**plan(16.0), "phases": planned},
        phases=rows,
        scenario={**SCENARIO, "pattern": pattern},
        expectations=results(2 * count),
    )


def wild(rows: int = 4000) -> Outcome:
    """As many windows as a series may have, with values as long as they can be, and hits, words and payloads."""
    noise = np.random.default_rng(3)
    base = long()
    t = np.arange(rows) * 9.0
    names = [name for name in base.series if name != "t_s"]
    series = {name: (1234.56789 * noise.random(rows)).tolist() for name in names} | {"t_s": t.tolist()}
    hits = tuple(
        Hit(
            f"max_{WORST}{i % 90}", 3.0 * i, 3.0 * i + 1, 450.0, 400.0, ("clip", "warn", "observe", "stop")[i % 4], 0.01
        )
        for i in range(12_000)
    )
    return replace(
        base,
        series=series,
        guardrail_hits=hits,
        recording=replace(recording(36_000.0, 9.0), hits=hits),
        reason=WORST * 9000,
        warnings=tuple(WORST * 90 for _ in range(900)),
        errors=tuple((WORST * 900, i) for i in range(90)),
        expectations=results(5000, 4000),
        phases=tuple(replace(phase, name=WORST * 900) for phase in base.phases * 900),
        scenario={
            "name": WORST * 900, "description": WORST * 9000, "tags": [WORST * 90] * 900,
            "jobs": [{"payload": {f"{WORST}{i}": WORST * 900 for i in range(300)}}],
        },
    )  # fmt: skip


HOSTILE: dict[str, Callable[[], list[Outcome]]] = {
    "a thousand phases with two expectations each": lambda: [phased(1000)],
    "a hundred phases that are all named": lambda: [phased(100, 30)],
    "everything at once": lambda: [wild()],
    "nine long runs": lambda: [replace(long(), run_id=str(i)) for i in range(9)],
    "sixty runs": lambda: [replace(failing(), run_id=str(i), expectations=results(300)) for i in range(60)],
    "twenty wild runs": lambda: [wild()] * 20,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_stays_under_two_megabytes(name: str) -> None:
    assert len(html(HOSTILE[name]()).encode("utf-8", "replace")) < LIMIT


def test_what_has_no_room_is_counted_and_what_is_broken_comes_first() -> None:
    text = html([phased(1000)])
    assert text.count(">FAIL<") + text.count("</span> FAIL</td>") == 9
    assert "of 2,000 rows are shown: all of them are in the saved outcome and in junit.xml." in text
    assert "of 1,000 rows are shown: all of them are in the saved outcome." in text
    assert "cut here: the whole scenario is in the saved outcome" in html([phased(6000)])


def test_a_run_of_usual_size_is_whole() -> None:
    text = html([failing()])
    assert "rows are shown" not in text
    assert "cut here" not in text
    assert "more: all of them" not in text


def test_more_runs_than_can_be_told_apart_are_said() -> None:
    text = html([replace(passing(), run_id=str(i)) for i in range(30)])
    assert text.count("The first 24 of 30 runs are shown.") == 2
    assert "The first" not in html([failing(), passing()])
