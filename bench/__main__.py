"""``python -m bench``: every contest, then results.json, table.md and chart.svg beside this file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.chart import chart
from bench.contests import FULL, QUICK, contests, hold_contest, medians
from bench.goals import judge
from bench.peers import find_peers
from bench.server import machine as this_machine
from bench.server import private_server
from bench.table import table


def main(words: Sequence[str]) -> int:
    """Exit code 0 whether or not the goals are met: this measures, and the table says what it found."""
    options = parse(words)
    size = QUICK if options.quick else FULL
    rounds = options.rounds or size.rounds
    peers = find_peers(install=not options.no_install)
    started, load = datetime.now(UTC).isoformat(timespec="seconds"), _load()
    found: dict[str, Any] = {}
    with private_server() as server:
        for contest in contests(peers, size):
            if options.only and contest.name not in options.only:
                continue
            print(contest.title, file=sys.stderr, flush=True)
            rows, failed = hold_contest(contest, server, rounds)
            found[contest.name] = {
                "title": contest.title,
                "rounds": contest.rounds or rounds,
                "failed": failed,
                "entries": {name: medians(figures) for name, figures in rows.items()},
                "raw": rows,
            }
        machine = this_machine() | {"server": server.version, "load_before": load, "load_after": _load()}
    goals = judge({name: contest["entries"] for name, contest in found.items()})
    results = {
        "started_at": started,
        "quick": options.quick,
        "rounds": rounds,
        "machine": machine,
        "versions": peers.versions,
        "skipped": peers.skipped,
        "contests": found,
        "goals": [asdict(goal) | {"met": goal.met} for goal in goals],
    }
    write(results, options.out)
    return 0


def write(results: dict[str, Any], folder: Path) -> None:
    """results.json, table.md and chart.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    page = table(results)
    (folder / "table.md").write_text(page)
    (folder / "chart.svg").write_text(chart(results))
    print(page)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, for trying; writes into .cache/bench/quick")
    parser.add_argument("--rounds", type=int, help="instead of five (two with --quick)")
    parser.add_argument("--only", action="append", metavar="CONTEST", help="one by name; may be repeated")
    parser.add_argument("--no-install", action="store_true", help="measure only the rivals that are already there")
    parser.add_argument("--out", type=Path, help="folder for the three files (default: bench/)")
    options = parser.parse_args(words)
    if options.out is None:
        here = Path(__file__).parent
        options.out = here.parent / ".cache" / "bench" / "quick" if options.quick or options.only else here
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
