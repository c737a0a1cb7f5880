"""The whole way, from a scenario file to a judged outcome: what every entry calls."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from plg.clock import Clock, MonotonicClock
from plg.diagnostics import Diagnostic, ScenarioError
from plg.guardrails.dividing import divide, remarks
from plg.guardrails.policy import Policy
from plg.interrupt import Interrupted, attend
from plg.judge import make_outcome
from plg.judge.early_stop import or_stop
from plg.judge.outcome import scenario_hash
from plg.judge.shards import as_shard, judged_alone
from plg.language.load import Loaded, load_source, read_source
from plg.language.source import Source
from plg.language.validate import field_order
from plg.outcome import ExpectationResult, Outcome, ShardInfo
from plg.pacing import PACINGS
from plg.plan import Plan, make_plan
from plg.plan.watching import watch_length
from plg.redaction import hide, hide_known, redact
from plg.runner.budget import SharedBudget
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.low_latency import low_latency
from plg.runner.monitor import Monitor
from plg.runner.observer import Hooks
from plg.runner.readiness import Ready, get_ready
from plg.runner.recorder import Recorder, nothing_sent
from plg.runner.recording import Recording, Stall
from plg.runner.run import Run
from plg.runner.run_clock import RunClock
from plg.runner.sampler import ThreadSampler
from plg.runner.sender import Sender
from plg.runner.sight import blind_limits, failed_since, found_waiting
from plg.runner.start import Start, utc, wait_until
from plg.runner.watch import Watch
from plg.scenario import Expectation, Guardrails, Scenario
from plg.stop import Stop
from plg.target_url import fallen_back
from plg.targets.address import secrets_of
from plg.targets.base import Depth, Server, Target, TargetError
from plg.targets.continuity import Standing, what_was_lost
from plg.targets.gate import Gate
from plg.targets.open import open_target
from plg.targets.url import UrlTarget
from plg.targets.worker import ReferenceWorkers, WorkersReport

LEAD = 0.02
"""Seconds between the last preparation and the first moment of the schedule."""
PREPARATION = 0.5
"""Seconds before a common start at which a generator connects and looks at the queue."""
WIND_UP = 0.5
"""Seconds after a signal that each part of a run gets to end by itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked beside the file: overrides of params, target, seed and connections, and the policy to apply.

    ``shard`` is (i, n) with i from 0: this generator makes the arrivals k with ``k mod n == i``. ``run_id`` names the
    run; the shards of one run share it. With ``share_limits`` they also share ``max_total_jobs``, by a counter in the
    target, instead of each having a part of it. ``start`` is when the schedule begins, where it does not begin at once.
    ``wait`` (s) is for a server that is not up yet. Who does not ``send`` needs no target.
    With ``force`` jobs go also to queues that belong to a framework.
    ``environ`` is where ``env`` looks (the process's own by default), ``account`` whose rules of the policy hold.
    """

    overrides: Mapping[str, str]
    target: str | None = None
    seed: int | None = None
    policy: Policy | None = None
    environment: str | None = None
    shard: tuple[int, int] | None = None
    share_limits: bool = False
    run_id: str | None = None
    start: Start | None = None
    connections: int | None = None
    wait: float | None = None
    sends: bool = True
    force: bool = False
    environ: Mapping[str, str] | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario that can be run: loaded, under policy, planned. ``notes`` are remarks the report repeats.

    ``limits`` are those of this generator: the scenario's own, or of a shard its part of them.
    """

    loaded: Loaded
    scenario: Scenario
    plan: Plan
    grid: Grid
    limits: Guardrails
    run_id: str
    notes: tuple[str, ...] = ()
    shard: ShardInfo | None = None
    start: Start | None = None
    share_limits: bool = False
    wait: float | None = None
    gate: Gate | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Observer(Hooks):
    """Where a run tells how it goes, and hears that it should stop. ``before_start`` is called when all is ready.

    ``broken`` (an expectation marked ``or stop``) is called by the thread that sends, as the other hooks are: it hands
    on what it is told, and waits for nothing. ``watch`` is of no use here: the run judges by its own expectations.
    """

    before_start: Callable[[], None] = lambda: None
    waiting: Callable[[str], None] = lambda words: None
    broken: Callable[[ExpectationResult], None] = lambda result: None


def prepare(file: Path, request: Request) -> Prepared:
    """Read, validate, put under policy and plan. Raises `ScenarioError` with every fault."""
    return prepare_source(read_source(file), request)


def prepare_source(source: Source, request: Request) -> Prepared:
    """As `prepare`, for a source that has been read."""
    loaded = load_source(
        source, overrides=request.overrides, target=request.target, sends=request.sends, environ=request.environ
    )
    if request.sends and loaded.withheld:
        raise ScenarioError([_withheld(source.file, loaded)])
    scenario = loaded.scenario
    notes = tuple(map(_remark, loaded.warnings))
    if request.sends and request.target is None:
        environ = os.environ if request.environ is None else request.environ
        notes += fallen_back(scenario.document.get("target"), environ)
    scenario = _asked_otherwise(scenario, request)
    if request.policy is not None:
        scenario, lowered = request.policy.apply(scenario, request.environment, account=request.account)
        notes += lowered
    plan = make_plan(scenario, seed=request.seed, shard=request.shard or (0, 1))
    grid = Grid.of(plan, scenario.expect)
    limits = divide(scenario.guardrails, plan)
    if request.share_limits:
        limits = replace(limits, max_total_jobs=scenario.guardrails.max_total_jobs)
    run_id = _run_id(request, scenario)
    shard = _shard_info(request, scenario, run_id)
    if shard is not None:
        notes += (*remarks(scenario.guardrails, plan), *_lonely(scenario))
    gate = request.policy.gate(scenario.guardrails) if request.policy is not None else None
    return Prepared(
        loaded, scenario, plan, grid, limits, run_id, notes, shard, request.start, request.share_limits,
        request.wait, gate, request.force,
    )  # fmt: skip


def _remark(warning: Diagnostic) -> str:
    where = f" ({warning.file}:{warning.span.line})" if warning.span is not None else ""
    return warning.message + where


def _asked_otherwise(scenario: Scenario, request: Request) -> Scenario:
    """The scenario as the request changes it; its document says so too, for that is what is saved and shown."""
    if request.connections is not None:
        document = {**scenario.document, "connections": request.connections}
        scenario = replace(scenario, connections=request.connections, document=document)
    if request.seed is not None:
        arrivals = {**scenario.document.get("arrivals", {}), "seed": request.seed}
        document = field_order({**scenario.document, "arrivals": arrivals})
        scenario = replace(scenario, arrivals=replace(scenario.arrivals, seed=request.seed), document=document)
    return scenario


def _withheld(file: str, loaded: Loaded) -> Diagnostic:
    """Why a scenario that was saved without its secrets cannot be run."""
    names = ", ".join(loaded.withheld)
    message = f"this scenario was saved without the value of {names}"
    help = f"set {names} and run the file that it was made from; `param NAME = env VARIABLE keep` keeps a value"
    return Diagnostic("withheld-value", message, file, loaded.spans.nearest(("params",)), help)


def _without_secrets(recording: Recording, target: str) -> Recording:
    """The recording with secrets hidden in what the target said."""
    secrets = secrets_of(target)
    errors = tuple((hide_known(hide(text, secrets)), count) for text, count in recording.errors)
    said = recording.stop_detail
    for (text, _), (hidden, _) in zip(recording.errors, errors, strict=True):
        said = said.replace(text, hidden)  # alone: a short secret may be a part of the words around it
    said = recording.stop_detail if recording.stop == "expectation" else hide_known(said)
    return replace(recording, stop_detail=said, errors=errors)


def _run_id(request: Request, scenario: Scenario) -> str:
    """The name of the run: as given, or one that all shards with the same scenario and start find by themselves."""
    if request.run_id is not None:
        return request.run_id
    if request.shard is not None and request.start is not None:
        return f"{scenario_hash(scenario.document)[:8]}-{round(request.start.wall * 1000):x}"
    return uuid.uuid4().hex[:12]


def _shard_info(request: Request, scenario: Scenario, run_id: str) -> ShardInfo | None:
    if request.shard is None:
        return None
    index, of = request.shard
    limits = {
        "max_rate": scenario.guardrails.max_rate,
        "max_total_jobs": float(scenario.guardrails.max_total_jobs),
        "max_duration": scenario.guardrails.max_duration,
    }
    return ShardInfo(run_id, of, (index + 1,), limits, tuple(e.line for e in scenario.expect))


def _lonely(scenario: Scenario) -> tuple[str, ...]:
    if "://" in scenario.target:
        return ()
    return (f"the target is {scenario.target}: this shard loads a queue of its own; give all shards one URL",)


def run(prepared: Prepared, observer: Observer) -> Outcome:
    """Run and judge. Whatever the target does, an outcome comes back."""
    scenario, plan, clock = prepared.scenario, prepared.plan, MonotonicClock()
    ran = _Ran(nothing_sent(prepared.grid, Stop("target", "")), clock.wall())
    server = Server("unknown", redact(scenario.target), "unknown", "")
    told = [warning.message for warning in plan.warnings if warning.code in ("nothing-planned", "stream-trimmed")]
    notes = [*prepared.notes, *told]
    before = _Before("while it connected to the server")
    try:
        with ExitStack() as opened:
            target = attend(lambda: _opened(prepared, observer, before), observer.interrupted, discard=UrlTarget.close)
            opened.callback(target.close)
            server = target.server
            notes += target.notes
            ran = _run_on(target, prepared, clock, observer, before)
    except Interrupted:
        stop = before.named(observer.interrupted() or Stop("signal", "SIGINT"))
        ran = replace(ran, recording=nothing_sent(prepared.grid, stop))
    except TargetError as error:
        # Who interrupts a vain attempt to connect wants to be told that, not what the attempt would have come to.
        asked = observer.interrupted()
        stop = before.named(asked) if asked else Stop("target", str(error))
        ran = replace(ran, recording=nothing_sent(prepared.grid, stop))
    recording = _without_secrets(ran.recording, scenario.target)
    server = replace(server, name=hide_known(server.name), version=hide_known(server.version))
    outcome = make_outcome(
        replace(scenario, expect=_judged(prepared, recording)),
        plan.to_document(),
        recording,
        run_id=prepared.run_id,
        seed=plan.seed,
        started_at=utc(ran.started),
        server=server,
        workers=ran.workers,
        failed_in_worker=ran.failed,
        warnings=tuple(map(hide_known, (*notes, *ran.notes, *(ran.workers.warnings if ran.workers else ())))),
        interrupted=observer.interrupted,
    )
    return outcome if prepared.shard is None else as_shard(outcome, replace(prepared.shard, begun_s=ran.begun_s))


@dataclass(slots=True)
class _Before:
    """What is being ``done`` before the schedule begins, as the words that follow `interrupted by SIGTERM`."""

    done: str

    def named(self, stop: Stop) -> Stop:
        """The stop of a run that had not begun; of a signal with what it came into."""
        return replace(stop, detail=f"{stop.detail}: {self.done}") if stop.name == "signal" else stop


def _opened(prepared: Prepared, observer: Observer, before: _Before) -> UrlTarget:
    """The open target; where it is not up yet, it is tried again as long as the command or the URL allows."""

    def tell(words: str) -> None:
        if not observer.interrupted():  # after a signal this goes on for nobody
            before.done = "while it waited for the server"
            observer.waiting(words)

    scenario = prepared.scenario
    return open_target(
        scenario.target, scenario.jobs, gate=prepared.gate, wait=prepared.wait, force=prepared.force, tell=tell
    )


@dataclass(frozen=True, slots=True)
class _Ran:
    """What a run left behind; ``started`` is its first moment in seconds since the Unix epoch."""

    recording: Recording
    started: float
    workers: WorkersReport | None = None
    notes: tuple[str, ...] = ()
    begun_s: float | None = None
    """Seconds from the first moment of the schedule to when plg had woken for it; None where it never did."""
    failed: int | None = None
    """Jobs that failed in the workers; None where that is not known."""


def _judged(prepared: Prepared, recording: Recording) -> tuple[Expectation, ...]:
    """The expectations to judge: all, but of a shard only one that ended it."""
    expect = prepared.scenario.expect
    if prepared.shard is None:
        return expect
    return tuple(e for e in expect if recording.stop == "expectation" and e.text == recording.stop_detail)


def _run_on(target: Target, prepared: Prepared, clock: Clock, observer: Observer, before: _Before) -> _Ran:
    scenario, plan, given = prepared.scenario, prepared.plan, prepared.start
    encode = batch_encoder(scenario, plan, prepared.run_id)
    if given is not None:
        before.done = "while it waited for the start"
        if wait_until(given.at - PREPARATION, clock, observer.interrupted) is not None:
            raise Interrupted
    before.done = "while it got ready"
    shared = prepared.share_limits and prepared.shard is not None
    ready = attend(
        lambda: get_ready(
            target,
            scenario,
            plan,
            prepared.limits,
            clock,
            prepared.run_id,
            shared=shared,
            start=None if given is None else given.at,
            force=prepared.force,
        ),
        observer.interrupted,
        discard=Ready.close,
    )
    with ExitStack() as ends:
        ends.callback(_soon, ready.close, observer)
        sampler = ThreadSampler(ready.probe, clock)
        recorder, run_clock = Recorder(prepared.grid), RunClock(clock)
        sender = Sender(
            plan, prepared.limits, ready.transport, encode, recorder, run_clock,
            pacing=PACINGS[scenario.pacing], max_lag=scenario.max_lag, budget=ready.budget,
        )  # fmt: skip
        monitor = Monitor(
            plan, prepared.limits, sampler, recorder, run_clock,
            hooks=_hooks(prepared, observer, ready.budget), watch=_watch(ready.before, scenario),
        )  # fmt: skip
        attend(observer.before_start, observer.interrupted)
        start = clock.now() + LEAD if given is None else given.at
        started = clock.wall() + start - clock.now() if given is None else given.wall
        sampler.start(start)
        ends.callback(_soon, sampler.stop, observer)
        with low_latency():
            clock.sleep_until(start)
            begun = clock.now() - start - _waited_for_others(ready.budget, start)
            recording = Run(sender, monitor, recorder, run_clock).run(start)
        ends.pop_all()
    workers = _wind_up(sampler, ready.budget, ready.consumers, recording, observer)
    found = found_waiting(ready.before, target.queues)
    recording = _with_stalls(recording, workers, start)
    recording = replace(recording, lost=_lost(ready.standing, recording, observer))
    lost = (recording.lost,) if recording.lost else ()
    notes = (*ready.notes, *found, *lost, *blind_limits(prepared.limits, recording))
    return _Ran(recording, started, workers, notes, begun, _failed(ready.before, target, clock, recording, observer))


def _lost(before: tuple[Standing, ...], recording: Recording, observer: Observer) -> str:
    """Why confirmed jobs may be lost; "" where nothing tells of it, or nobody waits for it."""
    if recording.stop == "target":
        return ""
    try:
        return attend(lambda: what_was_lost(before), observer.interrupted, grace=WIND_UP)
    except Interrupted:
        return ""


def _failed(before: Depth | None, target: Target, clock: Clock, recording: Recording, observer: Observer) -> int | None:
    """Jobs that failed in the workers during the run; None where that is not known, or nobody waits for it."""
    if recording.stop == "target":
        return None
    try:
        return attend(lambda: failed_since(before, target, clock), observer.interrupted, grace=WIND_UP)
    except Interrupted:
        return None


def _waited_for_others(budget: SharedBudget | None, start: float) -> float:
    """Seconds from the start on for which this shard was there and others were not."""
    return 0.0 if budget is None else max(0.0, budget.complete - max(start, budget.joined))


def _with_stalls(recording: Recording, workers: WorkersReport | None, start: float) -> Recording:
    """The recording with the stretches of the run, which began at ``start``, in which the workers took no jobs."""
    found = [(begin - start, end - start) for begin, end in (workers.stalls if workers else ()) if end > start]
    stalls = [*recording.stalls, *(Stall(max(0.0, begin), end, workers=True) for begin, end in found)]
    return replace(recording, stalls=tuple(sorted(stalls, key=lambda stall: stall.start_s)))


def _wind_up(
    sampler: ThreadSampler,
    budget: SharedBudget | None,
    consumers: ReferenceWorkers | None,
    recording: Recording,
    observer: Observer,
) -> WorkersReport | None:
    """End what went on beside a run that is over; what does not end soon after a signal is left behind."""
    _soon(sampler.stop, observer)
    if budget is not None:
        _soon(lambda: budget.stop(recording.total("sent")), observer)
    if consumers is None:
        return None
    try:
        return attend(consumers.stop, observer.interrupted, grace=2 * WIND_UP)
    except Interrupted:
        return consumers.unknown("the signal came before they could say what they did")


def _soon(end: Callable[[], object], observer: Observer) -> None:
    with suppress(Interrupted):
        attend(end, observer.interrupted, grace=WIND_UP)


def _watch(before: Depth | None, scenario: Scenario) -> Watch:
    length = watch_length(scenario)
    return Watch(None, length) if before is None else Watch(before.waiting, length, before.not_taken)


def _hooks(prepared: Prepared, observer: Observer, budget: SharedBudget | None) -> Hooks:
    """What the run asks and tells: whoever observes it, and by way of the target the other shards."""
    expect = prepared.scenario.expect
    if prepared.shard is None:
        return replace(observer, watch=or_stop(expect, prepared.grid, observer.broken))
    hooks = replace(observer, watch=or_stop(filter(judged_alone, expect), prepared.grid, observer.broken, budget))
    return hooks if budget is None else budget.among_shards(hooks)
