"""How each tool is asked to do each thing. Every function runs the tool once and returns its figures."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.child import Failed, Finished, run
from bench.gateway import gateway
from bench.peers import CACHE, DRIVERS, Peers
from bench.server import QUEUE, Server

Figures = dict[str, float]
Entry = Callable[[Server], Figures]

VALUE = "x" * 80
VARIADIC = 512
"""Values a command where a tool is made to send many at once: as many as plg sends."""


def driver(name: str) -> str:
    return str(DRIVERS / name)


def told(finished: Finished) -> Figures:
    """A Python program's own account of its load, without the start of its interpreter."""
    return {name: float(value) for name, value in finished.said.items()}


def _whole(finished: Finished, jobs: int) -> Figures:
    """A native program, seen from outside: its start takes a millisecond or two."""
    return {"jobs": jobs, "wall_s": finished.wall_s, "cpu_s": finished.cpu_s}


# -- plg ---------------------------------------------------------------------------------------------------------


def plg(rate: float, duration: float, *options: str) -> Entry:
    """plg's loop at ``rate`` jobs/s for ``duration`` s."""

    def once(server: Server) -> Figures:
        words = [sys.executable, driver("plg_run.py"), "--url", server.url, "--queue", QUEUE]
        finished = run([*words, "--rate", repr(rate), "--duration", repr(duration), *options])
        return told(finished) | {"rss_mb": finished.max_rss_mb}

    return once


def plg_most(jobs: int, *options: str) -> Entry:
    """As many jobs a second as it can: they are all due ten million to the second, and none is dropped."""
    return plg(1e7, jobs / 1e7, *options)


def plg_hour(minutes: float) -> Entry:
    """An hour's worth of jobs on a virtual clock; no server takes part."""

    def once(_: Server) -> Figures:
        return told(run([sys.executable, driver("plg_hour.py"), "--minutes", repr(minutes)], patience=600))

    return once


def plg_check(_: Server) -> Figures:
    """The whole command on a scenario of one second, with its own embedded server and all its reports."""
    scenario = """scenario "one-second" {
      target embedded
      job order { queue "orders"  payload { order: "${seq}" } }
      traffic { steady 1000/s over 1s }
      guardrails { max_rate 2000/s  max_total_jobs 10_000  max_duration 1m }
      expect { errors == 0  deviation < 5% }
    }"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one-second.plg"
        file.write_text(scenario)
        # A busy machine may make the run INVALID (5) or miss an expectation (3): its length is what is asked here.
        words = [sys.executable, "-m", "plg", "check", str(file), "--out", str(Path(folder) / "out")]
        finished = run(words, accept=(0, 3, 5))
    return {"wall_s": finished.wall_s, "cpu_s": finished.cpu_s, "over_s": finished.wall_s - 1.0}


def plg_command(*words: str) -> Entry:
    """A light command, as a shell sees it."""

    def once(_: Server) -> Figures:
        finished = run([sys.executable, "-m", "plg", *words])
        return {"wall_s": finished.wall_s, "cpu_s": finished.cpu_s}

    return once


# -- native tools ------------------------------------------------------------------------------------------------


def redis_benchmark(peers: Peers, jobs: int, depth: int, values: int = 1) -> Entry:
    """``depth`` commands in flight on one connection, ``values`` values each."""

    def once(server: Server) -> Figures:
        words = [peers.programs["redis-benchmark"], "-s", str(server.socket_path), "-c", "1", "-P", str(depth), "-q"]
        commands = jobs // values // depth * depth
        return _whole(run([*words, "-n", str(commands), "LPUSH", QUEUE, *[VALUE] * values]), commands * values)

    return once


def _memtier_words(peers: Peers, server: Server, depth: int) -> list[str]:
    return [
        peers.programs["memtier_benchmark"], "-S", str(server.socket_path), "-c", "1", "-t", "1", "-d", "80",
        "--pipeline", str(depth), "--command", f"LPUSH {QUEUE} __data__", "--hide-histogram",
    ]  # fmt: skip


def memtier(peers: Peers, jobs: int, depth: int) -> Entry:
    """``depth`` commands in flight on one connection."""

    def once(server: Server) -> Figures:
        finished = run([*_memtier_words(peers, server, depth), "-n", str(jobs)])
        # It looks once a second whether it is done, so its own rate is the truth and its wall time is not.
        rate = re.search(r"^Totals\s+([\d.]+)", finished.text, re.MULTILINE)
        return _whole(finished, jobs) | ({"wall_s": jobs / float(rate[1])} if rate else {})

    return once


def memtier_held(peers: Peers, rate: float, duration: float, depth: int = 1000) -> Entry:
    """Its own rate limit, on one connection."""

    def once(server: Server) -> Figures:
        pace = ["--rate-limiting", str(round(rate)), "--test-time", str(round(duration))]
        finished = run([*_memtier_words(peers, server, depth), *pace])
        return _whole(finished, round(rate * duration)) | {"wall_s": duration}

    return once


def memtier_stairs(peers: Peers, peak: float, duration: int) -> Entry:
    """It has no ramp, so: a run for each second, at the mean rate of that second, begun at its beginning."""

    def once(server: Server) -> Figures:
        begin = time.perf_counter() + 0.1

        def stair(second: int) -> Finished:
            time.sleep(max(0.0, begin + second - time.perf_counter()))  # each stair begins at its own second
            pace = ["--rate-limiting", str(round(peak * (second + 0.5) / duration)), "--test-time", "1"]
            return run([*_memtier_words(peers, server, 100), *pace])

        with ThreadPoolExecutor(duration) as pool:
            cpu = sum(finished.cpu_s for finished in pool.map(stair, range(duration)))
        return {"jobs": peak * duration / 2, "wall_s": float(duration), "cpu_s": cpu}

    return once


# -- Python, by itself and by its libraries ------------------------------------------------------------------------


def bare_loop(rate: float, duration: float) -> Entry:
    """A loop that writes one ready command a millisecond and does nothing else: what waking costs on this machine."""

    def once(server: Server) -> Figures:
        words = [sys.executable, driver("bare_loop.py"), str(server.socket_path), QUEUE, repr(rate), repr(duration)]
        return told(run(words))

    return once


def python_client(peers: Peers, name: str, script: str, *numbers: int) -> Entry:
    """A producer in the library's own environment."""

    def once(server: Server) -> Figures:
        words = [peers.programs[name], driver(script), str(server.socket_path), *map(str, numbers)]
        return told(run(words))

    return once


