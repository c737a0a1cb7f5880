from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_samples import failing, passing, unreachable

from plg.outcome import Outcome
from plg.reports.markdown import markdown

anything = st.text(alphabet=st.characters(), max_size=40)


def cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line))


def test_every_table_has_rows_as_wide_as_its_head(outcome: Outcome) -> None:
    check_tables(markdown([outcome, outcome]))


def check_tables(text: str) -> None:
    tables = [block for block in re.split(r"\n\n+", text) if block.startswith("|")]
    assert tables
    for block in tables:
        widths = {cells(line) for line in block.splitlines()}
        assert len(widths) == 1, block


@settings(max_examples=100, deadline=None)
@given(anything, anything)
def test_no_text_breaks_a_table_or_becomes_markup(name: str, text: str) -> None:
    base = failing()
    odd = replace(
        base,
        scenario={**base.scenario, "name": name},
        reason=text,
        expectations=(replace(base.expectations[0], text=text, verdict="no_data", detail=name),),
        errors=((text, 1),),
    )
    written = markdown([odd, odd])
    check_tables(written)
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", written.replace("\\`", ""))
    assert not re.search(r"<(?!/?sub>)\w", outside_code)


def test_several_runs_begin_with_an_overview() -> None:
    text = markdown([failing(), passing()])
    assert text.startswith("| Verdict | Scenario | Why |\n|---|---|---|\n| ❌ FAIL | flash-sale |")
    assert text.count("\n## ") == 2


def test_a_run_without_data_still_says_why() -> None:
    text = markdown([unreachable()])
    assert "redis://localhost:6390/0 refused the connection" in text
    assert "actual" not in text.partition("```")[2].partition("```")[0] or "—" in text


def test_target_and_actual_share_one_scale() -> None:
    block = markdown([failing()]).split("```")[1]
    target, actual = block.strip().splitlines()[1:]
    assert "█" in target
    assert target.endswith("peak 450/s")
    assert len(target.split()[1]) == len(actual.split()[1])


def test_what_passed_comes_last_and_too_many_sections_are_left_out() -> None:
    """GitHub drops a summary of more than a mebibyte: the table names every run all the same."""
    one = len(markdown([passing()]).encode())
    runs = [passing()] * (1_000_000 // one) + [failing()]
    text = markdown(runs)
    assert len(text.encode()) < 1_000_000
    assert text.partition("\n## ")[0].count("| ✅ PASS |") == len(runs) - 1
    assert text.index("❌ FAIL") < text.index("✅ PASS")
    headings = re.findall(r"^## (.)", text, re.MULTILINE)
    assert headings[0] == "❌"
    assert 10 < len(headings) < len(runs)
    assert re.search(r"^_\d+ more sections have no room here._$", text, re.MULTILINE)
