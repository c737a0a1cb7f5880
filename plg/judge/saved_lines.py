"""The expectations of an outcome that was saved, read again from their texts."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from plg.diagnostics import Diagnostic, ScenarioError
from plg.language.expectation import read_expectation
from plg.outcome import Outcome
from plg.scenario import Expectation

Line = tuple[str, str | None, int | None]
"""The text of an expectation, its file and its line there."""


def lines_of(outcome: Outcome) -> list[Line]:
    """What the outcome was judged by."""
    return [(result.text, result.file, result.line) for result in outcome.expectations]


def read_lines(lines: Iterable[Line], phases: Collection[str], where: str) -> list[Expectation]:
    """What the lines mean for a run with these ``phases``; ``where`` names the outcome for people.

    Raises `ScenarioError` for a line that cannot be read, as that of another version of plg may be.
    """
    found = []
    for text, file, line in lines:
        expectation, faults = read_expectation(text, phases, file=file, line=line)
        if expectation is None:
            raise refusal("bad-expectation", f"{text!r}: {'; '.join(fault.message for fault in faults)}", where)
        found.append(expectation)
    return found


def refusal(code: str, message: str, file: str, help: str = "") -> ScenarioError:
    """A fault of a saved outcome, or of what is asked of it."""
    return ScenarioError([Diagnostic(code, message, file, help=help)])
