"""``plg lint``: all faults of every file."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import expand
from plg.diagnostics import Diagnostic, ScenarioError
from plg.diagnostics_render import render_github, render_json, render_text
from plg.language.load import lint, load
from plg.patterns.spans import spans
from plg.plan.unmeasured import ungiven, unmeasured
from plg.reports.repository import from_root, roots


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 2 when any file has an error; warnings alone are 0."""
    console.outlive_reader()
    found: list[Diagnostic] = []
    sources: dict[str, str] = {}
    files = expand(options.files)
    for file in files:
        diagnostics, text = lint(file)
        found += diagnostics
        if not any(d.severity == "error" for d in diagnostics):
            found += _unmeasured(file)
        sources[str(file)] = text
    errors = sum(d.severity == "error" for d in found)
    if options.format == "json":
        console.raw(render_json(found) + "\n")
    elif options.format == "github":
        named = roots(os.environ)
        placed = [replace(fault, file=from_root(fault.file, named) or fault.file) for fault in found]
        console.raw(render_github(placed) + ("\n" if found else ""))
    else:
        if found:
            console.print(render_text(found, sources, colour=console.colour))
        checked = f"{len(files)} file{'s' if len(files) != 1 else ''} checked"
        warnings = len(found) - errors
        console.print(f"{checked}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    return 2 if errors else 0


def _unmeasured(file: Path) -> list[Diagnostic]:
    """Lines of a valid scenario that can have no data, or look past the queue. Nothing is planned for it."""
    try:
        loaded = load(file, sends=False)
    except ScenarioError as error:
        return list(error.diagnostics)
    refused = ungiven(loaded.scenario)
    found = [("error" if finding in refused else "warning", finding) for finding in (
        *refused, *unmeasured(loaded.scenario, spans(loaded.scenario.pattern)),
    )]  # fmt: skip
    return [
        Diagnostic(
            finding.code, finding.message, str(file), loaded.source.spans.nearest(finding.path), finding.help,
            severity, finding.path,
        )
        for severity, finding in found
    ]  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
