"""Annotations for GitHub Actions: workflow commands that place a breach on its line of the scenario."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plg.diagnostics import ScenarioError
from plg.escaping import command_data, command_property
from plg.notices import notices
from plg.outcome import ExpectationResult, Outcome
from plg.reports import wording
from plg.reports.repository import from_root


def annotate(outcome: Outcome, roots: Sequence[Path] | None = None) -> str:
    """One ``::error`` a failed expectation and one ``::warning`` a failed warning; empty when all hold.

    What every report says first (no job was taken from the queue, say) is a ``::warning`` each. A run that went wrong
    as a whole (invalid, stopped, target lost, interrupted) adds one ``::error`` with its reason. Files are named from
    the root of their repository, where ``roots`` are given (see `from_root`). Each line ends in a newline.
    """
    lines = [_annotation(outcome, result, roots) for result in outcome.expectations if result.verdict != "pass"]
    silent = not any(line.startswith("::error") for line in lines)
    if outcome.verdict not in ("pass", "fail") or (outcome.exit_code and silent):
        title = f"{outcome.name}: {wording.VERDICT_WORDS[outcome.verdict]}"
        lines.insert(0, command("error", outcome.reason, title=title, file=from_root(outcome.scenario_file, roots)))
    file = from_root(outcome.scenario_file, roots)
    first = [
        command("warning", notice.text, title=f"{outcome.name}: {notice.title}", file=file)
        for notice in notices(outcome)
    ]
    lines = [*first, *lines]
    return "".join(f"{line}\n" for line in lines)


def annotate_invalid(error: ScenarioError, roots: Sequence[Path] | None = None) -> str:
    """One annotation a fault of a scenario that was refused. See `annotate`."""
    lines = []
    for fault in error.diagnostics:
        level = "warning" if fault.severity == "warning" else "error"
        message = f"{fault.message}\nhelp: {fault.help}" if fault.help else fault.message
        span = fault.span
        file = None if fault.file.startswith("<") else from_root(fault.file, roots)  # <command line> is no file
        lines.append(command(level, message, title=fault.code, file=file, line=span.line if span else None))
    return "".join(f"{line}\n" for line in lines)


def command(level: str, message: str, *, title: str = "", file: str | None = None, line: int | None = None) -> str:
    """One workflow command, escaped by the rules of the runner."""
    properties = [("file", file), ("line", None if line is None else str(line)), ("title", title)]
    written = ",".join(f"{name}={command_property(value)}" for name, value in properties if value)
    return f"::{level} {written}::{command_data(message)}" if written else f"::{level}::{command_data(message)}"


def group(title: str, lines: Sequence[str]) -> str:
    """``lines`` folded under ``title`` in the log of the job."""
    return "\n".join([f"::group::{command_data(title)}", *lines, "::endgroup::"]) + "\n"


def _annotation(outcome: Outcome, result: ExpectationResult, roots: Sequence[Path] | None) -> str:
    level = "warning" if result.level == "warn" else "error"
    return command(
        level,
        f"{wording.breach(result)}\n{result.text}",
        title=f"{outcome.name}: {result.text}",
        file=from_root(result.file or outcome.scenario_file, roots),
        line=result.line,
    )
