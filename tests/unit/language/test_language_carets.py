"""The carets of a diagnostic stand under the words that are to blame, and never under a blank."""

from __future__ import annotations

from pathlib import Path

import pytest

from plg.language.load import lint

SCENARIO = """scenario "s" {{
  traffic {{ a: steady 20/s over 500ms then b: steady 20/s over 500ms }}
  guardrails {{ max_rate 40/s max_total_jobs 100 max_duration 1m }}
  expect {{ {line}
  }}
}}
"""


@pytest.mark.parametrize(
    ("line", "under"),
    [
        ("drain_time < 5s during a", ["during a"]),
        (
            "drain_time during a < 1.1 * drain_time   during   b",
            ["during a", "during   b"],
        ),
        ("drain_time < 5s   in every   1s", ["in every   1s"]),
        ("drain_time < 5s in 99% of 1s", ["in 99% of 1s"]),
        ("queue_depth during a < 3 during b", ["during b"]),
        ("p95(latency) < 5ms during c", ["c"]),
        ("p95(latency) < p95(latency)", ["p95(latency)"]),
        ("p95(latency) during a < 2 * p95(latency)", ["p95(latency)"]),
    ],
)
def test_carets_of_an_expectation(tmp_path: Path, line: str, under: list[str]) -> None:
    assert carets(tmp_path / "s.plg", SCENARIO.format(line=line)) == under


@pytest.mark.parametrize(
    ("text", "under"),
    [
        ("name: s\npattern:\nguardrails: {max_rate: 1/s, max_total_jobs: 1, max_duration: 1s}\n", "pattern"),
        ("name:\npattern: {steady: {rate: 1/s, over: 1s}}\nguardrails: {max_rate: 1/s}\n", "name"),
    ],
)
def test_a_value_of_which_nothing_is_written_is_shown_by_its_key(tmp_path: Path, text: str, under: str) -> None:
    found = carets(tmp_path / "s.yaml", text)
    assert under in found
    assert "" not in found


def carets(path: Path, text: str) -> list[str]:
    """The words that the carets of each error in a scenario stand under."""
    path.write_text(text)
    lines = text.split("\n")
    spans = [fault.span for fault in lint(path).diagnostics if fault.severity == "error"]
    return [lines[span.line - 1][span.column - 1 : span.end_column - 1] for span in spans if span is not None]
