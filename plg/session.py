"""From a prepared run to a judged outcome: what every entry calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace

from plg.clock import Clock, MonotonicClock
from plg.dataclass import dataclass
from plg.interrupt import Interrupted, attend
from plg.judge import make_outcome
from plg.judge.early_stop import or_stop
from plg.judge.expectations import still_recovering
from plg.judge.shards import as_shard, judged_alone
from plg.outcome import ExpectationResult, Outcome
from plg.pacing import PACINGS
from plg.plan.watching import watch_length
from plg.prepare import Prepared
from plg.redaction import hide, hide_known, redact
from plg.runner.budget import SharedBudget
from plg.runner.emergency import Emergency
from plg.runner.encode import batch_encoder
from plg.runner.far_fold import fold, nobody_asked
from plg.runner.far_jobs import Forgotten
from plg.runner.far_place import check_whose, left_in_queue, place_silent, place_unrecorded
from plg.runner.leaving import Left, again, asks_for_residue, clear_up
from plg.runner.live import Live
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
from plg.runner.start import utc, wait_until
from plg.runner.watch import Watch
from plg.scenario import Expectation, Scenario
from plg.stop import Stop
from plg.targets.address import secrets_of
from plg.targets.base import Depth, Server, Target, TargetError
from plg.targets.continuity import Lapse, Standing, what_was_lost
from plg.targets.open import open_target
from plg.targets.url import UrlTarget
from plg.targets.worker import ReferenceWorkers, WorkersReport

LEAD = 0.02
"""Seconds between the last preparation and the first moment of the schedule."""
PREPARATION = 0.5
"""Seconds before a common start at which a generator connects and looks at the queue."""
WIND_UP = 0.5
"""Seconds after a signal that each part of a run gets to end by itself."""
CLEARING = 3.0
"""The same for removing what it left."""


@dataclass(frozen=True, slots=True)
class Observer(Hooks):
    """Where a run tells how it goes, and hears that it should stop. ``before_start`` is called when all is ready.

    ``broken`` (an expectation marked ``or stop``) is called by the thread that sends, as the other hooks are: it hands
    on what it is told, and waits for nothing. ``watch`` is of no use here: the run judges by its own expectations.
    """

    before_start: Callable[[], None] = lambda: None
    waiting: Callable[[str], None] = lambda words: None
    broken: Callable[[ExpectationResult], None] = lambda result: None


def _without_secrets(recording: Recording, target: str) -> Recording:
    """The recording with secrets hidden in what the target said."""
    secrets = secrets_of(target)
    errors = tuple((hide_known(hide(text, secrets)), count) for text, count in recording.errors)
    said = recording.stop_detail
    for (text, _), (hidden, _) in zip(recording.errors, errors, strict=True):
        said = said.replace(text, hidden)  # alone: a short secret may be a part of the words around it
    said = recording.stop_detail if recording.stop == "expectation" else hide_known(said)
    return replace(recording, stop_detail=said, errors=errors, lost=hide_known(recording.lost))


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
            demand=prepared.demand,
            account=prepared.account,
        ),
        observer.interrupted,
        discard=Ready.close,
    )
    emergency = _emergency(ready, prepared)
    with ExitStack() as ends:
        ends.callback(_soon, ready.close, observer)
        sampler = ThreadSampler(ready.probe, clock, own_workers=_own_gauges(ready, plan.shard))
        recorder, run_clock = Recorder(prepared.grid), RunClock(clock)
        sender = Sender(
            plan, prepared.limits, ready.transport, encode, recorder, run_clock,
            pacing=PACINGS[scenario.pacing], max_lag=scenario.max_lag, budget=ready.budget,
        )  # fmt: skip
        monitor = Monitor(
            plan, prepared.limits, sampler, recorder, run_clock,
            hooks=_hooks(prepared, observer, ready, emergency), watch=_watch(ready, scenario),
        )  # fmt: skip
        attend(observer.before_start, observer.interrupted)
        start = clock.now() + LEAD if given is None else given.at
        started = clock.wall() + start - clock.now() if given is None else given.wall
        sampler.start(start)
        if ready.far is not None:
            ready.far.start(clock, start)
        ends.callback(_soon, sampler.stop, observer)
        ready.begin()
        with low_latency():
            clock.sleep_until(start)
            begun = clock.now() - start - _waited_for_others(ready.budget, start)
            recording = Run(sender, monitor, recorder, run_clock).run(start)
        ends.pop_all()
    if ready.interlock is not None:
        _soon(ready.interlock.close, observer)
    lapse = _lost(ready.standing, recording, observer)
    recording = replace(recording, lost=lapse.words or recording.lost)
    recording = _far_side(ready, target, recording, lapse, started, observer)
    workers = _wind_up(sampler, ready.budget, ready.consumers, recording, observer)
    found = found_waiting(ready.before, target.queues)
    recording = _with_stalls(recording, workers, start)
    notes = (*ready.notes, *found, *blind_limits(prepared.limits, recording))
    failed = _failed(ready.before, target, clock, recording, observer)
    left = _leave(ready, target, prepared, recording, observer)
    ready.registration.close()
    told = emergency.close()
    recording = replace(recording, residue=left.residue, residue_said=left.said)
    return _Ran(recording, started, workers, (*notes, *left.notes, *told), begun, failed)


def _emergency(ready: Ready, prepared: Prepared) -> Emergency:
    about = {"run": prepared.run_id, "scenario": prepared.scenario.name, "target": redact(prepared.scenario.target)}
    return Emergency(ready.interlock, prepared.webhooks, {**about, "account": prepared.account})


def _leave(ready: Ready, target: Target, prepared: Prepared, recording: Recording, observer: Observer) -> Left:
    """Remove, or count, what the run left in the target; where nothing can be, the target forgets the run."""
    registration, clean = ready.registration, prepared.clean
    counts = asks_for_residue(prepared.scenario) and prepared.shard is None
    if recording.stop == "target":
        said = "the server was lost, and nobody could look what the run left there"
        return Left(None, said, (f"what the run left was not removed: {again(prepared.run_id)}",) if clean else ())
    sent, grace = recording.total("sent"), CLEARING if clean else WIND_UP
    try:
        return attend(
            lambda: clear_up(target, registration, sent, clean=clean, counts=counts), observer.interrupted, grace=grace
        )
    except Interrupted:
        said = "the signal came before it was known what the run left"
        return Left(None, said, (f"not all that the run left was removed: {again(prepared.run_id)}",) if clean else ())


def _place_silent(ready: Ready, target: Target, taken: bool | None) -> None:
    if ready.far is None:
        return
    jobs, entry = ready.far.jobs, ready.registration.entry
    if not jobs.recorded.all():
        place_silent(jobs, ready.before, left_in_queue(target))
        check_whose(jobs, target, entry, ready.before)
    place_unrecorded(jobs, target, entry, taken)


def _far_side(
    ready: Ready, target: Target, recording: Recording, lapse: Lapse, started: float, observer: Observer
) -> Recording:
    """The recording with what the workers did, after a last look at the jobs that had not ended."""
    if ready.far is None:
        return nobody_asked(recording, ready.no_far) if ready.no_far else recording
    _soon(ready.far.stop, observer)
    if recording.stop != "target":
        _soon(ready.far.last_look, observer)
        ready.far.jobs.forgotten = Forgotten(lapse.evicted, lapse.expired)
        taken = recording.taken
        _soon(lambda: _place_silent(ready, target, taken), observer)
    _soon(ready.far.close, observer)
    return fold(recording, ready.far, started)


def _lost(before: tuple[Standing, ...], recording: Recording, observer: Observer) -> Lapse:
    """Why confirmed jobs may be lost; nothing where nothing tells of it, or nobody waits for it."""
    if recording.stop == "target":
        return Lapse()
    try:
        return attend(lambda: what_was_lost(before), observer.interrupted, grace=WIND_UP)
    except Interrupted:
        return Lapse()


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


def _own_gauges(ready: Ready, shard: tuple[int, int]) -> Callable[[], Mapping[str, float]]:
    """What plg's own workers tell of themselves; of a shard nothing, which has only a part of them."""
    return ready.consumers.gauges if ready.consumers is not None and shard[1] == 1 else dict


