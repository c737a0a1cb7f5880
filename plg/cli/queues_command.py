"""``plg queues``: the formats that jobs can be written in."""

from __future__ import annotations

import argparse
import json
import textwrap

from plg.cli.console import Console
from plg.measures import FAR
from plg.queues.base import Format, Job, Queue
from plg.queues.registry import format_of, names
from plg.queues.tracing import Tracing

_OF_ALL = ("queue_depth", "backlog_slope", "queue_age", "drain_time")
_GAUGES = ("in_flight", "delayed", "workers")
_ORDER = (
    "call",
    "args",
    "kwargs",
    "payload",
    "priority",
    "delay",
    "timeout",
    "retry",
    "backoff",
    "encoding",
    "enqueued_at",
)


def run(options: argparse.Namespace, console: Console) -> int:
    """Print each format: what it is, what a job says in it, what its queue takes beside its name, what is measured."""
    formats = [format_of(name) for name in names()]
    if options.json:
        console.raw(json.dumps([_document(each) for each in formats], indent=2) + "\n")
        return 0
    for each in formats:
        console.raw(f'queue {each.name} "NAME"\n  {each.meaning}\n')
        console.raw(f"  a job says: {', '.join(_said(each))}\n")
        console.raw(_wrapped(f"measured: {', '.join(_measures(each))}", console.width))
        console.raw(f"  what its workers did: {_told(each)}\n")
        for name, meaning in each.settings.items():
            console.raw(f"  setting {name}: {meaning}\n")
    return 0


def _said(form: Format) -> list[str]:
    return sorted(form.expresses, key=_ORDER.index)


def _wrapped(text: str, width: int) -> str:
    lines = textwrap.wrap(text, max(30, width - 2), subsequent_indent="  ")
    return "".join(f"  {line}\n" for line in lines)


def _measures(form: Format) -> list[str]:
    """What is measured of a queue and its jobs where no worker tells of anything."""
    told = [*_OF_ALL, *(name for name in _GAUGES if name in form.gauges)]
    if "workers" in form.gauges:
        told.append("flaps")
    traces = form.traces([_job(form)], "")
    if traces is not None and not traces.blind:
        told.append("residue")
    return [*told, *_measured(form)["own"]]


def _job(form: Format) -> Job:
    return Job("work", Queue(form.name, "NAME"), call="call")


def _tracing(form: Format) -> Tracing | None:
    return form.tracing(_job(form), "")


def _told(form: Format) -> str:
    """How it is learnt what became of a job."""
    tracing = _tracing(form)
    if tracing is None:
        return "not known"
    if tracing.read is None:
        return "told by workers that have plg.worker, or write its entry"
    but = " and ".join(name for name, _ in tracing.untold)
    return f"read from {tracing.source}" + (f"; {but} from workers that have plg.worker" if but else "")


def _measured(form: Format) -> dict[str, list[str]]:
    """Measures of the workers by who tells of them: the framework's ``own`` records, or ``workers`` with plg.worker."""
    tracing = _tracing(form)
    if tracing is None:
        return {"own": [], "workers": []}
    untold = set(FAR) if tracing.read is None else {name for name, _ in tracing.untold}
    return {"own": [name for name in FAR if name not in untold], "workers": [name for name in FAR if name in untold]}


def _document(form: Format) -> dict[str, object]:
    return {
        "kind": form.name,
        "meaning": form.meaning,
        "expresses": _said(form),
        "settings": dict(form.settings),
        "reference_workers": form.taken is not None,
        "measures": _measures(form),
        "far_side": _measured(form),
    }
