"""``dask:ADDRESS[:N]`` and ``dask:local:4``: the shards of a run on the workers of a Dask cluster.

Each shard is one task, pinned to one worker, which runs the order in a child process of that worker: what else happens
in the worker is not beside the schedule. The task tells its events by a topic of the scheduler; the begin and stops
reach it by functions that the client runs on the worker. A task whose worker is lost never ends by itself, so a watch
of the cluster's workers stands beside (and the deadline of the whole run behind) it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from plg import __version__
from plg.diagnostics import Diagnostic, ScenarioError
from plg.judge.verdict import INVALID, USAGE
from plg.outcome import Outcome
from plg.outcome_io import from_json, to_json
from plg.runs.events import Finished, Refused, event_from, event_to
from plg.runs.launcher import Ending, NoOutcome
from plg.runs.order import Order, faults_from, faults_to
from plg.runs.process import ProcessLauncher, RunProcess
from plg.runs.relay import Listen
from plg.runs.sharded import PREPARING, Crew, Seat, Sharded, shards_in
from plg.stop import Stop
from plg.units import counted

T = TypeVar("T")

_PATIENCE = 15.0
"""Seconds that the cluster has to answer before the run begins."""
_WATCH = 0.5
"""Seconds between two looks at which workers there are."""
_LEAD = 2.0
"""Seconds before the start at which the shards are told of it."""
_TRIES = 3


def launcher(text: str) -> Sharded:
    """The launcher behind ``dask:``; ``text`` is ``ADDRESS``, ``ADDRESS:N`` or ``local:N``. Raises `ScenarioError`."""
    if text.startswith("local:"):
        return Sharded(partial(_own_cluster, shards_in(text.removeprefix("local:"), "dask:local:4")))
    found = re.fullmatch(r"(?P<address>(?:[a-z]+://)?(?:[^:/\s]+|\[[^\]\s]+\]):\d+)(?::(?P<shards>\d+))?", text)
    if found is None:
        message = f"--launch dask:ADDRESS takes the address of a scheduler, not {text!r}"
        help = "for example dask:tcp://10.0.0.1:8786, or dask:10.0.0.1:8786:4 for four of its workers"
        raise ScenarioError([Diagnostic("usage", message, "<command line>", help=help)])
    shards = None if found["shards"] is None else shards_in(found["shards"], f"dask:{found['address']}:4")
    return Sharded(partial(_cluster, found["address"], shards))


# -- on the worker ----------------------------------------------------------------------------------------------------

_running: dict[str, RunProcess] = {}
"""The shards that this process of a worker runs, by the name of their task's attempt."""


def run_shard(order: str, topic: str, part: int, patience: float) -> str:
    """The task of one shard: run the order and return its outcome, or its faults, as JSON.

    What it tells goes to the ``topic``. A shard that nobody lets begin within ``patience`` seconds, or whose task is
    given up by the client, ends.
    """
    worker: Any = import_module("distributed").get_worker()
    attempt, task = uuid.uuid4().hex, worker.get_current_task()

    def tell(said: dict[str, Any]) -> None:
        worker.log_event(topic, {"part": part, "attempt": attempt, "said": json.dumps(said)})

    with tempfile.TemporaryDirectory(prefix="plg-shard-", ignore_cleanup_errors=True) as folder:
        try:
            run = ProcessLauncher(Path(folder)).launch(Order.from_json(order), lambda event: tell(event_to(event)))
        except ScenarioError as error:
            return json.dumps({"refused": faults_to(error), "code": USAGE})
        _running[attempt] = run
        tell({"attempt": attempt})
        try:
            _await(run, lambda: _wanted(worker, task), time.monotonic() + patience)
            return json.dumps({"outcome": to_json(run.outcome())})
        except NoOutcome as error:
            return json.dumps({"refused": faults_to(error), "code": error.code})
        finally:
            del _running[attempt]


def _await(run: RunProcess, wanted: Callable[[], bool], until: float) -> None:
    while not run.over(_WATCH):
        if not wanted() or (not run.begun and time.monotonic() > until):
            run.abandon(5.0)


def _wanted(worker: Any, task: str) -> bool:
    """Whether the task is still one that a client waits for."""
    state = worker.state.tasks.get(task)
    return state is not None and state.state in ("executing", "long-running")


def command(attempt: str, what: str, said: Any) -> bool:
    """``begin``, ``stop`` or ``abandon`` the shard of this attempt; False where it does not run here."""
    run = _running.get(attempt)
    if run is None:
        return False
    if what == "begin":
        run.begin(said)
    elif what == "stop":
        run.stop(Stop(*said))
    else:
        run.abandon(float(said))
    return True


