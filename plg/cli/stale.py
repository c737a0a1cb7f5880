"""What an earlier command left in a folder of artifacts, where this one ended before it could write there itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plg.reports.shared_folder import SharedFolder

_DEFAULT = {"check": "plg-report", "merge": "plg-report", "judge": None}
"""The commands that write artifacts, and where to unless they are told."""


def redden(arguments: Sequence[str], reason: str) -> None:
    """Put ``reason`` as an error in the place of the ``junit.xml`` that lies where the command would have written one.

    The ``arguments`` need not be such that they could be read as a whole.
    """
    if not arguments or arguments[0] not in _DEFAULT:
        return
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--out", default=_DEFAULT[arguments[0]])
    parser.add_argument("--shard", default="")
    try:
        given, _ = parser.parse_known_args(list(arguments[1:]))
    except argparse.ArgumentError:  # an option without its value, at the end
        given = argparse.Namespace(out=_DEFAULT[arguments[0]], shard="")
    if given.out is None:
        return
    from plg.reports.shared_folder import SharedFolder, junit_name

    number, _, of = given.shard.partition("/")
    shard = (int(number) - 1, int(of)) if number.isdecimal() and of.isdecimal() else None
    folder = SharedFolder(Path(given.out), junit_name(shard))
    if folder.document.exists():
        _write(folder, arguments[0], reason)


def _write(folder: SharedFolder, command: str, reason: str) -> None:
    from plg.diagnostics import Diagnostic, ScenarioError
    from plg.reports.junit import InvalidScenario, combine, junit

    fault = ScenarioError([Diagnostic("usage", reason, "<command line>")])
    with suppress(OSError):
        folder.publish(junit([InvalidScenario(f"plg {command}", fault)]), combine)
    folder.leave()
