"""What is measured: contests, each with its entries, and how a round of one becomes figures."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench import arrivals, entrants
from bench.arrivals import Shape
from bench.child import Failed
from bench.entrants import Entry, Figures
from bench.peers import Peers
from bench.server import Counter, Monitor, Server
from bench.startup import BUDGETS, command_name

Measure = Callable[[Server, Entry], Figures]


@dataclass(frozen=True)
class Size:
    """How much of everything. ``hold_s`` is the length of a held rate, ``minutes`` that of the long run."""

    rounds: int
    jobs: int
    hold_s: float
    million_s: float
    ramp_s: int
    minutes: float


FULL = Size(rounds=5, jobs=3_000_000, hold_s=10.0, million_s=5.0, ramp_s=10, minutes=60)
QUICK = Size(rounds=2, jobs=300_000, hold_s=2.0, million_s=2.0, ramp_s=4, minutes=10)


@dataclass(frozen=True)
class Contest:
    """``rounds`` 0 means as many as the size says. ``entries`` run in this order in every round."""

    name: str
    title: str
    entries: Mapping[str, Entry]
    measure: Measure
    rounds: int = 0


def most(server: Server, entry: Entry) -> Figures:
    """Throughput and what a job costs both sides."""
    before = server.cpu_s()
    figures = entry(server)
    jobs, taken = figures["jobs"], server.cpu_s() - before
    return figures | {
        "jobs_s": jobs / figures["wall_s"],
        "cpu_us_job": figures["cpu_s"] / jobs * 1e6,
        "server_us_job": taken / jobs * 1e6,
        "server_share": taken / figures["wall_s"],
    }


def held(shape: Shape) -> Measure:
    """Each arrival as the server saw it, against the schedule."""

    def measure(server: Server, entry: Entry) -> Figures:
        with Monitor(server) as monitor:
            figures = entry(server)
        fit = arrivals.fit(arrivals.arrival_times(monitor.text()), shape, figures.get("begun"))
        return figures | fit.figures() | {"cpu_share": figures["cpu_s"] / figures["wall_s"]}

    return measure


def counted(rate: float) -> Measure:
    """The queue's length every 100 ms: MONITOR would cost more than the load. The middle of the run is judged."""

    def measure(server: Server, entry: Entry) -> Figures:
        with Counter(server) as counter:
            figures = entry(server)
        seen = arrivals.hold(counter.moments, rate, 0.1, 0.95)
        return figures | seen | {"cpu_share": figures["cpu_s"] / figures["wall_s"]}

    return measure


def plain(server: Server, entry: Entry) -> Figures:
    return entry(server)


def contests(peers: Peers, size: Size) -> list[Contest]:
    """All of them, with the rivals that are there."""
    return [
        Contest("most", "As many jobs a second as it can, one connection", _most_entries(peers, size), most),
        _held(peers, size, 1000),
        _held(peers, size, 10_000),
        Contest("million", "1,000,000 jobs a second held", _million_entries(peers, size), counted(1e6)),
        Contest(
            "ramp", f"From 0 to 1,000 jobs a second in {size.ramp_s} s", _ramp_entries(peers, size),
            held(arrivals.ramp(1000, size.ramp_s)),
        ),
        Contest("memory", "An hour at 10,000 jobs a second", {"plg": entrants.plg_hour(size.minutes)}, plain, rounds=1),
        Contest("check", "plg check on a scenario of one second, whole process", {"plg": entrants.plg_check}, plain),
        Contest("startup", "Light commands, whole process", _startup_entries(), plain),
    ]  # fmt: skip


