"""The figures in README are those of the benchmark that lies in the tree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.table import table

ROOT = Path(__file__).parents[3]
RESULTS = json.loads((ROOT / "bench" / "results.json").read_text())
README = (ROOT / "README.md").read_text()


def median(contest, entry, figure):
    return RESULTS["contests"][contest]["entries"][entry][figure]["median"]


ROWS = re.findall(r"^\| ([^|]+) \| ([\d.]+) ms \| ([\d.]+) ms \| ([\d.]+)% \|$", README, re.MULTILINE)


def test_the_table_is_made_of_the_results():
    assert (ROOT / "bench" / "table.md").read_text() == table(RESULTS)
    assert RESULTS["quick"] is False
    assert RESULTS["rounds"] >= 5


@pytest.mark.parametrize(("name", "p50", "p99", "cpu"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_readme_was_measured(name, p50, p99, cpu):
    entry = name.replace("plg, `pacing precise`", "plg, precise")
    assert p50 == f"{median('hold-10000', entry, 'error_p50_ms'):.2f}"
    assert p99 == f"{median('hold-10000', entry, 'error_p99_ms'):.2f}"
    assert cpu == f"{median('hold-10000', entry, 'cpu_share'):.1%}".rstrip("%")


def test_the_sentences_below_it_too():
    assert len(ROWS) == 4
    text = " ".join(README.split())
    plg, memtier = (median("million", name, "cpu_share") for name in ("plg", "memtier"))
    assert f"plg took {plg:.0%} of a CPU and was {abs(median('million', 'plg', 'deviation')):.3%} off" in text
    assert f"memtier took {memtier:.0%}, and two of three of its" in text
    assert 0.6 < median("million", "memtier", "windows_off") < 0.7
    ramp = {name: median("ramp", name, "error_p99_ms") for name in ("plg", "Locust", "Artillery")}
    assert f"p99 error was {ramp['plg']:.2f} ms; Locust's was {ramp['Locust']:.0f} ms" in text
    assert f"Artillery's {ramp['Artillery']:.0f} ms" in text
    most = {name: median("most", name, "jobs_s") / 1e6 for name in ("plg", "redis-py pipeline")}
    assert f"list was {most['plg']:.1f} million jobs a second" in text
    assert f"reaches {most['redis-py pipeline']:.2f} million" in text
