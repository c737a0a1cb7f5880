"""``plg stop``: end a test of a server."""

from __future__ import annotations

import argparse

from plg.cli.console import Console
from plg.cli.server_client import ServerClient


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 0 where it is going to end."""
    client = ServerClient.of()
    for test_id in options.tests:
        answer = client.ask("POST", f"patterns/{test_id}/stop")
        console.print(f"{answer['test_id']}: stopping")
    return 0
