"""``plg clean``: remove what a run left in the target, or list the runs that left something."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plg.cli.console import Console
from plg.cli.files import target_named, usage_error
from plg.diagnostics import nearest
from plg.judge.verdict import FAILED, PASS, TARGET
from plg.queues.registry import UnknownFormat
from plg.reports.terminal import last_line
from plg.targets.base import TargetError
from plg.targets.leftovers import Leftovers, Remains
from plg.targets.open import open_target
from plg.targets.register import RUNS, Known, RunEntry

_LOOKED_AT = 100
"""Runs whose jobs are counted by --list: the last ones."""
_COUNTED = 10_000_000
"""Jobs that these runs have planned, all together: each may have a key of its own that is asked for."""


def run(options: argparse.Namespace, console: Console) -> int:
    """Exit 0 where nothing of the run is left, 3 where something stays."""
    if (options.run is not None) + options.list + options.all != 1:
        help = "plg clean RUN --target URL, plg clean --all --target URL, or plg clean --list --target URL"
        raise usage_error("plg clean takes the name of a run, --all or --list", help)
    where = target_named(options.target)
    if "://" not in where:
        raise usage_error(f"--target must be the URL of the server that holds the jobs, not {where!r}")
    try:
        with open_target(where, (), wait=options.wait) as target, Leftovers(target) as leftovers:
            done = _list if options.list else _clean_all if options.all else _clean
            return done(options, console, leftovers)
    except TargetError as error:
        console.print(last_line(TARGET, str(error), colour=console.colour))
        return TARGET


def _clean(options: argparse.Namespace, console: Console, leftovers: Leftovers) -> int:
    known = _saved(Path(options.run), leftovers) if _is_file(options.run) else _asked_for(options.run, leftovers)
    entry = known.entry
    _refuse_going(entry, leftovers)
    try:
        remains = leftovers.look(entry) if options.dry_run else leftovers.clean(known, force=options.force)
    except UnknownFormat as unknown:
        words = f"the run {entry.run} has jobs of the format {unknown.name}, which is not installed here"
        raise usage_error(words, "clean it where the package that brings the format is installed") from None
    if options.json:
        console.raw(json.dumps(_document(entry, remains, dry_run=options.dry_run), indent=2) + "\n")
    else:
        _tell(console, remains, dry_run=options.dry_run)
    code, reason = _end(entry.run, remains, dry_run=options.dry_run)
    if not options.json:
        console.print(last_line(code, reason, colour=console.colour))
    return code


def _clean_all(options: argparse.Namespace, console: Console, leftovers: Leftovers) -> int:
    """All runs that the target knows of, but for those that go on."""
    going, documents, worst = leftovers.going(), list[dict[str, Any]](), PASS
    cleaned = passed_over = jobs = 0
    for known in leftovers.known().values():
        entry = known.entry
        if going.has(entry):
            passed_over += 1
            continue
        try:
            remains = leftovers.look(entry) if options.dry_run else leftovers.clean(known, force=options.force)
        except UnknownFormat as unknown:
            worst, words = FAILED, f"the format {unknown.name} is not installed here, so it stays"
            documents.append({"run": entry.run, "notes": [words]})
            _say(options, console, f"{entry.run}: {words}")
            continue
        code, reason = _end(entry.run, remains, dry_run=options.dry_run)
        worst, cleaned = max(worst, code), cleaned + (code == PASS)
        jobs += remains.left.jobs - remains.left.held if options.dry_run else remains.removed.jobs
        documents.append(_document(entry, remains, dry_run=options.dry_run))
        _say(options, console, reason)
    if options.json:
        console.raw(json.dumps({"runs": documents, "going_on": passed_over}, indent=2) + "\n")
        return worst
    runs = f"{cleaned:,} run{'s' * (cleaned != 1)}"
    said = f"{_jobs(jobs)} of {runs} {'would be' if options.dry_run else 'were'} removed"
    said += f", {passed_over:,} that go{'es' * (passed_over == 1)} on left alone" * bool(passed_over)
    console.print(last_line(worst, said, colour=console.colour))
    return worst


def _say(options: argparse.Namespace, console: Console, words: str) -> None:
    if not options.json:
        console.print(f"  {_printable(words)}")


def _end(run: str, remains: Remains, *, dry_run: bool) -> tuple[int, str]:
    """The exit code, and why."""
    left, free = remains.left, remains.left.jobs - remains.left.held
    if dry_run:
        more = f", {left.held:,} more are with a worker" if left.held else ""
        return PASS, f"{_jobs(free)} of the run {run} would be removed{more}"
    if left.jobs:
        held = f", {left.held:,} with a worker (clean again once it is done, or with --force)" if left.held else ""
        return FAILED, f"{_jobs(left.jobs)} of the run {run} stay{'s' * (left.jobs == 1)}{held}"
    removed = f"{_jobs(remains.removed.jobs)} removed"
    if remains.blind:
        return FAILED, f"{removed}; it is not known what else is left of the run {run}: {remains.blind[0]}"
    return PASS, f"nothing is left of the run {run}: {removed}"


def _is_file(name: str) -> bool:
    return name.endswith(".json") or "/" in name


def _saved(path: Path, leftovers: Leftovers) -> Known:
    """The run of an outcome, also where the target knows nothing of it. Raises `ScenarioError`."""
    from plg.language.build import jobs_in
    from plg.outcome_io import read_outcome

    outcome = read_outcome(path)
    with suppress(TargetError):
        if known := leftovers.known().get(outcome.run_id):
            return known
    started = datetime.fromisoformat(outcome.started_at).timestamp()
    planned = int(outcome.plan["planned"])
    planned = planned if outcome.shard is None else (planned + 1) * outcome.shard.of
    jobs = jobs_in(dict(outcome.scenario))
    return Known(RunEntry(outcome.run_id, outcome.name, started, started, planned, jobs), ())


def _asked_for(name: str, leftovers: Leftovers) -> Known:
    """Raises `ScenarioError` where the target knows of no such run."""
    known = leftovers.known()
    if name in known:
        return known[name]
    near = nearest(name, list(known))
    help = f"did you mean {near}?" if near else f"{RUNS} holds no run: is it another server or database?"
    if known and not near:
        help = f"plg clean --list names the {len(known):,} run{'s' * (len(known) > 1)} it knows of"
    raise usage_error(f"the target knows of no run {name!r}", help)


def _refuse_going(entry: RunEntry, leftovers: Leftovers) -> None:
    going = leftovers.going()
    if not going.has(entry):
        return
    if going.certain:
        raise usage_error(f"the run {entry.run} is still going on", "end it first: what it sends would stay")
    until = _moment(entry.until)
    words = f"the run {entry.run} may still be going on: this user may not list the clients of the server"
    raise usage_error(words, f"it is over at {until} at the latest: clean it then")


def _tell(console: Console, remains: Remains, *, dry_run: bool) -> None:
    counts = remains.left.counts if dry_run else remains.removed.counts
    for key, count in counts.items():
        console.print(f"{count:>10,}  {_printable(key)}")
    for key, count in remains.left.held_counts.items():
        console.print(f"{count:>10,}  {_printable(key)}  (with a worker: left)")
    for words in remains.blind:
        console.print(f"  {_printable(words)}")


def _printable(key: str) -> str:
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in key)


def _jobs(count: int) -> str:
    return f"{count:,} job{'s' * (count != 1)}"


def _document(entry: RunEntry, remains: Remains, *, dry_run: bool) -> dict[str, Any]:
    left = remains.left
    return {
        "run": entry.run,
        "scenario": entry.scenario,
        "dry_run": dry_run,
        "removed": [{"key": key, "count": count} for key, count in remains.removed.counts.items()],
        "removed_jobs": remains.removed.jobs,
        "left": [{"key": key, "count": count} for key, count in left.counts.items()],
        "with_workers": [{"key": key, "count": count} for key, count in left.held_counts.items()],
        "jobs_left": left.jobs,
        "jobs_with_workers": left.held,
        "notes": list(remains.blind),
    }


def _list(options: argparse.Namespace, console: Console, leftovers: Leftovers) -> int:
    going = leftovers.going()
    rows, jobs = [], 0
    for number, known in enumerate(leftovers.known().values()):
        jobs += known.entry.planned
        left = _count(known.entry, leftovers) if number < _LOOKED_AT and jobs <= _COUNTED else None
        rows.append((known.entry, left, going.has(known.entry)))
    if options.json:
        console.raw(json.dumps({"runs": [_row(*row) for row in rows]}, indent=2) + "\n")
        return PASS
    for entry, left, goes_on in rows:
        count = "it is not known how many are left" if left is None else f"{_jobs(left)} left"
        queues = ", ".join(f"{kind} {json.dumps(name)}" for kind, name in _queues(entry))
        names = _printable(f"{entry.run}  {_moment(entry.started)}  {entry.scenario}")
        console.print(f"{names}  {queues}: {count}{_ON * goes_on}")
    some = sum(left != 0 for _, left, _ in rows)
    said = f"{len(rows):,} run{'s' * (len(rows) != 1)} known, {some:,} with something left"
    console.print(last_line(PASS, said if rows else "no run is known here", colour=console.colour))
    return PASS


_ON = " (still going on)"


def _count(entry: RunEntry, leftovers: Leftovers) -> int | None:
    """Jobs of which something is left; None where that cannot be told."""
    with suppress(UnknownFormat):
        remains = leftovers.look(entry)
        return None if remains.blind else remains.left.jobs
    return None


def _row(entry: RunEntry, left: int | None, goes_on: bool) -> dict[str, Any]:
    return {
        "run": entry.run, "scenario": entry.scenario, "started_at": _moment(entry.started),
        "queues": [{"kind": kind, "name": name} for kind, name in _queues(entry)], "planned": entry.planned,
        "jobs_left": left, "running": goes_on,
    }  # fmt: skip


def _queues(entry: RunEntry) -> list[tuple[str, str]]:
    """Kind and name of each."""
    return list(dict.fromkeys((job.queue.kind, job.queue.name) for job in entry.jobs))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
