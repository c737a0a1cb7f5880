"""The pages about patterns: every example reads, both spellings mean one curve, the worked example obeys the laws."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.pattern_documents import integral

from plg.language.load import load
from plg.patterns.base import Curve
from plg.patterns.registry import CONTAINERS, LEAVES, read
from plg.patterns.sequence import Sequence

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "patterns.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```plg\n((?:(?!```).)*)```\n```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "traffic.csv").write_text("seconds,rate\n0,10\n5,80\n9,20\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("plg", "document"), EXAMPLES, ids=[text.strip() for text, _ in EXAMPLES])
def test_both_spellings_are_one_curve(plg: str, document: str, folder: Path) -> None:
    text = f"""scenario "x" {{ target fake traffic {{ {plg} }}
        guardrails {{ max_rate 10000/s max_total_jobs 1000000 max_duration 1h }} }}"""
    (folder / "x.plg").write_text(text, encoding="utf-8")
    spoken = load(folder / "x.plg").scenario.pattern
    written = read(yaml.safe_load(document), folder)
    t = np.linspace(0, written.duration, 997)
    assert spoken.duration == pytest.approx(written.duration)
    assert spoken.total > 0
    assert np.allclose(spoken.rate(t), written.rate(t))
    assert np.allclose(spoken.count(t), written.count(t))


def test_every_type_has_an_example() -> None:
    shown = {yaml.safe_load(document)["type"] for _, document in EXAMPLES}
    assert shown == set(LEAVES) | set(CONTAINERS)


@pytest.fixture
def sawtooth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    text = (DOCS / "extending-patterns.md").read_text(encoding="utf-8")
    source = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    (tmp_path / "worked_sawtooth.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("worked_sawtooth").Sawtooth


def test_the_worked_example_is_a_pattern(sawtooth: Any) -> None:
    tooth: Curve = sawtooth(10.0, 90.0, 1.5, 7.0)
    assert tooth.rate(np.array([0.0, 0.75, 1.5, 2.25])) == pytest.approx([10, 50, 10, 50])
    for until in (0.4, 1.5, 6.0, 7.0):
        assert float(tooth.count(np.asarray(until))) == pytest.approx(integral(tooth, until))
    n = np.linspace(0, tooth.total, 300)
    assert np.allclose(tooth.count(tooth.inverse(n)), n, atol=1e-8)
    starts, ends = tooth.above(50.0)
    assert starts == pytest.approx([0.75, 2.25, 3.75, 5.25, 6.75])
    assert ends == pytest.approx([1.5, 3, 4.5, 6, 7])
    assert tooth.capped(50.0).total == pytest.approx(tooth.total - 4 * 15 - 25 / 6 * 0.4)
    row = Sequence((tooth, tooth), 3)
    assert row.total == pytest.approx(6 * tooth.total)
