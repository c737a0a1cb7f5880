"""A run divided among the workers of a real Dask cluster, and what becomes of it where a worker fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.checked import Started, plg, until

from plg.runs.events import Event, Ready, Windows
from plg.runs.launcher import NoOutcome, launcher_for

pytestmark = [
    pytest.mark.slow,
    # Of distributed and tornado, at the end of their loops and connections.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Cluster:
    """A scheduler and workers, each a process of its own without a nanny: one that is killed stays away."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        here = ("--host", "127.0.0.1", "--no-dashboard")
        self._start(folder, "dask_scheduler", *here, "--port", "0", "--scheduler-file", self.file)
        self._await(self.file.exists)
        self.address = json.loads(self.file.read_text())["address"]
        from distributed import Client

        self._folder, self._count = folder, workers
        self._options = (*here, "--nthreads", "1", "--no-nanny", "--local-directory", folder)
        self.client = Client(self.address, set_as_default=False)
        self.mend()

    def mend(self) -> None:
        """Start a worker in the place of each that is gone, and wait until the scheduler knows just these."""
        for process in self._processes:
            process.poll()
        self._processes = [process for process in self._processes if process.returncode is None]
        for _ in range(self._count + 1 - len(self._processes)):
            self._start(self._folder, "dask_worker", self.address, *self._options)
        workers = {process.pid for process in self._processes[1:]}
        self._await(lambda: set(self.client.run(os.getpid, on_error="ignore").values()) == workers)

    def pid(self, worker: str) -> int:
        """The process of a worker."""
        return int(self.client.run(os.getpid, workers=[worker])[worker])

    def close(self) -> None:
        self.client.close()
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, folder: Path, command: str, *arguments: object) -> None:
        line = [sys.executable, "-m", f"distributed.cli.{command}", *map(str, arguments)]
        quiet = (folder / "log").open("ab")
        with quiet:
            self._processes.append(subprocess.Popen(line, cwd=folder, stdout=quiet, stderr=quiet))

    @staticmethod
    def _await(there) -> None:
        until = time.monotonic() + 60
        while not there():
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.fixture(scope="module")
def _kept(tmp_path_factory: pytest.TempPathFactory):
    made = Cluster(tmp_path_factory.mktemp("dask"), 4)
    yield made
    made.close()


@pytest.fixture
def cluster(_kept):
    """Four workers; each that a test has killed or spoilt is a new one."""
    _kept.mend()
    return _kept


def await_event(heard: list[Event], kind: type[Event], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not any(isinstance(event, kind) for event in list(heard)):
        assert time.monotonic() < until, heard
        time.sleep(0.01)


def ordered(order, cluster: Cluster):
    heard: list[Event] = []
    handle = launcher_for(f"dask:{cluster.address}:4").launch(order, heard.append)
    await_event(heard, Ready)
    return handle, heard


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as own:  # noqa: PTH123
        found = [int(each) for each in own.read().split()]
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(each) for each in (task / "children").read_text().split()]
    return sorted(set(found))


def test_four_workers_make_the_jobs_of_one_run_each_once(cluster, order_for, server, seqs):
    """4 x 5,000 jobs/s: the numbers of one run of 20,000/s, each once, and the ledger is what the server has."""
    handle, _ = ordered(order_for("steady 20_000/s over 3s"), cluster)
    handle.begin()
    outcome = handle.outcome()
    assert len(outcome.shards) == 4
    assert {shard.planned for shard in outcome.shards} == {15_000}
    ledger = outcome.ledger
    assert ledger.planned == 60_000
    assert ledger.imbalance() == 0
    there = seqs()
    assert len(there) == ledger.acked == server.number("LLEN", "q")
    assert len(set(there)) == len(there), "each once"
    assert set(there) <= set(range(60_000))
    if ledger.late == 0:  # a machine that is busy with other things drops what it cannot send in time, and says so
        assert there == list(range(60_000))
    else:
        assert outcome.verdict == "invalid"
    assert all(shard.where.startswith("tcp://") and shard.skew_s is not None for shard in outcome.shards)
    assert max(shard.skew_s for shard in outcome.shards) < 0.5
    assert cluster.client.run(lambda: len(__import__("plg.runs.dask").runs.dask._running)) == dict.fromkeys(
        cluster.client.scheduler_info()["workers"], 0
    )


