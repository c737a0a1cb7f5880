"""``plg plan``: what would be sent, drawn or as JSON."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import for_file, request, usage_error
from plg.measures import ON_LATENCY
from plg.plan.unmeasured import asks_for_latency
from plg.prepare import Prepared, prepare
from plg.reports import terminal


def run(options: argparse.Namespace, console: Console) -> int:
    """Plan one scenario; nothing is opened and nothing sent."""
    scenario = Path(options.file)
    prepared = prepare(scenario, for_file(request(options), scenario))
    if options.arrivals == "-":
        if options.json:
            raise usage_error("--json and --arrivals - cannot share standard output", "name a file: --arrivals a.csv")
        for text in _arrivals(prepared):
            console.raw(text)
        return 0
    if options.arrivals:
        with Path(options.arrivals).open("w", newline="", encoding="utf-8") as file:
            file.writelines(_arrivals(prepared))
    if options.json:
        console.raw(json.dumps(prepared.plan.to_document(), indent=2) + "\n")
        return 0
    drawing = terminal.draw_plan(prepared.plan, width=console.width, colour=console.colour, ascii_only=console.ascii)
    console.print(drawing.rstrip("\n"))
    for note in (*prepared.notes, *_on_latency(prepared)):
        console.print("\n".join(terminal.remark("note:", note, console.width)))
    return 0


def _on_latency(prepared: Prepared) -> list[str]:
    """What latency is, where a line asks for it and no warning says so."""
    asked = any(map(asks_for_latency, prepared.scenario.expect))
    warned = any(warning.code == "queue-not-judged" for warning in prepared.plan.warnings)
    return [ON_LATENCY] if asked and not warned else []


def _arrivals(prepared: Prepared) -> Iterator[str]:
    """The CSV of every arrival, a piece at a time, so that any number of them fits in memory."""
    plan = prepared.plan
    names = [job.name for job in prepared.scenario.jobs]
    yield "seq,due_s,job,phase\r\n"
    for chunk in plan.chunks():
        phases = plan.phase_names(chunk.due)
        piece = io.StringIO(newline="")
        csv.writer(piece).writerows(
            (int(seq), f"{due:.9f}", names[kind], phase)
            for seq, due, kind, phase in zip(chunk.seq, chunk.due, chunk.kind, phases, strict=True)
        )
        yield piece.getvalue()
