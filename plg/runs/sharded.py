"""An order run as several shards at the same time, each somewhere else: one start, one outcome, one verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError
from plg.interrupt import attend
from plg.judge.shards import merge_outcomes
from plg.judge.verdict import INVALID, TARGET
from plg.outcome import Outcome
from plg.plan.watching import watch_length
from plg.prepare import Prepared
from plg.runs.events import Event, Finished, Judged, Ready, Refused, Row, Waiting, Windows
from plg.runs.inline import RunThread
from plg.runs.launcher import Handle, Launcher, NoOutcome
from plg.runs.order import Order, digest
from plg.runs.relay import Listen, Relay
from plg.runs.tidying import clean_up
from plg.stop import Stop
from plg.targets.base import TargetError
from plg.targets.open import open_target
from plg.units import format_duration

PREPARING = 60.0
"""Seconds that all shards get until they are ready, beside the time that a server is waited for."""
WINDING_UP = 20.0
"""Seconds after the end of the plan and of its watch in which the last answers and the outcomes have to come."""
AFTER_STOP = 10.0
"""The same after a stop."""
MOST = 1000
"""So many shards are the most that a run is divided among."""
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Seat:
    """A place for one shard: ``where`` in words, ``launcher`` by which it is reached.

    ``clock_s`` is how far (s) its clock is ahead of that of this process; None where they are the same.
    """

    where: str
    launcher: Launcher
    clock_s: float | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """Seats for the shards of a run. What is sent to who is not ``near`` brings its files along.

    ``lead`` is how many seconds before the start the shards have to be told of it.
    """

    seats: Sequence[Seat]
    near: bool = True
    lead: float = 1.5


Gather = Callable[[], AbstractContextManager[Crew]]
"""Finds the seats of a run and keeps them until its end. Raises `ScenarioError`."""


class Sharded:
    """Runs each order as shards on the seats that ``gather`` finds."""

    def __init__(self, gather: Gather) -> None:
        self._gather = gather

    def launch(self, order: Order, listen: Listen) -> ShardedRun:
        """See `Launcher.launch`."""
        return ShardedRun(order, Relay(listen), self._gather)


@dataclass(slots=True, eq=False)
class _Shard:
    """One of the shards; ``lost`` says what became of one that leaves no outcome."""

    part: int
    seat: Seat
    handle: Handle | None = None
    ready: bool = False
    row: Row | None = None
    outcome: Outcome | None = None
    refused: NoOutcome | None = None
    lost: str = ""

    @property
    def over(self) -> bool:
        return self.outcome is not None or self.refused is not None or bool(self.lost)

    @property
    def fate(self) -> str:
        """What became of one that left no outcome."""
        said = self.lost or (self.refused.diagnostics[0].message if self.refused is not None else "is not over")
        return f"on {self.seat.where} {said}" if self.lost else f"on {self.seat.where} left no outcome: {said}"


class ShardedRun(RunThread):
    """A run of several shards. ``prepared`` is the whole, as one generator would run it."""

    def __init__(self, order: Order, relay: Relay, gather: Gather) -> None:
        self._gather = gather
        self._events: SimpleQueue[tuple[_Shard, Event]] = SimpleQueue()
        self._shards: list[_Shard] = []
        self._passed_on: Stop | None = None
        super().__init__(order, relay)

    def _ran(self) -> Outcome:
        with ExitStack() as held:
            prepared = self._prepare(held)
            crew = attend(lambda: held.enter_context(self._gather()), self._asked)
            if "://" not in prepared.scenario.target:
                self.order = replace(self.order, target=held.enter_context(_own_server(prepared, crew)))
                prepared = self._prepare(held)
            held.callback(self._leave)
            self._launch(prepared, crew, held)
            self._get_ready(PREPARING + (prepared.wait or 0.0))
            self.prepared = prepared
            self._relay.put(Ready.of(prepared))
            while not self._begun.wait(_LOOK):
                self._hear(0.0)
            self._run_shards(prepared, crew)
            outcome = self._merged()
            notes = clean_up(prepared) if self.order.clean else ()
            return replace(outcome, warnings=(*outcome.warnings, *notes)) if notes else outcome

    def _prepare(self, held: ExitStack) -> Prepared:
        return attend(lambda: held.enter_context(self.order.prepared()), self._asked)

    def _launch(self, prepared: Prepared, crew: Crew, held: ExitStack) -> None:
        shards = len(crew.seats)
        whole = replace(
            self.order,
            run_id=prepared.run_id,
            seed=prepared.plan.seed,
            share_limits=True,
            start=None,
            shard=(0, shards),
            clean=False,  # what one left, others still add to
        )
        # As the first shard sees it: what each of them will refuse is told once, before any is asked.
        known = digest(attend(lambda: held.enter_context(whole.prepared()), self._asked))
        whole = replace(whole if crew.near else whole.packed(), digest=known)
        for index, seat in enumerate(crew.seats):
            shard = _Shard(index + 1, seat)
            self._shards.append(shard)
            order = replace(whole, shard=(index, shards))
            shard.handle = seat.launcher.launch(order, partial(self._told, shard))

    def _told(self, shard: _Shard, event: Event) -> None:
        self._events.put((shard, event))

    def _leave(self) -> None:
        for shard in self._shards:
            if shard.handle is not None and shard.outcome is None and shard.refused is None:
                shard.handle.abandon(1.0)

    def _title(self, shard: _Shard) -> str:
        return f"shard {shard.part} of {len(self._shards)}"

    # -- what the shards say ------------------------------------------------------------------------------------------

    def _hear(self, patience: float) -> None:
        """Take what the shards say, after ``patience`` seconds at most; pass on a stop."""
        with suppress(Empty):
            while True:
                self._take(*self._events.get(patience > 0, patience))
                patience = 0.0
        if self._stop is not None and self._passed_on is None:
            self._stop_all(self._stop)

    def _take(self, shard: _Shard, event: Event) -> None:
        if isinstance(event, Ready):
            shard.ready = True
        elif isinstance(event, Waiting):
            self._relay.put(Waiting(f"{self._title(shard)}: {event.words}"))
        elif isinstance(event, Windows):
            shard.row = event.rows[-1]
            self._tell_rows()
        elif isinstance(event, Finished | Refused):
            self._end(shard)
        elif not isinstance(event, Judged):
            self._relay.put(event)

    def _end(self, shard: _Shard) -> None:
        if shard.outcome is not None or shard.refused is not None:
            shard.lost = "answered twice, so it may have sent its jobs twice"
            return
        assert shard.handle is not None, "who has not been launched says nothing"
        try:
            shard.outcome = shard.handle.outcome()
        except NoOutcome as error:
            shard.refused = error

    def _tell_rows(self) -> None:
        """How the whole goes, once each shard that goes on has told of itself anew."""
        rows = [shard.row for shard in self._shards if shard.row is not None]
        if all(shard.row is not None or shard.over for shard in self._shards):
            self._relay.put(Windows((_together(rows),)))
            for shard in self._shards:
                shard.row = None

    def _stop_all(self, stop: Stop) -> None:
        self._passed_on = stop
        for shard in self._shards:
            if shard.handle is not None and not shard.over:
                shard.handle.stop(stop)

    # -- the run ------------------------------------------------------------------------------------------------------

    def _get_ready(self, patience: float) -> None:
        until = time.monotonic() + patience
        while not all(shard.ready for shard in self._shards) and self._stop is None:
            self._hear(_LOOK)
            refused = [shard for shard in self._shards if shard.over]
            if refused:
                raise self._refusal(refused)
            late = [shard for shard in self._shards if not shard.ready]
            if late and time.monotonic() > until:
                for shard in late:
                    shard.lost = f"was not ready within {format_duration(patience)}"
                raise self._refusal(late)

    def _refusal(self, shards: Sequence[_Shard]) -> NoOutcome:
        """Why the run does not begin: the faults of the first shard that does not, and which shards these are."""
        named = ", ".join(f"{self._title(shard)} on {shard.seat.where}" for shard in shards)
        first = shards[0]
        if first.refused is None:
            faults = [Diagnostic("lost-shard", f"{self._title(each)} {each.fate}", self.order.file) for each in shards]
            return NoOutcome(ScenarioError(faults), INVALID)
        told = [replace(fault, message=f"{named}: {fault.message}") for fault in first.refused.diagnostics]
        return NoOutcome(ScenarioError(told, first.refused.sources), first.refused.code)

    def _run_shards(self, prepared: Prepared, crew: Crew) -> None:
        given = self._at if self._at is not None else self.order.start
        at = time.time() + crew.lead if given is None else given
        if self._stop is None:
            for shard in self._shards:
                assert shard.handle is not None, "all are ready"
                shard.handle.begin(at + (shard.seat.clock_s or 0.0))
        lasts = min(prepared.plan.duration, prepared.limits.max_duration) + watch_length(prepared.scenario)
        until = time.monotonic() + at - time.time() + lasts + WINDING_UP
        while not all(shard.over for shard in self._shards):
            self._hear(_LOOK)
            gone = next((shard for shard in self._shards if shard.over and shard.outcome is None), None)
            if gone is not None and self._passed_on is None:
                # The rest of the run would say nothing of the scenario any more: it is load for nothing.
                self._stop_all(Stop("shard", f"{self._title(gone)} {gone.fate}"))
            if self._passed_on is not None:
                until = min(until, time.monotonic() + AFTER_STOP)
            if time.monotonic() > until:
                for shard in self._shards:
                    if not shard.over:
                        shard.lost = "gave no outcome by the end of the run"
        self._hear(0.0)

    def _merged(self) -> Outcome:
        there = [shard for shard in self._shards if shard.outcome is not None and not shard.lost]
        lost = {shard.part: shard.fate for shard in self._shards if shard not in there}
        if not there:
            raise self._refusal(self._shards)
        outcomes = [shard.outcome for shard in there if shard.outcome is not None]
        clocks = {shard.part: shard.seat.clock_s for shard in there if shard.seat.clock_s is not None}
        places = [shard.seat.where for shard in there]
        try:
            return merge_outcomes(outcomes, places, partial=bool(lost), lost=lost, clocks=clocks)
        except ScenarioError as error:  # what the shards did was not one run
            raise NoOutcome(error, INVALID) from None


def shards_in(text: str, example: str) -> int:
    """How many shards a launcher is asked for. Raises `ScenarioError`."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        message = f"--launch takes a number of shards from 1 to {MOST}, not {text!r}"
        raise ScenarioError([Diagnostic("usage", message, "<command line>", help=f"for example --launch {example}")])
    return int(text)