def test_check_runs_on_a_cluster_with_tables_that_the_workers_do_not_have(cluster, server, tmp_path):
    (tmp_path / "users.csv").write_text("name\nann\nbob\n")
    (tmp_path / "sale.plg").write_text(
        'scenario "sale" {\n  data users "users.csv"\n'
        '  job job { queue "q" payload { who: "${users.name}", n: "${seq}" } }\n'
        "  traffic { steady 200/s over 1s }\n"
        "  guardrails { max_rate 5_000/s  max_total_jobs 10_000  max_duration 30s }\n  expect { errors == 0 }\n}\n"
    )
    where = f"dask:{cluster.address}:3"
    done = plg("check", "sale.plg", "--launch", where, "--target", server.url(), cwd=tmp_path, seconds=110)
    assert done.code in (0, 5), done.said
    outcome = done.outcome("sale")
    assert outcome["ledger"]["acked"] == outcome["ledger"]["planned"] == server.number("LLEN", "q") == 200
    assert [shard["part"] for shard in outcome["shards"]] == [1, 2, 3]
    assert "shard 3 of 3 on tcp://" in done.out
    assert len(done.suites()) == 1
    embedded = plg("check", "sale.plg", "--launch", where, cwd=tmp_path)
    assert embedded.code == 2
    assert "shards that run elsewhere cannot share it" in embedded.said


def test_a_worker_that_is_killed_makes_the_run_invalid_within_its_deadline(cluster, order_for, server):
    handle, heard = ordered(order_for("steady 400/s over 40s"), cluster)
    handle.begin()
    await_event(heard, Windows)
    worker = handle._shards[2].seat.where
    begin = time.monotonic()
    os.kill(cluster.pid(worker), signal.SIGKILL)
    outcome = handle.outcome()
    assert time.monotonic() - begin < 25, "a task on a lost worker never ends by itself"
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 5)
    assert outcome.reason == (f"not judged: shard 3 of 4 on {worker} left no outcome: the worker {worker} was lost")
    assert [shard.part for shard in outcome.shards if shard.verdict == "lost"] == [3]
    assert outcome.ledger.acked > 0


def test_a_shard_whose_process_is_lost_with_its_outcome_is_named(cluster, order_for):
    handle, heard = ordered(order_for("steady 400/s over 40s"), cluster)
    handle.begin()
    await_event(heard, Windows)
    worker = handle._shards[0].seat.where
    (child,) = children(cluster.pid(worker))
    os.kill(child, signal.SIGKILL)
    outcome = handle.outcome()
    assert outcome.verdict == "invalid"
    assert f"shard 1 of 4 on {worker} left no outcome" in outcome.reason


def test_a_worker_that_starts_late_is_named(cluster, order_for):
    handle, _ = ordered(order_for("steady 400/s over 4s"), cluster)
    (child,) = children(cluster.pid(handle._shards[3].seat.where))
    os.kill(child, signal.SIGSTOP)
    handle.begin()
    time.sleep(3.5)  # the start is two seconds after the begin
    os.kill(child, signal.SIGCONT)
    outcome = handle.outcome()
    assert outcome.verdict == "invalid"
    assert "(shard 4 last)" in outcome.reason


def test_a_worker_that_freezes_makes_the_run_invalid_within_its_deadline(cluster, order_for):
    """It neither ends nor answers, and its connection stays: the scheduler takes it for alive for minutes."""
    handle, heard = ordered(order_for("steady 400/s over 6s"), cluster)
    handle.begin()
    await_event(heard, Windows)
    worker = handle._shards[1].seat.where
    frozen = cluster.pid(worker)
    os.kill(frozen, signal.SIGSTOP)
    begin = time.monotonic()
    try:
        outcome = handle.outcome()
    finally:
        os.kill(frozen, signal.SIGKILL)
    assert time.monotonic() - begin < 40
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 5), outcome.reason
    assert outcome.reason == f"not judged: shard 2 of 4 on {worker} gave no outcome by the end of the run"
    assert outcome.ledger.acked > 0


def test_a_task_that_is_run_again_is_one_too_many(cluster, order_for):
    """What a second attempt at the shard says comes by the same way: it is told apart and never begun."""
    handle, heard = ordered(order_for("steady 400/s over 40s"), cluster)
    shard = handle._shards[1].handle
    handle.begin()
    await_event(heard, Windows)
    cluster.client.log_event(shard._hub.topic, {"part": 2, "attempt": "another", "said": "{}"})
    outcome = handle.outcome()
    assert outcome.verdict == "invalid"
    assert "shard 2 of 4" in outcome.reason
    assert "was begun twice" in outcome.reason