def _most_entries(peers: Peers, size: Size) -> dict[str, Entry]:
    jobs, few = size.jobs, max(size.jobs // 300, 1000)
    entries: dict[str, Entry] = {"plg": entrants.plg_most(jobs)}
    if "redis-benchmark" in peers.programs:
        entries["redis-benchmark"] = entrants.redis_benchmark(peers, jobs, 1000)
    entries["plg, single values"] = entrants.plg_most(jobs, "--single")
    if "memtier_benchmark" in peers.programs:
        entries["memtier"] = entrants.memtier(peers, jobs, 1000)
    entries["plg, JSON envelope"] = entrants.plg_most(jobs, "--encoding", "json")
    if "redis-benchmark" in peers.programs:
        entries["redis-benchmark, 512 values"] = entrants.redis_benchmark(peers, jobs, 2, entrants.VARIADIC)
    if "redis-py" in peers.programs:
        entries["redis-py pipeline"] = entrants.python_client(peers, "redis-py", "redis_py.py", jobs // 10, 1000)
    if "locust" in peers.programs:
        entries["Locust, pipelines of 100"] = entrants.locust(peers, 1, 100, 0, 3)
        entries["Locust"] = entrants.locust(peers, 10, 1, 0, 3)
    if "wrk" in peers.programs:
        entries["wrk through webdis"] = entrants.wrk(peers, 100, 3)
    if "rq" in peers.programs:
        entries["rq enqueue_many"] = entrants.own_client(peers, "rq", few * 2, "many")
    if "celery" in peers.programs:
        entries["celery apply_async"] = entrants.own_client(peers, "celery", few, "one")
    if "arq" in peers.programs:
        entries["arq enqueue_job"] = entrants.own_client(peers, "arq", few, "many")
    return entries


def _held(peers: Peers, size: Size, rate: int) -> Contest:
    entries: dict[str, Entry] = {"plg": entrants.plg(rate, size.hold_s, "--held")}
    if "memtier_benchmark" in peers.programs:
        entries["memtier"] = entrants.memtier_held(peers, rate, size.hold_s)
    entries["plg, precise"] = entrants.plg(rate, size.hold_s, "--held", "--pacing", "precise")
    entries["bare loop"] = entrants.bare_loop(rate, size.hold_s)
    if "locust" in peers.programs:
        seconds = math.ceil(size.hold_s) + 1  # it counts its own start too; what comes after the schedule is not judged
        entries["Locust"] = entrants.locust(peers, 10, 1, rate / 10, seconds)
        if rate >= 10_000:
            entries["Locust, pipelines of 100"] = entrants.locust(peers, 1, 100, rate / 100, seconds)
    if "k6" in peers.programs:
        shape = {"executor": "constant-arrival-rate", "rate": rate, "duration": f"{size.hold_s:g}s"}
        entries["k6"] = entrants.k6(peers, shape, size.hold_s)
    if "vegeta" in peers.programs:
        entries["vegeta through webdis"] = entrants.vegeta(peers, rate, size.hold_s)
    if "artillery" in peers.programs and rate <= 1000:
        entries["Artillery"] = entrants.artillery(peers, {"duration": size.hold_s, "arrivalRate": rate})
    return Contest(f"hold-{rate}", f"{rate:,} jobs a second held", entries, held(arrivals.steady(rate, size.hold_s)))


def _million_entries(peers: Peers, size: Size) -> dict[str, Entry]:
    entries: dict[str, Entry] = {"plg": entrants.plg(1e6, size.million_s, "--held")}
    if "memtier_benchmark" in peers.programs:
        entries["memtier"] = entrants.memtier_held(peers, 1e6, size.million_s)
    entries["bare loop"] = entrants.bare_loop(1e6, size.million_s)
    return entries


def _ramp_entries(peers: Peers, size: Size) -> dict[str, Entry]:
    length = size.ramp_s
    entries: dict[str, Entry] = {"plg": entrants.plg(1000, length, "--held", "--ramp")}
    if "memtier_benchmark" in peers.programs:
        entries["memtier, stairs"] = entrants.memtier_stairs(peers, 1000, length)
    if "locust" in peers.programs:
        entries["Locust"] = entrants.locust(peers, 100, 1, 10, length, spawn=100 / length)
    if "k6" in peers.programs:
        stages = [{"target": 1000, "duration": f"{length}s"}]
        shape = {"executor": "ramping-arrival-rate", "startRate": 0, "stages": stages}
        entries["k6"] = entrants.k6(peers, shape, length)
    if "artillery" in peers.programs:
        entries["Artillery"] = entrants.artillery(peers, {"duration": length, "arrivalRate": 1, "rampTo": 1000})
    return entries


def _startup_entries() -> dict[str, Entry]:
    return {command_name(words): entrants.plg_command(*words) for words in BUDGETS}


def hold_contest(contest: Contest, server: Server, rounds: int) -> tuple[dict[str, list[Figures]], dict[str, str]]:
    """Figures of every entry for every round, and the entries that failed with what they said.

    Rounds are interleaved: every entry once, then every entry again, so that a slow minute of the machine falls on all.
    """
    results: dict[str, list[Figures]] = {name: [] for name in contest.entries}
    failed: dict[str, str] = {}
    for number in range(contest.rounds or rounds):
        for name, entry in contest.entries.items():
            if name in failed:
                continue
            server.empty()
            try:
                figures = contest.measure(server, entry)
            except (Failed, OSError, ValueError, KeyError) as error:
                failed[name] = f"{type(error).__name__}: {error}"
                print(f"  {contest.name} {number + 1} {name}: FAILED {failed[name]}", file=sys.stderr, flush=True)
                continue
            results[name].append(figures)
            print(f"  {contest.name} {number + 1} {name}: {brief(figures)}", file=sys.stderr, flush=True)
            time.sleep(0.2)  # what this tool leaves behind (threads, sockets) ends before the next one begins
    server.empty()
    return {name: found for name, found in results.items() if found}, failed


def brief(figures: Figures) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in figures.items())


def medians(rounds: list[Figures]) -> dict[str, dict[str, float]]:
    """Median, least and most of each figure."""
    names = rounds[0].keys()
    columns = {name: [figures[name] for figures in rounds if name in figures] for name in names}
    return {n: {"median": statistics.median(c), "least": min(c), "most": max(c)} for n, c in columns.items()}
