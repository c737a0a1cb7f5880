"""``plg doctor``: what is at a target, and what of it would surprise."""

from __future__ import annotations

import argparse
import json
import time

from plg.cli.console import Console
from plg.cli.files import target, usage_error
from plg.diagnostics import Diagnostic, ScenarioError
from plg.judge.verdict import TARGET
from plg.language.check_target import target_fault
from plg.redaction import hide_known
from plg.reports.diagnosis import drawn
from plg.target_url import WORDS, normalized, wait_of
from plg.targets.base import TargetError
from plg.targets.doctor.diagnosis import Diagnosis
from plg.targets.doctor.examination import examine
from plg.targets.faults import NOBODY

_APART = 0.25
"""Seconds between two attempts to reach a server that is waited for."""


def run(options: argparse.Namespace, console: Console) -> int:
    """Print the diagnosis; warnings are no failure."""
    where = normalized(target(options.target) or "")
    fault = target_fault(where)
    if fault is not None:
        raise ScenarioError([Diagnostic(fault.code, fault.message, file="<command line>", help=fault.help)])
    if where in WORDS:
        raise usage_error(f"{where} is made for each run, and holds nothing before it", "give the URL of a server")
    try:
        found = _examined(where, wait_of(where) if options.wait is None else options.wait)
    except TargetError as error:
        console.error(f"exit {TARGET}: {hide_known(error.message)}" + f" ({_advice(error)})" * bool(_advice(error)))
        return TARGET
    if options.json:
        console.raw(hide_known(json.dumps(found.document(), indent=2)) + "\n")
        return 0
    lines = drawn(found, width=console.width, colour=console.colour, ascii_only=console.ascii)
    console.print(hide_known("\n".join(lines)))
    return 0


def _examined(where: str, wait: float) -> Diagnosis:
    """The diagnosis, also of a server that comes up within ``wait`` (s). Raises `TargetError`."""
    until = time.monotonic() + wait
    while True:
        try:
            return examine(where)
        except TargetError as error:
            if not error.passing or time.monotonic() >= until:
                raise
        time.sleep(_APART)


def _advice(error: TargetError) -> str:
    """What to do; where nobody listens there, in the words of this command."""
    return _HERE if error.advice == NOBODY else error.advice


_HERE = "is a server there? --wait 30s waits for one to come up"
