"""``plg history``: the runs that were recorded."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace

from plg.cli.console import Console
from plg.cli.files import usage_error
from plg.cli.stores import columns, store_named
from plg.store.base import Run, RunQuery
from plg.store.store import Store


def run(options: argparse.Namespace, console: Console) -> int:
    """List runs, or do something with one."""
    if options.run is None and (options.star or options.unstar or options.outcome):
        raise usage_error("--star, --unstar and --outcome are for one run", "plg history RUN --star")
    retention = _retention(options)
    with store_named(options) as store:
        if retention:
            return _keep(store, console, retention)
        return _list(options, console, store) if options.run is None else _one(options, console, store)


def _retention(options: argparse.Namespace) -> dict[str, float | None]:
    """What --keep and --keep-for ask for, by the fields of `Retention`."""
    from plg.units import parse_duration

    asked: dict[str, float | None] = {}
    if options.keep is not None:
        if options.keep != "all" and not (options.keep.isascii() and options.keep.isdigit()):
            raise usage_error(f"--keep must be a number of runs, or all, not {options.keep!r}")
        asked["count"] = None if options.keep == "all" else int(options.keep)
    if options.keep_for is not None:
        try:
            asked["age_s"] = None if options.keep_for == "ever" else parse_duration(options.keep_for)
        except ValueError:
            raise usage_error(f"--keep-for must be a duration such as 90d, or ever, not {options.keep_for!r}") from None
    return asked


def _keep(store: Store, console: Console, asked: dict[str, float | None]) -> int:
    kept = replace(store.retention, **asked)  # type: ignore[arg-type]  # a count is a whole number
    forgotten = store.keep(kept)
    many = "all runs" if kept.count is None else f"the {kept.count:,} newest runs"
    old = "" if kept.age_s is None else f" that are not older than {kept.age_s / 86400:g} days"
    console.print(f"{many}{old} are kept, and those with a star; {forgotten:,} forgotten")
    return 0


def _list(options: argparse.Namespace, console: Console, store: Store) -> int:
    query = RunQuery(
        name=options.scenario or "", verdict=options.verdict or "", branch=options.branch or "",
        commit=options.commit or "", who=options.who or "", starred=True if options.starred else None,
        profile_id=store.look_up(options.profile).id if options.profile else "", limit=options.limit,
        cursor=options.cursor,
    )  # fmt: skip
    page = store.runs(query)
    if options.json:
        console.raw(json.dumps({"items": [asdict(each) for each in page.items], "next": page.next}, indent=2) + "\n")
        return 0
    rows: list[tuple[str, ...]] = [("run", "", "scenario", "verdict", "started", "acked", "branch", "commit", "who")]
    rows += [_row(each) for each in page.items]
    for line in columns(rows) if page.items else ["no runs"]:
        console.print(line)
    if page.next:
        console.print(f"there are more: --cursor {page.next}")
    return 0


def _row(run: Run) -> tuple[str, ...]:
    acked = "-" if run.acked is None else f"{run.acked:,}"
    return (
        run.id, "*" if run.starred else "", run.name, run.verdict or run.status, run.started_at, acked,
        run.branch or "-", run.commit[:12] or "-", run.who or "-",
    )  # fmt: skip


def _one(options: argparse.Namespace, console: Console, store: Store) -> int:
    run = store.run(options.run)
    if options.star or options.unstar:
        store.star(run.id, options.star)
        run = replace(run, starred=options.star)
        console.print(f"{run.id} {'is kept for ever' if options.star else 'has no star any more'}")
        return 0
    if options.outcome:
        return _write_outcome(options, console, store, run)
    if options.json:
        console.raw(json.dumps(asdict(run), indent=2) + "\n")
        return 0
    for line in columns([(name, "-" if value in ("", None) else str(value)) for name, value in asdict(run).items()]):
        console.print(line)
    return 0


def _write_outcome(options: argparse.Namespace, console: Console, store: Store, run: Run) -> int:
    from pathlib import Path

    from plg.runs.history import unpacked_text

    packed = store.outcome(run.id)
    if packed is None:
        raise usage_error(f"the run {run.id} was recorded without its outcome")
    text = unpacked_text(packed, run.id)
    if options.outcome == "-":
        console.raw(text)
    else:
        Path(options.outcome).write_text(text, encoding="utf-8")
        console.print(f"wrote {options.outcome}")
    return 0
