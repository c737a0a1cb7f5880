"""``python -m bench.queues``: plg beside every framework's own client; results.json, table.md and chart.svg here.

One interleaved run: each round asks every framework's client for jobs one at a time and many at once, then plg for the
same jobs as fast as it can and at 10,000 a second.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.chart import panels
from bench.contests import Contest, hold_contest, medians, most, plain
from bench.entrants import Entry, Figures, plg
from bench.goals import Goal
from bench.queues.clients import CLIENTS, MANY, ONE, Client
from bench.server import Server, free_port, machine, private_server

RATE = 10_000
LEAST, ONE_LPUSH = 50_000, 250_000
"""Jobs a second that plg must reach in every format, and in those that need one LPUSH a job."""
LPUSH = ("celery", "sidekiq", "taskiq", "huey")
TWENTY = ("rq", "celery", "arq", "dramatiq")
"""Where plg must be twenty times as fast as a call a job."""
Found = dict[str, dict[str, dict[str, float]]]


def entries(client: Client, jobs: int, few: int, hold_s: float) -> dict[str, tuple[Entry, bool]]:
    """What is asked of one framework: the entry, and whether it is as fast as can be."""
    kind = client.kind
    found = {f"{client.one}, one at a time": (client.entry(few, ONE), True)}
    if client.many:
        found[client.many] = (client.entry(few * 5, MANY), True)
    found["plg"] = (plg(1e7, jobs / 1e7, "--kind", kind, "--queue", "bench"), True)
    found["plg, 10,000/s"] = (plg(RATE, hold_s, "--held", "--kind", kind, "--queue", "bench"), False)
    return found


def measured(entry: Entry, fast: bool, server: Server) -> Figures:
    """One round: as fast as can be with what it costs both sides, or as it is held."""
    return most(server, entry) if fast else entry(server)


def measure(server: Server, rounds: int, few: int, jobs: int, hold_s: float) -> Iterator[tuple[str, Found, Any]]:
    """Each framework's medians, and what failed; or why it takes no part."""
    for client in CLIENTS:
        reason = client.install()
        if reason:
            yield client.kind, {}, reason
            continue
        asked = entries(client, jobs, few, hold_s)
        contest = Contest(
            client.kind, f"{client.kind}'s own client beside plg",
            {name: partial(measured, entry, fast) for name, (entry, fast) in asked.items()}, plain,
        )  # fmt: skip
        rows, failed = hold_contest(contest, server, rounds)
        yield client.kind, {name: medians(figures) for name, figures in rows.items()}, failed


def goals(found: Mapping[str, Any]) -> list[Goal]:
    """What plg promises of every format."""

    def figure(kind: str, entry: str, name: str) -> float | None:
        told = found[kind].get(entry, {}).get(name)
        return None if told is None else told["median"]

    made = []
    for kind, told in found.items():
        if not told:
            continue
        rate, slow = figure(kind, "plg", "jobs_s"), figure(kind, next(iter(told)), "jobs_s")
        if kind in TWENTY:
            ratio = rate / slow if rate and slow else None
            made.append(Goal(kind, f"{kind}: plg over a call a job", ratio, at_least=20))
        made.append(Goal(kind, f"{kind}: jobs a second", rate, at_least=ONE_LPUSH if kind in LPUSH else LEAST))
        lag = figure(kind, "plg, 10,000/s", "lag_p99_ms")
        made.append(Goal(kind, f"{kind}: p99 lag at 10,000/s, ms", lag, at_most=2.0))
    return made


def table(results: Mapping[str, Any]) -> str:
    """The results as a Markdown page."""
    about = results["machine"]
    lines = [
        "# plg beside the frameworks' own clients", "",
        f"{results['started_at']}, {about['system']}, {about['cpus']} CPUs ({about['cpu']}), Python {about['python']}, "
        f"{results['server']}, over TCP on the loopback. Medians of {results['rounds']} interleaved rounds, one "
        "process each, 80 bytes of argument. Load average "
        f"{results['load_before']} before and {results['load_after']} after.", "",
        "| framework | how | jobs/s | plg does | client CPU, µs a job | server CPU, µs a job | p99 lag, ms |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for kind, told in results["frameworks"].items():
        best = told.get("plg", {}).get("jobs_s", {}).get("median")
        for entry, figures in told.items():
            lines.append(_row(kind, entry, {name: each["median"] for name, each in figures.items()}, best))
    lines += ["", "## Goals", "", "| goal | bound | observed | |", "|---|---:|---:|---|"]
    for goal in results["goals"]:
        bound = f"≥ {goal['at_least']:,g}" if goal["at_least"] is not None else f"≤ {goal['at_most']:g}"
        seen = "not measured" if goal["observed"] is None else f"{goal['observed']:,.4g}"
        lines.append(f"| {goal['text']} | {bound} | {seen} | {'met' if goal['met'] else '**missed**'} |")
    if results["skipped"]:
        lines += ["", "## Not measured", "", *(f"- {kind}: {why}" for kind, why in results["skipped"].items())]
    lines += ["", "## Versions", "", *(f"- {kind}: {version}" for kind, version in results["versions"].items())]
    return "\n".join(lines) + "\n"


def _row(kind: str, entry: str, figures: Mapping[str, float], best: float | None) -> str:
    held = "jobs_s" not in figures
    cpu = figures["cpu_s"] / figures["jobs"] * 1e6
    ahead = f"{best / figures['jobs_s']:,.1f} times" if best and not held and entry != "plg" else ""
    rate = f"{figures['jobs'] / figures['wall_s']:,.0f}"
    server = f"{figures['server_us_job']:.2f}" if not held else ""
    lag = f"{figures['lag_p99_ms']:.2f}" if held else ""
    return f"| {kind} | {entry} | {rate} | {ahead} | {cpu:.2f} | {server} | {lag} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.queues")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small amounts, for trying only")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    few, jobs, hold_s = (300, 50_000, 2.0) if options.quick else (3000, 500_000, 5.0)
    started, before = datetime.now(UTC).isoformat(timespec="seconds"), f"{os.getloadavg()[0]:.1f}"
    found: dict[str, Any] = {}
    skipped: dict[str, Any] = {}
    with private_server(free_port()) as server:
        for kind, told, more in measure(server, options.rounds, few, jobs, hold_s):
            print(f"{kind}: {'; '.join(told) or more}", file=sys.stderr, flush=True)
            if told:
                found[kind] = told
            if more:
                skipped[kind] = more if isinstance(more, str) else "; ".join(f"{n}: {why}" for n, why in more.items())
        version = server.version
    versions = {client.kind: client.version() for client in CLIENTS if client.kind in found}
    results = {
        "started_at": started, "rounds": options.rounds, "machine": machine(), "server": version,
        "load_before": before, "load_after": f"{os.getloadavg()[0]:.1f}", "frameworks": found, "skipped": skipped,
        "versions": versions,
        "goals": [vars(goal) | {"met": goal.met} for goal in goals(found)],
    }  # fmt: skip
    page = table(results)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "table.md").write_text(page)
    (options.out / "chart.svg").write_text(panels(_bars(found)))
    print(page)
    return 0


def _bars(found: Mapping[str, Any]) -> list[tuple[dict[str, float], str, str]]:
    """For each framework its clients and plg, in jobs a second."""
    return [
        (
            {entry: figures["jobs_s"]["median"] for entry, figures in told.items() if "jobs_s" in figures},
            f"{kind}: jobs a second (longer is better)", "{:,.0f}",
        )
        for kind, told in found.items()
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
