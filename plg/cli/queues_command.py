"""``plg queues``: the formats that jobs can be written in."""

from __future__ import annotations

import argparse
import json

from plg.cli.console import Console
from plg.queues.base import Format
from plg.queues.registry import format_of, names

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
    """Print each format: what it is, what a job says in it and what its queue takes beside its name."""
    formats = [format_of(name) for name in names()]
    if options.json:
        console.raw(json.dumps([_document(each) for each in formats], indent=2) + "\n")
        return 0
    for each in formats:
        console.raw(f'queue {each.name} "NAME"\n  {each.meaning}\n')
        console.raw(f"  a job says: {', '.join(_said(each))}\n")
        for name, meaning in each.settings.items():
            console.raw(f"  setting {name}: {meaning}\n")
    return 0


def _said(form: Format) -> list[str]:
    return sorted(form.expresses, key=_ORDER.index)


def _document(form: Format) -> dict[str, object]:
    return {
        "kind": form.name,
        "meaning": form.meaning,
        "expresses": _said(form),
        "settings": dict(form.settings),
        "reference_workers": form.taken is not None,
    }
