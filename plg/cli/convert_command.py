"""``plg convert``: the same document in another spelling."""

from __future__ import annotations

import argparse
from pathlib import Path

from plg.cli.console import Console
from plg.diagnostics import Diagnostic, ScenarioError
from plg.language.load import lint, read_source
from plg.language.write import write_json, write_plg, write_yaml


def run(options: argparse.Namespace, console: Console) -> int:
    """A file with faults is refused, so that what is written is always a scenario."""
    file = Path(options.file)
    diagnostics, text = lint(file)
    errors = [d for d in diagnostics if d.severity == "error"]
    if errors:
        raise ScenarioError(errors, {str(file): text})
    document = read_source(file).document
    params = document.get("params", {})
    if options.to == "plg" and any(isinstance(param, dict) and "value" in param for param in params.values()):
        message = f"{file} was saved without values that came from the environment"
        raise ScenarioError(
            [Diagnostic("withheld-value", message, str(file), help="convert the file that it was made from")]
        )
    writer = {"plg": write_plg, "yaml": write_yaml, "json": write_json}[options.to]
    console.raw(writer(document))
    return 0
