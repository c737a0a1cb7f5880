"""Runs on the machine's clock against a real server, with things that happen to the server on the way."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plg.clock import Clock, MonotonicClock
from plg.judge import decide
from plg.patterns.registry import read
from plg.plan import Plan, make_plan
from plg.queues.base import Job, Queue
from plg.runner.connect import open_transport
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.observer import Hooks
from plg.runner.recording import Recording
from plg.runner.sampler import ThreadSampler
from plg.runner.watch import Watch
from plg.scenario import Guardrails, Scenario
from plg.stop import Stop
from plg.targets.open import open_target
from support.virtual_runs import build

LOOSE = Guardrails(max_rate=1e6, max_total_jobs=10**9, max_duration=1e6)
QUEUE = Job("job", queue=Queue("list", "plg:test"), payload={"n": "${seq}"})
STREAM = Job("job", queue=Queue("stream", "plg:test"), payload={"n": "${seq}"})


def steady(rate, duration):
    return {"type": "steady", "base_rate": rate, "duration": duration}


@dataclass
class Ran:
    """What came of a run: its recording, and what things done to it on the way raised."""

    recording: Recording
    plan: Plan
    wall_s: float
    done_at: list[float]

    def total(self, column: str) -> int:
        return self.recording.total(column)

    @property
    def code(self) -> int:
        """The exit code, where nothing is expected."""
        return decide((), self.recording).exit_code


def drive(
    url: str,
    pattern,
    *,
    job: Job = QUEUE,
    jobs: Sequence[Job] = (),
    connections: int = 1,
    limits: Guardrails = LOOSE,
    max_lag: float = 1.0,
    happen: Sequence[tuple[float, Callable[[], object]]] = (),
    probe_url: str | None = None,
    clock: Clock | None = None,
    answer_timeout: float = 2.0,
    give_up_after: float = 3.0,
    connect_timeout: float = 1.0,
    interrupted: Callable[[], Stop | None] = lambda: None,
    target=None,
) -> Ran:
    """Run ``pattern`` against ``url``; each of ``happen`` is called at its time (s of the run), in a thread beside."""
    scenario = Scenario("live", read(pattern, Path()), tuple(jobs) or (job,), limits, max_lag=max_lag)
    plan = make_plan(scenario)
    clock = clock or MonotonicClock()
    own = target or open_target(url, scenario.jobs, connect_timeout=connect_timeout)
    with own as target, open_target(probe_url or url, scenario.jobs) as watched:
        transport = open_transport(
            target, connections, clock, answer_timeout=answer_timeout, give_up_after=give_up_after
        )
        probe = watched.probe()
        depth = probe.look().waiting
        start = clock.now() + 0.02
        sampler = ThreadSampler(probe, clock)
        sampler.start(start)
        run = build(
            plan, limits, transport, batch_encoder(scenario, plan, "livetestrun0"), clock, sampler,
            grid=Grid.of(plan), max_lag=max_lag, watch=Watch(depth),
            hooks=Hooks(interrupted=interrupted),
        )  # fmt: skip
        events = Events(happen)
        clock.sleep_until(start)
        events.start()
        began = time.monotonic()
        try:
            recording = run.run(start)
        finally:
            wall = time.monotonic() - began
            events.finish()
            sampler.stop()
    return Ran(recording, plan, wall, events.done_at)


class Events:
    """Calls things at their times; what one of them raises is raised again at the end."""

    def __init__(self, happen) -> None:
        self._happen = sorted(happen, key=lambda event: event[0])
        self._cancelled = threading.Event()
        self._raised: list[BaseException] = []
        self.done_at: list[float] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._begin = time.monotonic()
        self._thread.start()

    def _run(self) -> None:
        for at, action in self._happen:
            if self._cancelled.wait(max(0.0, self._begin + at - time.monotonic())):
                return
            try:
                action()
            except BaseException as error:
                self._raised.append(error)
            self.done_at.append(time.monotonic() - self._begin)

    def finish(self) -> None:
        self._cancelled.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "something that was to happen goes on for ever"
        if self._raised:
            raise self._raised[0]


def adds_up(recording: Recording) -> None:
    t = recording.total
    assert t("planned") == t("sent") + t("shed") + t("late") + t("cancelled")
    assert t("sent") == t("acked") + t("failed") + t("unknown")


def seqs_in(server, key="plg:test") -> list[int]:
    """The sequence numbers that a `RealServer` holds, asked without plg."""
    return [json.loads(job)["seq"] for job in jobs_in(server, key)]


def jobs_in(server, key="plg:test") -> list[bytes]:
    client = _client(server)
    try:
        kind = client.type(key)
        if kind == b"list":
            return client.lrange(key, 0, -1)[::-1]
        return [fields[b"job"] for _, fields in client.xrange(key)] if kind == b"stream" else []
    finally:
        client.close()


def executed_at(server, key="plg:test") -> np.ndarray:
    """When the server executed each job of a stream, by its own clock (s, to the millisecond)."""
    client = _client(server)
    try:
        return np.array([int(id.split(b"-")[0]) for id, _ in client.xrange(key)]) / 1e3
    finally:
        client.close()


def _client(server):
    import redis

    return redis.Redis(unix_socket_path=str(server.path), password=server_password(server), socket_timeout=10)


def server_password(server) -> str | None:
    return server.options[server.options.index("--requirepass") + 1] if "--requirepass" in server.options else None


def agrees(ran: Ran, held: Sequence[int]) -> None:
    """The ledger against what the server holds: nothing twice, nothing confirmed that is not there, nothing made up."""
    adds_up(ran.recording)
    twice = [seq for seq, count in Counter(held).items() if count > 1]
    assert not twice, twice[:10]
    assert set(held) <= set(range(ran.plan.planned))
    acked, unknown = ran.total("acked"), ran.total("unknown")
    assert acked <= len(held) <= acked + unknown, totals(ran.recording, len(held))


def totals(recording: Recording, held: int | None = None) -> str:
    return f"{ {n: recording.total(n) for n in recording.counters} } {held=} {recording.stop} {recording.stop_detail}"


def most_in_a_window(times: np.ndarray, width: float) -> int:
    """The largest number of moments in any window of ``width`` seconds; the clock counts whole milliseconds."""
    times = np.sort(times)
    return int((np.searchsorted(times, times + width - 0.0015) - np.arange(len(times))).max()) if len(times) else 0


def kill(server) -> None:
    server.process.kill()
    server.process.wait()


def revive(server, *, wait=True) -> None:
    """The same server again: same port, same folder, same options."""
    with (server.folder / "log").open("ab") as log:
        server.process = subprocess.Popen(server.process.args, stdout=log, stderr=log)
    deadline = time.monotonic() + 10
    while wait and time.monotonic() < deadline:
        try:
            if server.ask("PING").startswith((b"+PONG", b"-NOAUTH")):
                return
        except OSError:
            time.sleep(0.005)
