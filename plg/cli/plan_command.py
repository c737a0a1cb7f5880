"""``plg plan``: what would be sent, drawn or as JSON."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import request
from plg.reports import terminal
from plg.session import Prepared, prepare


def run(options: argparse.Namespace, console: Console) -> int:
    """Plan one scenario; nothing is opened and nothing sent."""
    prepared = prepare(Path(options.file), request(options))
    if options.arrivals:
        _write_arrivals(prepared, Path(options.arrivals))
    if options.json:
        console.raw(json.dumps(prepared.plan.to_document(), indent=2) + "\n")
        return 0
    drawing = terminal.draw_plan(prepared.plan, width=console.width, colour=console.colour, ascii_only=console.ascii)
    console.print(drawing.rstrip("\n"))
    for note in prepared.notes:
        console.print(f"  note: {note}")
    return 0


def _write_arrivals(prepared: Prepared, path: Path) -> None:
    plan = prepared.plan
    names = [job.name for job in prepared.scenario.jobs]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("seq", "due_s", "job", "phase"))
        for chunk in plan.chunks():
            phases = plan.phase_names(chunk.due)
            rows.writerows(
                (int(seq), f"{due:.9f}", names[kind], phase)
                for seq, due, kind, phase in zip(chunk.seq, chunk.due, chunk.kind, phases, strict=True)
            )