# -- on the machine that launches -------------------------------------------------------------------------------------


@contextmanager
def _own_cluster(shards: int) -> Iterator[Crew]:
    """A cluster of processes on this machine, for the time of one run."""
    distributed = _distributed()
    with ExitStack() as held:
        # Ctrl-C is for this process, which passes it on; and no worker imports from the working folder.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        safe = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            cluster = distributed.LocalCluster(
                n_workers=shards,
                threads_per_worker=1,
                processes=True,
                silence_logs=50,
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address=None,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            del os.environ["PYTHONSAFEPATH"]
            if safe is not None:
                os.environ["PYTHONSAFEPATH"] = safe
        held.enter_context(cluster)
        yield held.enter_context(_crew(cluster.scheduler_address, shards, near=True))


@contextmanager
def _cluster(address: str, shards: int | None) -> Iterator[Crew]:
    with _crew(address, shards, near=False) as crew:
        yield crew


@contextmanager
def _crew(address: str, shards: int | None, *, near: bool) -> Iterator[Crew]:
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError):
        message = f"the Dask scheduler at {address} cannot be reached (is it running? dask scheduler starts one)"
        raise _refused("dask-cluster", message) from None
    with ExitStack() as held:
        held.callback(lambda: _within(_PATIENCE, partial(client.close, timeout=2.0), None))
        workers = sorted(_workers(client))
        if len(workers) < (shards or 1):
            has = counted(len(workers), "worker")
            message = f"the Dask cluster at {address} has {has}, {counted(shards or 1, 'shard')} were asked for"
            raise _refused("dask-cluster", message)
        workers = workers[:shards]
        _compare_versions(client, workers)
        hub = _Hub(client)
        held.callback(hub.close)
        clocks = {worker: _clock(client, worker) for worker in workers}
        yield Crew([Seat(worker, _Seat(hub, worker), clocks[worker]) for worker in workers], near=near, lead=_LEAD)


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError:
        help = "pip install 'patterned-load[dask]'"
        raise _refused("dask-missing", "the package distributed is not installed", help) from None


def _refused(code: str, message: str, help: str = "") -> NoOutcome:
    return NoOutcome(ScenarioError([Diagnostic(code, message, "<command line>", help=help)]), USAGE)


def _workers(client: Any) -> dict[str, Any]:
    try:
        info = client.scheduler_info(n_workers=-1)
    except TypeError:  # before 2025 all of them are told of
        info = client.scheduler_info()
    return dict(info["workers"])


def _within(seconds: float, call: Callable[[], T], otherwise: T) -> T:
    """What ``call`` returns, ``otherwise`` where it takes longer: the cluster is not waited for without an end."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(call()), name="plg-dask", daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else otherwise


def _compare_versions(client: Any, workers: list[str]) -> None:
    """Raise `ScenarioError` for workers with another plg, or with none."""
    # It travels as code: a worker without plg could not look it up.
    version = lambda: __import__("plg").__version__  # noqa: E731  # a `def` would say no more
    ask = partial(client.run, version, workers=workers, on_error="return")
    found: dict[str, Any] = _within(_PATIENCE, ask, {})
    faults = []
    for worker in workers:
        answer = found.get(worker)
        if answer == __version__:
            continue
        has = f"plg {answer}" if isinstance(answer, str) else f"no plg ({answer})" if answer else "given no answer"
        message = f"the worker {worker} has {has}, the run was ordered by plg {__version__}"
        faults.append(
            Diagnostic("other-version", message, "<command line>", help="install the same plg on all workers")
        )
    if faults:
        raise NoOutcome(ScenarioError(faults), USAGE)


def _clock(client: Any, worker: str) -> float:
    """How far (s) the worker's clock is ahead of this one; 0 where it is nearer than the question takes."""
    best, ahead = float("inf"), 0.0
    for _ in range(_TRIES):
        begin = time.time()
        answers: dict[str, float] = _within(_PATIENCE, partial(client.run, time.time, workers=[worker]), {})
        there = answers.get(worker)
        took = time.time() - begin
        if there is not None and took < best:
            best, ahead = took, there - begin - took / 2
    return ahead if abs(ahead) > best / 2 else 0.0


