"""``plg fmt``: canonical layout, comments kept."""

from __future__ import annotations

import argparse

from plg.cli.console import Console
from plg.cli.files import expand, usage_error
from plg.diagnostics import ScenarioError
from plg.language.format import format_text

UNFORMATTED = 3


def run(options: argparse.Namespace, console: Console) -> int:
    """Rewrite the files, or with --check only tell which would change (exit 3)."""
    code = changed = 0
    for file in expand(options.files):
        if file.suffix != ".plg":
            raise usage_error(
                f"{file} is not a .plg file", "plg fmt lays out the DSL; YAML and JSON have formatters of their own"
            )
        try:
            text = file.read_bytes().decode("utf-8", "surrogateescape")
            laid_out = format_text(text, str(file))
        except ScenarioError as error:
            console.diagnostics(error.diagnostics, error.sources)
            code = 2
            continue
        if laid_out != text:
            changed += 1
            console.print(f"{'would lay out' if options.check else 'laid out'} {file}")
            if not options.check:
                file.write_text(laid_out, encoding="utf-8")
    return code or (UNFORMATTED if options.check and changed else 0)
