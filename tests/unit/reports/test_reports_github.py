from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_samples import failing, passing, stopped

from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.escaping import visible
from plg.reports.github import annotate, annotate_invalid, command, group

COMMAND = re.compile(r"^::(error|warning) ([^\r\n]*?)::([^\r\n]*)$")


def unescape_data(text: str) -> str:
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def unescape_property(text: str) -> str:
    return unescape_data(text.replace("%3A", ":").replace("%2C", ","))


def read(line: str) -> tuple[str, dict[str, str], str]:
    """As the runner reads a command: properties end at the first ``::`` after them."""
    match = COMMAND.match(line)
    assert match, line
    pairs = [part.partition("=") for part in match[2].split(",")]
    return match[1], {key: unescape_property(value) for key, _, value in pairs}, unescape_data(match[3])


def test_each_breach_is_placed_on_its_line() -> None:
    first, *found = [read(line) for line in annotate(failing()).splitlines()]
    assert (first[0], first[1]["title"]) == ("warning", "flash-sale: own workers")
    assert [(level, fields["line"]) for level, fields, _ in found] == [
        ("error", "35"), ("error", "37"), ("error", "38"), ("warning", "39"),
    ]  # fmt: skip
    assert all(fields["file"] == "scenarios/flash-sale.plg" for _, fields, _ in found)
    assert found[1][2].startswith("expected < 250ms during stampede, observed 312ms, first breach at 12.4s in stampede")


def test_a_passing_run_says_nothing_but_who_took_its_jobs() -> None:
    [told] = annotate(passing()).splitlines()
    assert read(told)[2] == "the jobs were taken by plg's own 2 workers, not by yours"
    assert annotate(replace(passing(), workers=None)) == ""


def test_a_stopped_run_says_so_first() -> None:
    level, fields, message = read(annotate(replace(stopped(), workers=None)).splitlines()[0])
    assert (level, fields["title"], message) == ("error", "flash-sale: STOPPED", stopped().reason)


def test_a_failing_exit_code_is_never_silent() -> None:
    assert "\n::error" in annotate(replace(passing(), exit_code=1, reason="odd"))


def test_each_fault_of_a_refused_scenario_is_placed() -> None:
    faults = [
        Diagnostic("unknown-unit", "unknown unit", "a.plg", Span(7, 3, 7, 12), help="use /s, /m or /h"),
        Diagnostic("odd", "odd, but fine", "a.plg", severity="warning"),
    ]
    first, second = (read(line) for line in annotate_invalid(ScenarioError(faults)).splitlines())
    assert first == (
        "error",
        {"file": "a.plg", "line": "7", "title": "unknown-unit"},
        "unknown unit\nhelp: use /s, /m or /h",
    )
    assert second[0] == "warning"


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_any_text_comes_back_as_it_was(message: str, title: str, file: str) -> None:
    written = command("error", message, title=title, file=file, line=3)
    assert "\n" not in written
    assert "\r" not in written
    head, _, data = written.removeprefix("::error ").partition("::")
    fields = {key: unescape_property(value) for key, _, value in (part.partition("=") for part in head.split(","))}
    assert (fields["title"], fields["file"], fields["line"]) == (
        visible(title, "\r\n"), visible(file, "\r\n"), "3",
    )  # fmt: skip
    assert unescape_data(data) == visible(message, "\r\n")


def test_a_group_folds_its_lines() -> None:
    assert group("a\nb", ["x"]) == "::group::a%0Ab\nx\n::endgroup::\n"