def own_client(peers: Peers, name: str, jobs: int, way: str) -> Entry:
    """A framework's own client, a call a job (``one``) or many at once (``many``)."""

    def once(server: Server) -> Figures:
        words = [peers.programs[name], driver("enqueue.py"), name, server.url, str(jobs), way]
        return told(run(words))

    return once


# -- load generators ---------------------------------------------------------------------------------------------


def locust(peers: Peers, users: int, depth: int, pace: float, duration: int, spawn: float | None = None) -> Entry:
    """``users`` users, pushes in pipelines of ``depth``, ``pace`` tasks a second each (0: as many as it can)."""

    def once(server: Server) -> Figures:
        words = [
            peers.programs["locust"], "-f", driver("locustfile.py"), "--headless", "--only-summary", "-u", str(users),
            "-r", str(spawn or users), "-t", f"{duration}s", "--stop-timeout", "0",
        ]  # fmt: skip
        return _with_cost(words, server, {"BENCH_DEPTH": str(depth), "BENCH_PACE": str(pace)})

    return once


def wrk(peers: Peers, connections: int, seconds: int) -> Entry:
    """As many requests as it can over so many ``connections`` to a gateway, which has one connection to the server.

    What the server holds counts, and the processor time of the gateway too: it is part of the client.
    """

    def once(server: Server) -> Figures:
        with gateway(peers.programs["webdis"], server) as door:
            begun = door.cpu_s()
            url = f"{door.url}/LPUSH/{QUEUE}/{VALUE}"
            finished = run([peers.programs["wrk"], "-t", "1", "-c", str(connections), "-d", f"{seconds}s", url])
            cost = finished.cpu_s + door.cpu_s() - begun
        told = re.search(r"requests in ([\d.]+)s", finished.text)
        if told is None:
            raise Failed(f"wrk said no time: {finished.text[-200:]}")
        return {"jobs": server.length(), "wall_s": float(told[1]), "cpu_s": cost}

    return once


def k6(peers: Peers, shape: Mapping[str, object], seconds: float) -> Entry:
    """k6 with its Redis module; ``shape`` are the options of an executor for open-loop arrivals.

    Its processor time is that of the whole process: its start, about half a second of work, is part of it.
    """

    def once(server: Server) -> Figures:
        options = json.dumps({"preAllocatedVUs": 100, "maxVUs": 500, "timeUnit": "1s", "gracefulStop": "0s", **shape})
        words = [peers.programs["k6"], "run", "--quiet", "--no-usage-report", "--no-summary", driver("k6.js")]
        finished = run(words, env={"BENCH_URL": server.url, "BENCH_SHAPE": options})
        return _whole(finished, server.length()) | {"wall_s": seconds}

    return once


def vegeta(peers: Peers, rate: int, seconds: float) -> Entry:
    """A held rate through a gateway with one connection to the server; the gateway's cost is the client's."""

    def once(server: Server) -> Figures:
        with gateway(peers.programs["webdis"], server) as door, tempfile.NamedTemporaryFile("w") as targets:
            targets.write(f"GET {door.url}/LPUSH/{QUEUE}/{VALUE}\n")
            targets.flush()
            begun = door.cpu_s()
            finished = run([
                peers.programs["vegeta"], "attack", f"-targets={targets.name}", f"-rate={rate}/1s",
                f"-duration={seconds:g}s", "-output=/dev/null",
            ])  # fmt: skip
            cost = finished.cpu_s + door.cpu_s() - begun
        return {"jobs": server.length(), "wall_s": seconds, "cpu_s": cost}

    return once


def artillery(peers: Peers, phase: Mapping[str, float]) -> Entry:
    """One phase of arrivals, each arrival one push."""

    def once(server: Server) -> Figures:
        script = {
            "config": {"target": "http://127.0.0.1", "processor": driver("artillery.cjs"), "phases": [dict(phase)]},
            "scenarios": [{"flow": [{"function": "push"}]}],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(script, file)
            file.flush()
            words = ["node", peers.programs["artillery"], "run", file.name, "--quiet"]
            modules = str(CACHE / "artillery" / "node_modules")
            return _with_cost(words, server, {"BENCH_MODULES": modules, "ARTILLERY_DISABLE_TELEMETRY": "true"})

    return once


def _with_cost(words: Sequence[str], server: Server, env: Mapping[str, str]) -> Figures:
    """Run a generator that writes its own cost to a file when its load has ended."""
    with tempfile.TemporaryDirectory() as folder:
        cost = Path(folder) / "cost.json"
        run(words, env={**env, "BENCH_SOCKET": str(server.socket_path), "BENCH_COST": str(cost)})
        return {name: float(value) for name, value in json.loads(cost.read_text()).items()}
