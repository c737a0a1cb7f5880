"""``plg schema``: the JSON Schemas."""

from __future__ import annotations

import argparse

from plg.cli.console import Console
from plg.resources import read_text


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the authored file as it is."""
    console.raw(read_text("schemas", f"{options.which}.schema.json"))
    return 0