class _Hub:
    """What the workers say, handed to the handle of each shard; and a watch of which workers there are."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.topic = f"plg-{uuid.uuid4().hex}"
        self._shards: dict[int, DaskShard] = {}
        self._closed = threading.Event()
        client.subscribe_topic(self.topic, self._hear)
        threading.Thread(target=self._watch, name="plg-dask-watch", daemon=True).start()

    def add(self, shard: DaskShard) -> None:
        self._shards[shard.part] = shard

    def close(self) -> None:
        self._closed.set()
        with suppress(Exception):
            self.client.unsubscribe_topic(self.topic)

    def _hear(self, event: tuple[float, Any]) -> None:
        said = event[1]
        shard = self._shards.get(said.get("part"))
        if shard is not None:
            shard.hear(str(said.get("attempt")), json.loads(said.get("said", "{}")))

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH):
            try:
                there = _workers(self.client)
            except Exception:  # the scheduler itself does not answer: the run has a deadline
                continue
            for shard in list(self._shards.values()):
                if shard.worker not in there:
                    shard.lose(f"the worker {shard.worker} was lost")


class _Seat:
    """Launches a shard on one worker."""

    def __init__(self, hub: _Hub, worker: str) -> None:
        self._hub, self._worker = hub, worker

    def launch(self, order: Order, listen: Listen) -> DaskShard:
        """See `Launcher.launch`."""
        return DaskShard(self._hub, self._worker, order, listen)


class DaskShard(Ending):
    """One shard, as the task of one worker."""

    def __init__(self, hub: _Hub, worker: str, order: Order, listen: Listen) -> None:
        assert order.shard is not None, "a worker runs a shard"
        super().__init__()
        self.order, self.worker, self.part = order, worker, order.shard[0] + 1
        self._hub, self._client, self._listen = hub, hub.client, listen
        self._attempt = ""
        self._lock = threading.Lock()
        hub.add(self)
        self._future = hub.client.submit(
            run_shard, order.to_json(), hub.topic, self.part, PREPARING + (order.wait or 0.0) + _PATIENCE,
            workers=[worker], allow_other_workers=False, pure=False, retries=0, key=f"{hub.topic}-{self.part}",
        )  # fmt: skip
        self._future.add_done_callback(self._done)

    def begin(self, at: float | None = None) -> None:
        """See `Handle.begin`."""
        self._command("begin", at)

    def stop(self, stop: Stop) -> None:
        """See `Handle.stop`."""
        self._command("stop", [stop.name, stop.detail, stop.by])

    def abandon(self, patience: float) -> None:
        """See `Handle.abandon`."""
        self._command("abandon", patience)
        with suppress(Exception):
            self._future.cancel(force=True)

    def hear(self, attempt: str, said: dict[str, Any]) -> None:
        """What a task of this shard says. There is one attempt at a shard: another one would send its jobs again."""
        if not self._attempt:
            self._attempt = attempt
        elif attempt != self._attempt:
            self._command("abandon", 1.0, attempt)
            self.lose(f"was begun twice on {self.worker}: its task was run again, so its jobs may be there twice")
            return
        event = event_from(said)
        if event is not None and not isinstance(event, Finished | Refused):
            self._listen(event)

    def lose(self, words: str) -> None:
        """No outcome comes from the shard any more."""
        self._end(None, NoOutcome(ScenarioError([Diagnostic("lost-worker", words, self.order.file)]), INVALID))

    def _command(self, what: str, said: Any, attempt: str = "") -> None:
        ask = partial(self._client.run, command, attempt or self._attempt, what, said, workers=[self.worker])

        def run() -> None:
            with suppress(Exception):  # a worker that is gone is told of by the watch
                ask()

        threading.Thread(target=run, name="plg-dask", daemon=True).start()

    def _done(self, future: Any) -> None:
        if future.status != "finished":
            why = "its task was cancelled" if future.status in ("cancelled", "lost") else repr(future.exception())
            self.lose(f"the worker {self.worker} could not run it: {why}")
            return
        answer = json.loads(future.result())
        if "outcome" in answer:
            self._end(from_json(answer["outcome"], self.worker, trusted=True), None)
        else:
            self._end(None, NoOutcome(faults_from(answer["refused"]), answer["code"]))

    def _end(self, outcome: Outcome | None, fault: NoOutcome | None) -> None:
        with self._lock:
            if self._over.is_set():
                return
            self._outcome, self._fault = outcome, fault
            self._over.set()
        if outcome is not None:
            self._listen(Finished.of(outcome))
        elif fault is not None:
            self._listen(Refused.of(fault, fault.code))
