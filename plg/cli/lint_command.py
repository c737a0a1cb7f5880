"""``plg lint``: all faults of every file."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import expand, usage_error
from plg.diagnostics import Diagnostic, ScenarioError
from plg.diagnostics_render import render_github, render_json, render_text
from plg.language.load import SUFFIXES, lint_source, load_source, read_source, read_text
from plg.language.source import Source, bounded, decode
from plg.patterns.spans import spans
from plg.plan.unmeasured import ungiven, unmeasured
from plg.reports.repository import from_root, roots


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 2 when any file has an error; warnings alone are 0."""
    console.outlive_reader()
    found: list[Diagnostic] = []
    sources: dict[str, str] = {}
    if not options.files and not options.stdin:
        raise usage_error("plg lint needs a FILE, or --stdin", "for example: plg lint scenarios/*.plg")
    files = _standard_input(options.files) if options.stdin else expand(options.files)
    for file in files:
        try:
            source = _typed(file) if options.stdin else read_source(file)
        except ScenarioError as error:
            found += error.diagnostics
            continue
        diagnostics, sources[str(file)] = lint_source(source)
        found += diagnostics
        if not any(d.severity == "error" for d in diagnostics):
            found += _unmeasured(source)
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


def _standard_input(named: list[str]) -> list[Path]:
    """What the text on standard input is called: the file that an editor has open."""
    if len(named) > 1:
        raise usage_error("--stdin reads one scenario", "name the one file that its text belongs to, or none")
    return [Path(named[0] if named else "stdin.plg")]


def _typed(file: Path) -> Source:
    """The text on standard input, as if it stood in this ``file``. Raises `ScenarioError`."""
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise usage_error(f"{file} is not the name of a scenario file", f"known: {', '.join(SUFFIXES)}")
    text = decode(bounded(sys.stdin.buffer, str(file)), str(file))
    return read_text(text, str(file), suffix, file.parent)


def _unmeasured(source: Source) -> list[Diagnostic]:
    """Lines of a valid scenario that can have no data, or look past the queue. Nothing is planned for it."""
    try:
        loaded = load_source(source, sends=False)
    except ScenarioError as error:
        return list(error.diagnostics)
    refused = ungiven(loaded.scenario)
    found = [("error" if finding in refused else "warning", finding) for finding in (
        *refused, *unmeasured(loaded.scenario, spans(loaded.scenario.pattern)),
    )]  # fmt: skip
    return [
        Diagnostic(
            finding.code, finding.message, source.file, loaded.source.spans.nearest(finding.path), finding.help,
            severity, finding.path,
        )
        for severity, finding in found
    ]  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
