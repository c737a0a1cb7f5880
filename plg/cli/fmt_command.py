"""``plg fmt``: canonical layout, comments kept."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import expand, usage_error
from plg.diagnostics import ScenarioError
from plg.language.format import format_text
from plg.language.source import decode, read_bytes

UNFORMATTED = 3


def run(options: argparse.Namespace, console: Console) -> int:
    """Rewrite the files, or with --check only tell which would change (exit 3)."""
    console.outlive_reader()
    code = changed = 0
    for file in expand(options.files):
        if file.suffix != ".plg":
            raise usage_error(
                f"{file} is not a .plg file", "plg fmt lays out the DSL; YAML and JSON have formatters of their own"
            )
        try:
            raw = read_bytes(file)
            laid_out = format_text(decode(raw, str(file)), str(file)).encode()
        except ScenarioError as error:
            console.diagnostics(error.diagnostics, error.sources)
            code = 2
            continue
        if laid_out != raw:
            changed += 1
            console.print(f"{'would lay out' if options.check else 'laid out'} {file}")
            if not options.check:
                _replace(file, laid_out)
    return code or (UNFORMATTED if options.check and changed else 0)


def _replace(file: Path, content: bytes) -> None:
    """Write the whole of it or nothing: beside the file first, and then in its place, with its rights."""
    file = file.resolve()  # a link stays one
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        shutil.copymode(file, draft)
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
