"""``plg target``: the interlock that a server carries: allow load there, stop all runs, let them begin again, look."""

from __future__ import annotations

import argparse
import json
import socket
import time
from contextlib import closing
from typing import Any

from plg.cli.console import Console
from plg.cli.files import target_named, usage_error
from plg.guardrails.policy import account_name
from plg.judge.verdict import PASS, TARGET
from plg.redaction import hide_known
from plg.reports.terminal import last_line
from plg.targets.base import TargetError
from plg.targets.interlock import LEASES, Allowance, Interlock, stop_words
from plg.targets.open import open_target
from plg.units import format_duration, format_rate

DEFAULT_RATE = 100.0
"""Jobs/s that an allowance is for unless it says otherwise."""
DEFAULT_TIME = 3600.0
"""Seconds that it lasts."""


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 0 where it was done; 6 where the server could not be asked."""
    where = target_named(options.target)
    if "://" not in where:
        raise usage_error(f"the target must be the URL of a server, not {where!r}")
    done = {"allow": _allow, "stop": _stop, "resume": _resume, "show": _show}[options.action]
    try:
        with open_target(where, (), wait=options.wait) as target, closing(Interlock(target)) as interlock:
            said = done(options, console, interlock, target.address.shown)
    except TargetError as error:
        console.print(last_line(TARGET, hide_known(str(error)), colour=console.colour))
        return TARGET
    if said:
        console.print(last_line(PASS, said, colour=console.colour))
    return PASS


def _me() -> str:
    return f"{account_name()}@{socket.gethostname()}"


def _allow(options: argparse.Namespace, console: Console, interlock: Interlock, shown: str) -> str:
    if options.revoke:
        return f"{shown} carries no allowance any more" if interlock.withdraw() else f"{shown} carried no allowance"
    given = Allowance(
        options.max_rate or DEFAULT_RATE, 0.0, options.max_jobs or float("inf"),
        options.max_duration or float("inf"), _me(),
    )  # fmt: skip
    lasting = options.lasting or DEFAULT_TIME
    interlock.allow(given, lasting)
    if interlock.look().stop is not None:
        console.error(f"runs there are stopped: plg target resume {shown} lets them begin")
    return f"{shown} may be loaded with {_bounds(given)} for {format_duration(lasting)}"


def _stop(options: argparse.Namespace, console: Console, interlock: Interlock, shown: str) -> str:
    del console
    going = len(interlock.leases())
    interlock.stop(_me(), options.reason, options.lasting)
    until = "plg target resume" if options.lasting is None else f"{format_duration(options.lasting)} are over"
    told = f"; {going} with a lease when it was asked" if going else ""
    return f"all runs on {shown} stop, and none begins until {until}{told}"


def _resume(options: argparse.Namespace, console: Console, interlock: Interlock, shown: str) -> str:
    del options, console
    return f"runs on {shown} may begin again" if interlock.resume() else f"runs on {shown} were not stopped"


def _show(options: argparse.Namespace, console: Console, interlock: Interlock, shown: str) -> str:
    seen, leases = interlock.look(), interlock.leases()
    allowed = None if seen.allow is None else Allowance.read(seen.allow)
    if options.json:
        stop: dict[str, Any] | None = None
        if seen.stop is not None:
            by, why = stop_words(seen.stop)
            stop = {"by": by, "reason": why, "ends_in_s": interlock.stop_ends_in()}
        document = {
            "target": shown, "allow": None if allowed is None else allowed.document(), "stopped": stop, "runs": leases,
        }  # fmt: skip
        console.raw(hide_known(json.dumps(document, indent=2)) + "\n")
        return ""
    if allowed is not None:
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(allowed.until))
        console.print(f"allowed: {_bounds(allowed)} until {until}, by {allowed.by or 'somebody'}")
    else:
        console.print("allowed: there is no allowance; where the policy asks for one, no run begins")
    if seen.stop is not None:
        by, why = stop_words(seen.stop)
        left = interlock.stop_ends_in()
        until = "until plg target resume" if left is None else f"for another {format_duration(round(left))}"
        console.print(f"stopped {until}, by {by}" + (f": {why}" if why else ""))
    for lease in leases:
        where = f"{lease.get('account', '?')}@{lease.get('host', '?')}"
        console.print(f"  {format_rate(float(lease['rate']))}  {lease['run']}  {lease.get('scenario', '')}  {where}")
    total = sum(float(lease["rate"]) for lease in leases)
    if allowed is None and not leases:
        return f"no lease is kept in {LEASES}"
    return f"{len(leases)} of the runs that go on hold a lease, {format_rate(total)} together"


def _bounds(allowed: Allowance) -> str:
    """What is allowed, in words."""
    parts = [f"{format_rate(allowed.max_rate)} by all runs together"]
    if allowed.max_total_jobs != float("inf"):
        parts.append(f"{allowed.max_total_jobs:,.0f} jobs a run")
    if allowed.max_duration != float("inf"):
        parts.append(f"{format_duration(allowed.max_duration)} a run")
    return ", ".join(parts)
