"""``plg policy``: whether the policy files can be read, and which rule decides about a run."""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from plg.cli.console import Console
from plg.cli.files import target, usage_error
from plg.guardrails.explain import Decision, explain
from plg.guardrails.policy import Policy, account_name
from plg.guardrails.policy_file import find_policy, read_policy, with_neighbours
from plg.guardrails.terms import Asked
from plg.judge.verdict import PASS, USAGE
from plg.redaction import redact
from plg.reports.terminal import last_line
from plg.units import format_rate


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 0 where all can be read, or the run is allowed; else 2, as ``plg check`` would end."""
    return _check(options, console) if options.action == "check" else _explain(options, console)


def _check(options: argparse.Namespace, console: Console) -> int:
    policy = (
        Policy(tuple(read_policy(Path(file)) for file in options.files)) if options.files else _found(options, None)
    )
    if policy is None:
        raise usage_error("no policy holds here", "write plg-policy.yaml, or name a file")
    for file in policy.files:
        environments = ", ".join(rule.name for rule in file.environments) or "none"
        users = ", ".join(rule.name for rule in file.users) or "none"
        console.print(f"{file.file}: environments {environments}; user rules {users}")
    count = len(policy.files)
    said = f"{count} policy file{'s' * (count != 1)} can be read"
    console.print(last_line(PASS, said, colour=console.colour))
    return PASS


def _found(options: argparse.Namespace, file: Path | None) -> Policy | None:
    policy = find_policy(options.policy, os.environ, Path.cwd())
    return policy if file is None else with_neighbours(policy, file.absolute().parent)


def _explain(options: argparse.Namespace, console: Console) -> int:
    file = None if options.file is None else Path(options.file)
    policy = _found(options, file)
    asked = Asked(
        target(options.target) or "", options.account or account_name(), options.role, options.env,
        tuple(options.queue) or None, options.rate, _moment(options.at), options.lasting or 0.0,
    )  # fmt: skip
    if file is not None:
        asked = _of_scenario(file, asked, options)
    if not asked.target:
        raise usage_error("plg policy explain needs a scenario, or --target URL")
    decision = explain(policy, asked)
    if options.json:
        document: dict[str, Any] = decision.document()
        document["asked"]["target"] = redact(asked.target)
        console.raw(json.dumps(document, indent=2) + "\n")
    else:
        _tell(decision, console)
    return PASS if decision.allowed else USAGE


def _of_scenario(file: Path, asked: Asked, options: argparse.Namespace) -> Asked:
    """What a scenario would ask for, where the command line does not say otherwise."""
    from plg.prepare import Request, prepare

    found = prepare(file, Request({}, target(options.target), sends=False))
    scenario, plan = found.scenario, found.plan
    return replace(
        asked, target=asked.target or scenario.target,
        queues=asked.queues or tuple(dict.fromkeys(job.queue.name for job in scenario.jobs)),
        rate=min(plan.peak_rate, scenario.guardrails.max_rate) if asked.rate is None else asked.rate,
        lasting=asked.lasting or min(plan.duration, scenario.guardrails.max_duration),
    )  # fmt: skip


def _moment(text: str | None) -> float:
    """``--at`` in seconds since the epoch; now where it is left out. Without a zone it is UTC."""
    if text is None:
        return time.time()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise usage_error(f"--at takes a date and time, not {text!r}", "for example 2040-01-31T18:30:00Z") from None
    return moment.timestamp() if moment.tzinfo else datetime.fromisoformat(f"{text}+00:00").timestamp()


def _tell(decision: Decision, console: Console) -> None:
    for step in decision.steps:
        mark = "refuses" if step.refuses else "applies" if step.applies else "does not apply"
        console.print(f"{step.rule}: {mark}: {step.why}")
        for words in (step.refuses, *step.sets):
            if words:
                console.print(f"    {words}")
    rate = format_rate(decision.max_rate)
    if decision.allowed:
        asked = decision.asked.rate
        more = f"; what is asked, {format_rate(asked)}, is clipped" if asked and asked > decision.max_rate else ""
        said = f"allowed, with at most {rate}{more} ({decision.decides})"
    else:
        said = f"refused by {decision.decides}"
    console.print(last_line(PASS if decision.allowed else USAGE, said, colour=console.colour))
