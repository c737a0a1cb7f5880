"""A child process that plans what callers post: one order a line in, one answer a line out.

Documents are read, checked and planned here and not in the server itself, which serves others meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from plg.diagnostics import Diagnostic, ScenarioError
from plg.machine import shortage
from plg.measures import MEASURES
from plg.prepare import Prepared
from plg.redaction import hide_in_tracebacks, hide_known, redact
from plg.runs.order import Order, faults_to
from plg.scenario import Expectation

CURVE_POINTS = 400
_OF_THE_SERVER = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"})
"""Options of a target's URL that name files, which would be the server's own."""


def main() -> int:
    """Answer until standard input ends."""
    hide_in_tracebacks()
    os.environ.clear()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(line)) + "\n")
        sys.stdout.flush()
    return 0


def _answer(line: str) -> dict[str, Any]:
    try:
        order = Order.from_json(line)
        with order.prepared() as prepared:
            _refuse_servers_own(order, prepared)
            return _planned(prepared)
    except ScenarioError as error:
        return faults_to(error)
    except (Exception, MemoryError) as fault:
        words = shortage(fault) or f"internal error: {type(fault).__name__}: {fault}"
        return {"internal": hide_known(words)}


def _refuse_servers_own(order: Order, prepared: Prepared) -> None:
    """Raise `ScenarioError` where the target is a socket or names files: those are the server's, not the caller's."""
    address = urlsplit(prepared.scenario.target)
    named = _OF_THE_SERVER.intersection(dict(parse_qsl(address.query, keep_blank_values=True)))
    if address.scheme == "unix" or named:
        what = f"its option {min(named)} names a file" if named else "it is a socket"
        message = f"the target {redact(prepared.scenario.target)} is refused: {what} of the server"
        span = prepared.loaded.spans.nearest(("target",))
        raise ScenarioError([Diagnostic("policy-refused", message, order.file, span, path=("target",))])


def _planned(prepared: Prepared) -> dict[str, Any]:
    plan, scenario = prepared.plan, prepared.scenario
    pattern = scenario.document.get("pattern", {})
    warnings = [{"code": w.code, "message": hide_known(w.message)} for w in plan.warnings]
    warnings += [{"code": w.code, "message": hide_known(w.message)} for w in prepared.loaded.warnings]
    noted = {w["message"] for w in warnings}
    warnings += [{"code": "note", "message": text} for text in map(hide_known, prepared.notes) if text not in noted]
    return {
        "name": scenario.name,
        "document": prepared.loaded.source.document,
        "target": redact(scenario.target),
        "type": pattern.get("type") if isinstance(pattern, dict) else None,
        "plan": plan.to_document(),
        "curve": _curve(prepared),
        "limits": {name: value for name, value in asdict(prepared.limits).items() if value is not None},
        "warnings": list({(w["code"], w["message"]): w for w in warnings}.values()),
        "expectations": [_expected(each) for each in scenario.expect],
    }


def _expected(line: Expectation) -> dict[str, Any]:
    """A line that is to be judged, with what it speaks of and its bound in the measure's base unit."""
    subject = line.subject
    plain = line.relative is None and line.recovery is None and line.window is None and subject.during is None
    return {
        "text": line.text, "level": line.level, "measure": subject.measure, "aggregate": subject.aggregate,
        "op": line.op, "bound": line.bound, "unit": MEASURES[subject.measure].unit, "plain": plain,
    }  # fmt: skip


def _curve(prepared: Prepared) -> dict[str, list[float]]:
    """The rates asked for and allowed: their means (jobs/s) between neighbouring points in time (s)."""
    plan = prepared.plan
    edges = np.linspace(0.0, plan.duration, CURVE_POINTS + 1)
    width = max(plan.duration / CURVE_POINTS, 1e-9)
    return {
        "t_s": np.round(edges[:-1], 6).tolist(),
        "target": np.round(np.diff(plan.target_count(edges)) / width, 6).tolist(),
        "allowed": np.round(np.diff(plan.allowed_count(edges)) / width, 6).tolist(),
    }