def test_a_worker_with_another_version_is_refused_before_anything_is_sent(cluster, order_for, server):
    worker = sorted(cluster.client.scheduler_info()["workers"])[1]

    def pretend() -> None:
        import plg

        plg.__version__ = "0.0.9"

    cluster.client.run(pretend, workers=[worker])
    handle = launcher_for(f"dask:{cluster.address}:4").launch(order_for("steady 400/s over 1s"), lambda event: None)
    with pytest.raises(NoOutcome, match=rf"the worker {worker} has plg 0\.0\.9, the run was ordered by plg") as refused:
        handle.outcome()
    assert refused.value.code == 2
    assert server.number("EXISTS", "q") == 0
    os.kill(cluster.pid(worker), signal.SIGKILL)


def test_a_line_that_one_shard_breaks_ends_all(cluster, order_for, server):
    handle, _ = ordered(order_for("steady 400/s over 40s", "acked < 1_000 or stop"), cluster)
    handle.begin()
    outcome = handle.outcome()
    assert outcome.stop.name == "expectation"
    assert outcome.exit_code == 3 or "could not hold the schedule" in outcome.reason, outcome.reason
    assert outcome.stop.by.startswith("shard ")
    assert outcome.ledger.acked == server.number("LLEN", "q") < 4_000


def test_shards_whose_launcher_is_killed_end_by_themselves(cluster, server, tmp_path):
    (tmp_path / "s.plg").write_text(
        'scenario "s" { job job { queue "q" payload { n: "${seq}" } } traffic { steady 200/s over 50s }\n'
        "guardrails { max_rate 5_000/s max_total_jobs 100_000 max_duration 1m } expect { errors == 0 } }\n"
    )
    where = f"dask:{cluster.address}:2"
    with Started("check", "s.plg", "--launch", where, "--target", server.url(), cwd=tmp_path) as check:
        until(lambda: server.number("LLEN", "q") > 100, 90)
        check.process.kill()
    until(lambda: not any(children(cluster.pid(worker)) for worker in cluster.client.scheduler_info()["workers"]), 30)
    sent = server.number("LLEN", "q")
    assert sent < 6_000
    time.sleep(1.0)
    assert server.number("LLEN", "q") == sent


def test_an_interrupted_check_ends_its_shards_and_keeps_what_they_did(cluster, server, tmp_path):
    (tmp_path / "s.plg").write_text(
        'scenario "s" { job job { queue "q" payload { n: "${seq}" } } traffic { steady 200/s over 50s }\n'
        "guardrails { max_rate 5_000/s max_total_jobs 100_000 max_duration 1m } expect { errors == 0 } }\n"
    )
    where = f"dask:{cluster.address}:2"
    with Started("check", "s.plg", "--launch", where, "--target", server.url(), cwd=tmp_path) as check:
        until(lambda: server.number("LLEN", "q") > 100, 90)
        check.process.send_signal(signal.SIGTERM)
        done = check.done(40)
    assert done.code == 143, done.said
    outcome = done.outcome("s")
    assert (outcome["verdict"], outcome["stop"]["name"], outcome["stop"]["by"]) == ("interrupted", "signal", "SIGTERM")
    assert outcome["ledger"]["acked"] == server.number("LLEN", "q")


def test_too_few_workers_and_no_scheduler_are_told(cluster, order_for, monkeypatch):
    monkeypatch.setattr("plg.runs.dask._PATIENCE", 4.0)
    for text, words in (
        (f"{cluster.address}:5", "has 4 workers, 5 shards were asked for"),
        ("tcp://127.0.0.1:1", "cannot be reached"),
    ):
        with pytest.raises(NoOutcome, match=words):
            launcher_for(f"dask:{text}").launch(order_for("steady 10/s over 1s"), lambda event: None).outcome()


def test_a_cluster_of_its_own_ends_with_the_run(server, tmp_path):
    (tmp_path / "s.plg").write_text(
        'scenario "s" { job job { queue "q" payload { n: "${seq}" } } traffic { steady 200/s over 1s }\n'
        "guardrails { max_rate 5_000/s max_total_jobs 10_000 max_duration 30s } expect { errors == 0 } }\n"
    )
    done = plg("check", "s.plg", "--launch", "dask:local:2", "--target", server.url(), cwd=tmp_path, seconds=110)
    assert done.code in (0, 5), done.said
    assert done.outcome("s")["ledger"]["acked"] == 200
    named = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(str(tmp_path).encode() in line for line in named)
