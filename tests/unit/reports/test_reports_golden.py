"""Text reports against files on disk. Set PLG_UPDATE_GOLDEN=1 to write them anew, and read the difference."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.report_samples import SAMPLES, plan, rate_at

from plg.outcome import Outcome
from plg.reports.github import annotate
from plg.reports.junit import junit
from plg.reports.markdown import markdown
from plg.reports.terminal import draw_plan, summary

GOLDEN = Path(__file__).parent / "golden"
REPORTS: dict[str, Callable[[Outcome], str]] = {
    "junit.xml": lambda outcome: junit([outcome]),
    "md": lambda outcome: markdown([outcome]),
    "github": annotate,
    "txt": summary,
    "ascii": lambda outcome: summary(outcome, ascii_only=True),
    "colour": lambda outcome: summary(outcome, colour=True),
}


class SamplePlan:
    def target_rate(self, t: np.ndarray) -> np.ndarray:
        return rate_at(t, 1.0)

    def allowed_rate(self, t: np.ndarray) -> np.ndarray:
        return np.minimum(rate_at(t, 1.0), 400.0)

    def to_document(self) -> dict[str, object]:
        warning = {"code": "too-few-samples", "message": "p99.9 needs 1,000 samples, has 420", "line": 38}
        return {**plan(16.0), "warnings": [warning]}


PLANS = {
    "plan-80.txt": {"width": 80},
    "plan-120.txt": {"width": 120},
    "plan-60.ascii": {"width": 60, "ascii_only": True},
    "plan-80.colour": {"width": 80, "colour": True},
}


def render(path: Path) -> str:
    if path.name in PLANS:
        return draw_plan(SamplePlan(), **PLANS[path.name])  # type: ignore[arg-type]
    sample, _, report = path.name.partition(".")
    return REPORTS[report](SAMPLES[sample]())


def files() -> list[Path]:
    if os.environ.get("PLG_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        wanted = [f"{s}.{r}" for s in ("pass", "fail", "invalid", "stopped", "error") for r in REPORTS]
        for name in [*wanted, *PLANS]:
            (GOLDEN / name).write_text(render(GOLDEN / name), encoding="utf-8")
    return sorted(GOLDEN.glob("*.*"))


def test_there_are_golden_files() -> None:
    assert len(files()) >= 30


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_report_is_as_on_disk(path: Path) -> None:
    assert render(path) == path.read_text(encoding="utf-8")
