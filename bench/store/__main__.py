"""``python -m bench.store``: 10,000 profiles and 10,000 runs in each kind of store, then results.json and table.md.

Every operation goes through `plg.store.store.Store`, secrets sealed and opened, as the commands and the server call it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.postgres import Postgres, programs  # noqa: E402  # the server that the tests use
from support.stores import KEYS  # noqa: E402  # found by the path above

from bench.server import machine  # noqa: E402  # found by the path above
from plg.language.load import read_source  # noqa: E402  # found by the path above
from plg.store.base import Draft, Query, Run, RunQuery  # noqa: E402  # found by the path above
from plg.store.folder import FolderBackend  # noqa: E402  # found by the path above
from plg.store.open import open_store  # noqa: E402  # found by the path above
from plg.store.store import Store, moment  # noqa: E402  # found by the path above

BOUND = 0.1
"""Seconds that no operation may take at its 99th percentile."""
KINDS = ("sqlite", "postgresql", "folder")
TAGS = ("sale", "soak", "nightly", "checkout", "mail", "search", "billing", "import", "export", "canary")


def main(words: list[str]) -> int:
    """Exit code 1 where an operation was over its bound."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--profiles", type=int, default=10_000, help="so many profiles")
    parser.add_argument("--runs", type=int, default=10_000, help="so many runs")
    parser.add_argument("--times", type=int, default=300, help="so often each operation")
    parser.add_argument(
        "--only", choices=KINDS, help="this kind alone, beside the results of the others that are there"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where results.json and table.md go")
    options = parser.parse_args(words)
    results: dict[str, Any] = {"options": {name: getattr(options, name) for name in ("profiles", "runs", "times")}}
    results["machine"] = machine() | {"python": platform.python_version()}
    results["stores"] = dict.fromkeys(KINDS)
    if options.only:
        results["stores"] |= json.loads((options.out / "results.json").read_text(encoding="utf-8"))["stores"]
    for kind in [options.only] if options.only else KINDS:
        with tempfile.TemporaryDirectory(prefix="plg-bench-") as folder, ExitStack() as stack:
            url = place(kind, Path(folder), stack)
            if url is not None:
                results["stores"][kind] = measure(url, kind, options)
    results["stores"] = {kind: store for kind, store in results["stores"].items() if store is not None}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (options.out / "table.md").write_text(table(results), encoding="utf-8")
    print(table(results))
    return 1 if any(each["p99"] > BOUND for store in results["stores"].values() for each in store["operations"]) else 0


def place(kind: str, folder: Path, stack: ExitStack) -> str | None:
    """The URL of an empty store; None where there is no such server."""
    if kind != "postgresql":
        return f"sqlite:///{folder / 'plg.sqlite3'}" if kind == "sqlite" else f"folder:{folder / 'profiles'}"
    bin = programs()
    if bin is None:
        print("no PostgreSQL on this machine: left out", file=sys.stderr)
        return None
    home = Path(tempfile.mkdtemp(prefix="plg-pg-"))
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    server = Postgres(home, bin)
    stack.callback(server.stop)
    return server.fresh()


def measure(url: str, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Fill a store and time what is done with it."""
    key = next(iter(KEYS.by_id.values())).hex()
    document = read_source(ROOT / "scenarios" / "flash-sale.plg").document
    with open_store(Path("unused"), url, {"PLG_KEYS": f"k1:{key}"}) as store:
        print(f"{kind}: filling", file=sys.stderr, flush=True)
        began = time.perf_counter()
        ids = fill(store, document, options)
        filled = time.perf_counter() - began
        before = memory()
        operations = [timed(name, call, options.times) for name, call in calls(store, ids, document, options)]
        after = memory()
        load = os.getloadavg()[1]
    return {
        "load": load,
        "filled_s": filled,
        "operations": operations,
        "memory_before_mb": before,
        "memory_after_mb": after,
    }


def fill(store: Store, document: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """Profiles and runs; the disk is not waited for, as nothing of it is timed."""
    with unsynced(store):
        ids = [store.create(draft(document, number), "ann").id for number in range(options.profiles)]
        for number in range(options.runs):
            store.backend.put_run(run(number), b"x" * 20_000 if number % 100 == 0 else None)
    return ids


@contextmanager
def unsynced(store: Store) -> Iterator[None]:
    """No file is flushed to the disk, and a folder is not looked through for the name of each new profile."""
    backend = store.backend
    with ExitStack() as stack:
        stack.enter_context(mock.patch("os.fsync", return_value=None))
        if isinstance(backend, FolderBackend):
            stack.enter_context(mock.patch.object(backend, "_refuse_taken", return_value=None))
            stack.enter_context(mock.patch.object(backend, "_new_file", lambda profile: f"{profile.id}.plg"))
        yield


def draft(document: dict[str, Any], number: int) -> Draft:
    """One of many profiles, which differ in all that they are found by."""
    chance = random.Random(number)
    metadata = {"environment": chance.choice(("production", "staging", "test")), "purpose": "a benchmark"}
    return Draft(f"profile {number:05}", document, "one of many", tuple(chance.sample(TAGS, 2)), metadata)


def run(number: int) -> Run:
    """One of many runs."""
    chance = random.Random(number)
    return Run(
        f"run{number:07}", f"profile {chance.randrange(100):05}", verdict=chance.choice(("pass", "pass", "fail")),
        exit_code=0, started_at=moment(1_700_000_000 + number), duration_s=60.0, target="redis://h:6379/0",
        server="redis 7.2", machine="ci", commit=f"{number:040x}", branch=chance.choice(("main", "dev")), who="ann",
        plan_digest=f"{chance.randrange(100):016x}", scenario_hash="0" * 64, planned=1000, acked=1000,
    )  # fmt: skip


def calls(
    store: Store, ids: list[str], document: dict[str, Any], options: argparse.Namespace
) -> Iterator[tuple[str, Callable[[int], object]]]:
    """What is timed, each by its name."""
    chance, last = random.Random(1), options.runs
    page = store.find(Query(limit=50))
    middle = replace(Query(limit=50), cursor=store.find(Query(limit=500)).next or page.next)
    runs = RunQuery(limit=50)
    yield "profiles: a page of 50", lambda n: store.find(Query(limit=50))
    yield "profiles: a page further on", lambda n: store.find(middle)
    yield "profiles: by two tags", lambda n: store.find(Query(chance.choice((TAGS[:2], TAGS[3:5])), limit=50))
    yield (
        "profiles: by a part of the name",
        lambda n: store.find(Query(name=f"{chance.randrange(10_000):05}", limit=50)),
    )
    yield "profiles: by environment", lambda n: store.find(Query(environment="staging", limit=50))
    yield "profile: load by id", lambda n: store.profile(chance.choice(ids))
    yield "profile: load by name", lambda n: store.look_up(f"profile {chance.randrange(len(ids)):05}")
    yield "profile: load and open its secrets", lambda n: store.opened(chance.choice(ids))
    yield "profile: save a version", lambda n: save(store, ids[chance.randrange(len(ids))], document)
    yield "profile: create", lambda n: store.create(draft(document, 1_000_000 + n), "ann")
    yield "runs: a page of 50", lambda n: store.runs(runs)
    yield "runs: by branch and verdict", lambda n: store.runs(replace(runs, branch="dev", verdict="fail"))
    yield "runs: by plan", lambda n: store.runs(replace(runs, plan_digest=f"{chance.randrange(100):016x}"))
    yield "run: load", lambda n: store.run(f"run{chance.randrange(last // 2, last):07}")
    yield "run: record, and forget the oldest", lambda n: store.record(run(last + n), b"x" * 20_000)


def save(store: Store, id: str, document: dict[str, Any]) -> None:
    """A new version over the one that a reader has seen."""
    seen = store.profile(id)
    store.save(id, replace(draft(document, 0), name=seen.name), "bob", seen.etag)


def timed(name: str, call: Callable[[int], object], times: int) -> dict[str, Any]:
    """Percentiles (s) of an operation, and of the processor time that it took here, which no other process adds to. The
    first time, which fills caches, is told apart."""
    taken, worked = [], []
    for number in range(times + 1):
        began, work = time.perf_counter(), time.process_time()
        call(number)
        taken.append(time.perf_counter() - began)
        worked.append(time.process_time() - work)
    first, rest, work = taken[0], sorted(taken[1:]), sorted(worked[1:])[int(times * 0.99) - 1]
    at = {each: rest[min(len(rest) - 1, int(len(rest) * each / 100))] for each in (50, 99)}
    print(f"  {name}: p50 {at[50] * 1000:.2f} ms, p99 {at[99] * 1000:.2f} ms", file=sys.stderr, flush=True)
    return {"name": name, "p50": at[50], "p99": at[99], "max": rest[-1], "first": first, "cpu_p99": work}


def memory() -> float:
    """The most memory of this process so far (MB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    options, stores = results["options"], results["stores"]
    host = results["machine"]
    lines = [
        f"{options['profiles']:,} profiles and {options['runs']:,} runs; each operation {options['times']} times, in "
        "milliseconds, p50 / p99 / p99 of this process's own work. Secrets are sealed and opened, disks waited for.",
        "",
        "| | " + " | ".join(stores) + " |",
        "|---|" + "---|" * len(stores),
    ]
    for place, operation in enumerate(next(iter(stores.values()))["operations"]):
        found = [store["operations"][place] for store in stores.values()]
        cells = [
            f"{each['p50'] * 1000:.1f} / {each['p99'] * 1000:.1f} / {each['cpu_p99'] * 1000:.1f}" for each in found
        ]
        lines.append(f"| {operation['name']} | " + " | ".join(cells) + " |")
    busy = [f"{store.get('load', 0):.0f}" for store in stores.values()]
    lines.append("| other processes that wanted the processors meanwhile | " + " | ".join(busy) + " |")
    grown = [f"{store['memory_after_mb'] - store['memory_before_mb']:.0f} MB" for store in stores.values()]
    lines.append("| memory that all of it took | " + " | ".join(grown) + " |")
    lines += [
        "",
        f"`python -m bench.store` on {host['cpus']} processors ({host['cpu']}), Python {host['python']}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