def _watch(ready: Ready, scenario: Scenario) -> Watch:
    before, length = ready.before, watch_length(scenario)
    watch = Watch(None, length) if before is None else Watch(before.waiting, length, before.not_taken)
    watch.delayed = scenario.longest_delay
    if ready.far is not None:
        watch.awaits, watch.all_sent = ready.far.awaits, ready.far.all_sent
    return watch


def _until(end: float, recovering: Callable[[Live], bool]) -> Callable[[Live], bool]:
    """The same as long as a watch lasts that the scenario asks for (s of the run): what it says goes before."""
    return lambda live: live.now < end and recovering(live)


def _hooks(prepared: Prepared, observer: Observer, ready: Ready, emergency: Emergency) -> Hooks:
    """What the run asks and tells: whoever observes it, the server it loads, and by way of that the other shards."""
    expect, budget = prepared.scenario.expect, ready.budget
    recovering = still_recovering(expect)
    if recovering is not None and prepared.scenario.watch is not None:
        recovering = _until(prepared.scenario.pattern.duration + prepared.scenario.watch, recovering)
    asked, interlock = observer.interrupted, ready.interlock
    if interlock is not None:
        asked = _either(asked, interlock.asked)
    observer = replace(observer, stopped=emergency.hearing(observer.stopped))
    if prepared.shard is None:
        stops = or_stop(expect, prepared.grid, observer.broken)
        return replace(observer, interrupted=asked, watch=stops, recovering=recovering)
    stops = or_stop(filter(judged_alone, expect), prepared.grid, observer.broken, budget)
    hooks = replace(observer, interrupted=asked, watch=stops, recovering=recovering)
    return hooks if budget is None else budget.among_shards(hooks)


def _either(first: Callable[[], Stop | None], second: Callable[[], Stop | None]) -> Callable[[], Stop | None]:
    return lambda: first() or second()