_ADDED = ("target_rate", "actual_rate", "sent", "acked", "errors", "late", "shed")


def _together(rows: Sequence[Row]) -> Row:
    """The latest rows of all shards as one of the whole run."""
    depths = [row["queue_depth"] for row in rows if row["queue_depth"] is not None]
    return {
        **rows[0],
        **{name: sum(row[name] for row in rows) for name in _ADDED},
        "t": min(row["t"] for row in rows),
        "lag": max(row["lag"] for row in rows),
        "queue_depth": max(depths, default=None),
        "stage": "sending" if any(row["stage"] == "sending" for row in rows) else rows[0]["stage"],
    }


@contextmanager
def _own_server(prepared: Prepared, crew: Crew) -> Iterator[str]:
    """The URL of a server of plg's own, which all shards share. Raises `ScenarioError`."""
    where, file = prepared.scenario.target, prepared.scenario.file or "<scenario>"
    if where != "embedded" or not crew.near:
        message = f"the target is {where}: shards that run elsewhere cannot share it"
        raise ScenarioError(
            [Diagnostic("target", message, file, help="name a server that all reach with --target URL")]
        )
    try:
        target = open_target(where, prepared.scenario.jobs)
    except TargetError as error:
        raise NoOutcome(ScenarioError([Diagnostic("target", str(error), file)]), TARGET) from None
    with target:
        yield target.url
