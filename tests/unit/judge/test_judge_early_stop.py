"""The looks at a run that goes on: each finds what judging all that is recorded finds, at the cost of what is new."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import SPANS, expect, steps
from support.virtual_runs import simulate

from plg.answers import Answers
from plg.guardrails.guard import Hit
from plg.judge import EarlyStop, first_breach
from plg.measures import GAUGES, MEASURES
from plg.runner.grid import Grid
from plg.runner.live import Live
from plg.runner.observer import Hooks
from plg.runner.recorder import Recorder
from plg.runner.recording import Recording, Stall, cell_edges
from plg.runner.sampler import Sample
from plg.runner.watch import Watch
from plg.scenario import Expectation, Subject
from plg.testing import Gauges, Server, VirtualClock, sample


@dataclass
class Played:
    """A run that is told to a recorder as far as one asks for it. An action is a moment, a number and what is done."""

    grid: Grid
    actions: list[tuple[float, int, Callable[[Played], object]]]
    recorder: Recorder = field(init=False)
    taken: int = 0
    wholes: int = 0
    hits: tuple[Hit, ...] = ()
    stalls: tuple[Stall, ...] = ()

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.grid)
        self.actions.sort(key=lambda action: action[:2], reverse=True)

    def until(self, now: float) -> Live:
        """What is recorded of all that happened before ``now``."""
        while self.actions and self.actions[-1][0] < now:
            self.actions.pop()[2](self)
        return Live(now, self.taken, self.recorder, self.stalls, lambda: self.hits, lambda: self._whole(now))

    def _whole(self, now: float) -> Recording:
        self.wholes += 1
        return self.recorder.recording(now, self.taken, None, Watch(None), self.hits, self.stalls)


def grid_for(dues: np.ndarray, duration: float, spans, lines: Sequence[Expectation], window: float = 0.5) -> Grid:
    """Cells for the lines' windows, and the arrivals in each of them."""
    cuts = [moment for pieces in spans.values() for piece in pieces for moment in piece]
    for line in lines:
        for start, end in (spans.get(line.subject.during) or ((0.0, duration),)) if line.window else ():
            cuts += np.arange(start, end, line.window).tolist()
    edges = cell_edges(duration, window, cuts)
    nothing = np.zeros(len(edges) - 1)
    return Grid(edges, window, duration, spans, np.histogram(dues, edges)[0].astype(np.int64), nothing, nothing)


def answer(due: np.ndarray, sent: float, moment: float, fate: str) -> Answers:
    answers = Answers()
    answers.dues.append(due)
    answers.sizes.append(len(due))
    answers.moments.append(moment)
    if fate == "acked":
        answers.timed.append(0)
    if fate in ("failed", "unknown"):
        getattr(answers, fate)[0] = f"ERR {fate}"
    answers.sent[0] = sent
    return answers


def arrivals(dice: random.Random, dues: Sequence[float], bad: float, slow: float, own: float) -> Iterator:
    """What becomes of the jobs, in order of the plan: each is sent, shed or dropped, and answers come as they like."""

    def sends(played: Played, due: np.ndarray, moment: float, held: bool) -> None:
        played.recorder.add_sent(due, [moment], [1])
        played.taken += 1
        if held:
            played.recorder.add_held(due)
            played.recorder.add_overdue(moment, 1)

    def answers(played: Played, due: np.ndarray, sent: float, moment: float, fate: str) -> None:
        played.recorder.take(answer(due, sent, moment, fate))

    def drops(played: Played, due: np.ndarray, fate: str) -> None:
        getattr(played.recorder, f"add_{fate}")(due)
        played.taken += 1

    now = 0.0
    for number, moment in enumerate(dues):
        due = np.array([moment])
        fate = dice.choice(("shed", "late", "failed", "unknown")) if dice.random() < bad else "acked"
        now = max(now, moment + dice.expovariate(200) + (0.7 if fate == "late" or dice.random() < slow / 20 else 0.0))
        if fate in ("shed", "late"):
            yield now, number, lambda p, due=due, fate=fate: drops(p, due, fate)
            continue
        held = dice.random() < own
        yield now, number, lambda p, due=due, now=now, held=held: sends(p, due, now, held)
        taken = dice.lognormvariate(-4.5, 1.2) + (dice.random() if dice.random() < slow else 0.0)
        yield now + taken, number, lambda p, d=due, s=now, m=now + taken, f=fate: answers(p, d, s, m, f)


def gauges(dice: random.Random, duration: float, blind: float) -> Iterator:
    depth = 0.0
    for number in range(int(duration * 10) + 20):
        depth = max(0.0, depth + dice.randint(-4, 5))
        seen = {"queue_depth": depth, "queue_age": depth / 20, "cpu": dice.random(), "memory": 5e7 + 1e6 * number}
        if dice.random() < blind:
            seen = {name: seen[name] for name in ("cpu", "memory")}
        look = Sample(number / 10, seen)
        yield number / 10, number, lambda p, look=look: p.recorder.add_sample(look)


def mishaps(dice: random.Random, duration: float, own: float) -> Iterator:
    for number in range(3):
        start = dice.random() * duration
        hit = Hit("max_rate", start, start + dice.random(), 2.0, 1.0, dice.choice(("clip", "warn")), 0.0)
        yield start, number, lambda p, hit=hit: setattr(p, "hits", (*p.hits, hit))
        if dice.random() < own:
            stall = Stall(start, start + 0.4)
            yield stall.end_s, number, lambda p, stall=stall: setattr(p, "stalls", (*p.stalls, stall))


OPS = ("<", "<=", ">", ">=", "==", "!=")
BOUNDS = {
    "time": (0.002, 0.01, 0.05, 0.3, 1.0), "gauge": (0.0, 0.4, 5.0, 20.0, 60.0), "count": (0.0, 1.0, 8.0, 60.0, 150.0),
    "figure": (0.0, 0.02, 0.1, 0.5, 15.0),
}  # fmt: skip
measures = st.sampled_from([name for name in MEASURES if name != "memory"])
durings = st.sampled_from([None, None, "doors", "crowd", "stampede", "lunch"])


@st.composite
def lines(draw: st.DrawFn) -> Expectation:
    """Any line that the language has, and some that it refuses."""

    def subject(measure: str) -> Subject:
        kind = MEASURES[measure].kind
        sampled = st.sampled_from(["p50", "p90", "p99", "max", "min", "mean"] + ([None] if kind == "gauge" else []))
        return Subject(measure, draw(sampled) if kind in ("time", "gauge") else None, draw(durings))

    of = subject(draw(measures))
    kind = MEASURES[of.measure].kind
    relative = subject(draw(measures)) if draw(st.integers(0, 4)) == 0 else None
    return Expectation(
        text="a line", subject=of, op=draw(st.sampled_from(OPS)), stop=True, relative=relative,
        bound=None if relative else draw(st.sampled_from(BOUNDS[kind])), factor=draw(st.sampled_from([0.5, 1.0, 2.0])),
        window=draw(st.sampled_from([None, 0.5, 1.0, 1.0, 3.0])), quota=draw(st.sampled_from([1.0, 1.0, 0.8, 0.5])),
    )  # fmt: skip


TOLD_LATE = (
    expect("late", "==", 0.0, window=1.0), expect("late", "<", 3.0, window=0.5, quota=0.5),
    expect("latency", "<", 0.05, "max", window=0.5, quota=0.8), expect("lag", "<", 0.3, "p50", window=1.0, quota=0.8),
)  # fmt: skip
"""What a window reads is told long after its end: none of them may be settled before."""


def looks(played: Played, duration: float) -> Iterator[Live]:
    for step in range(1, int(duration * 4) + 12):
        yield played.until(step / 4)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(20, 400), st.lists(lines(), min_size=5, max_size=5),
    st.sampled_from([0.0, 0.02, 0.3]), st.sampled_from([0.0, 0.1, 0.6]), st.sampled_from([0.0, 0.0, 0.01, 0.3]),
)  # fmt: skip
def test_each_look_finds_what_the_whole_recording_tells(
    seed: int, jobs: int, asked: list[Expectation], bad: float, slow: float, own: float
) -> None:
    dice, duration = random.Random(seed), 10.0
    asked += [replace(line, stop=True) for line in TOLD_LATE]
    dues = sorted(dice.random() * duration for _ in range(jobs))
    played = Played(grid_for(np.array(dues), duration, SPANS, asked), [
        *arrivals(dice, dues, bad, slow, own), *gauges(dice, duration, bad / 3), *mishaps(dice, duration, own)
    ])  # fmt: skip
    each, all_at_once = [EarlyStop([line], played.grid) for line in asked], EarlyStop(asked, played.grid)
    for live in looks(played, duration):
        whole = live.recording()
        for line, judge in zip(asked, each, strict=True):
            assert judge.look(live) == first_breach([line], whole), (live.now, line)
        assert all_at_once.look(live) == first_breach(asked, whole)


EXACT = (
    expect("errors", "<", 30.0), expect("acked", ">=", 40.0, during="doors"), expect("deviation", "<", 0.2),
    expect("error_rate", "<", 0.1), expect("latency", "<", 0.3, "p90"), expect("lag", "<", 0.01, "max"),
    expect("throughput", ">", 5.0, during="crowd"), expect("service_time", "<", 0.2, "p50", during="stampede"),
    expect("latency", "<", 0.4, "p50", window=1.0), expect("latency", "<", 0.1, "max", window=0.5, quota=0.8),
    expect("deviation", "<", 0.3, window=3.0), expect("late", "==", 0.0, window=1.0, during="crowd"),
    expect("sent", ">", 2.0, window=1.0, quota=0.5), expect("planned", "<=", 300.0),
)  # fmt: skip


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 300), st.sampled_from([0.0, 0.05, 0.3]), st.sampled_from([0.0, 0.3]))
def test_the_whole_recording_is_made_only_to_confirm(seed: int, jobs: int, bad: float, slow: float) -> None:
    """Where plg was never late, what these lines read in few cells is what they read in all."""
    dice, duration, asked = random.Random(seed), 10.0, [replace(line, stop=True) for line in EXACT]
    dues = sorted(dice.random() * duration for _ in range(jobs))
    played = Played(grid_for(np.array(dues), duration, SPANS, asked), list(arrivals(dice, dues, bad, slow, 0.0)))
    judges = [EarlyStop([line], played.grid) for line in asked]
    for live in looks(played, duration):
        for judge in judges:
            before = played.wholes
            found = judge.look(live)
            assert played.wholes - before == (found is not None)


STEADY = {"type": "steady", "base_rate": 200.0, "duration": 6.0}


@pytest.mark.parametrize(
    ("asked", "server"),
    [
        (expect("errors", "<", 5.0), {"refuse": lambda n: "ERR no" if n % 90 == 89 else None}),
        (expect("error_rate", "<", 0.1), {"refuse": lambda n: "ERR no" if n > 300 and n % 5 == 0 else None}),
        (expect("latency", "<", 0.2, "p90", window=1.0), {"stalled": [(3.2, 3.9)]}),
        (expect("latency", "<", 0.2, "max"), {"stalled": [(3.2, 3.9)]}),
        (expect("deviation", "<", 0.1, window=0.5, quota=0.9), {"down": [(2.0, 2.6)]}),
        (expect("queue_depth", "<", 40.0, window=1.0), {}),
        (expect("queue_depth", "<", 20.0, "mean"), {}),
        (expect("latency", "<", 1.0, "p99"), {}),
    ],
    ids=lambda value: value.text if isinstance(value, Expectation) else "",
)
def test_a_run_is_stopped_at_the_look_at_which_judging_all_of_it_would(asked: Expectation, server: dict) -> None:
    asked = replace(asked, stop=True)

    def run(by_all: bool) -> tuple[Recording, list[float]]:
        judges: list[EarlyStop] = []
        moments = []

        def watch(live: Live) -> str | None:
            moments.append(live.now)
            if not judges:
                judges.append(EarlyStop([asked], live.recorder.grid))
            found = first_breach([asked], live.recording()) if by_all else judges[0].look(live)
            return found.text if found else None

        made = Server(VirtualClock(), **server)
        rises = Gauges(lambda t: sample(t, 10 * t, 0.0, 0.01, 5e7))
        recording, _, _ = simulate(STEADY, server=made, gauges=rises, hooks=Hooks(watch=watch), expect=[asked])
        return recording, moments

    (by_few, few), (by_all, all_of_it) = run(False), run(True)
    assert few == all_of_it
    assert (by_few.stop, by_few.stop_detail, by_few.ended_s) == (by_all.stop, by_all.stop_detail, by_all.ended_s)
    assert (by_few.stop is None) == ("p99" in asked.text)


# -- the cost ---------------------------------------------------------------------------------------------------------

WATCHED = tuple(
    replace(line, stop=True)
    for line in (
        expect("latency", "<", 1.0, "p99", window=1.0, quota=0.99), expect("errors", "==", 0.0),
        expect("queue_depth", "<", 1e6, window=10.0), expect("deviation", "<", 0.5, window=1.0),
        expect("service_time", "<", 5.0, "p95"), expect("acked", "<", 1e9, during="first"),
        expect("latency", "<", 1.0, "p50", window=600.0),
    )
)  # fmt: skip


def long_run(seconds: int, rate: int = 25) -> Played:
    """Every second ``rate`` jobs that take one to ten hundredths of a second each, and ten looks at the gauges."""
    dice = np.random.default_rng(1)

    def second(played: Played, start: int) -> None:
        due = start + (np.arange(rate) + 0.5) / rate
        for batch in np.array_split(due, 5):
            sent = float(batch[-1])
            played.recorder.add_sent(batch, [sent], [len(batch)])
            played.taken += len(batch)
            played.recorder.take(answer(batch, sent, sent + float(dice.integers(1, 11)) / 100, "acked"))

    actions = [(float(start), 0, lambda p, start=start: second(p, start)) for start in range(seconds)]
    seen = dict.fromkeys(GAUGES, 1.0)
    actions += [(t / 10, 1, lambda p, t=t: p.recorder.add_sample(Sample(t / 10, seen))) for t in range(seconds * 10)]
    dues = np.concatenate([start + (np.arange(rate) + 0.5) / rate for start in range(seconds)])
    spans = {"first": ((0.0, 100.0),), "rest": ((100.0, float(seconds)),)}
    return Played(grid_for(dues, float(seconds), spans, WATCHED, 5.0), actions)


def test_a_look_costs_what_is_new_and_not_what_has_been(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty minutes, a window a second: a look reads as many cells and rows, in as many steps, as at the start."""
    played = long_run(1200)
    judge = EarlyStop(WATCHED, played.grid)
    read, sizes, taken = EarlyStop.read, [], []

    def measured(self: EarlyStop, live: Live):
        reader = read(self, live)
        sizes.append((reader.recording.cells, sum(len(h.counts) for h in reader.recording.histograms.values())))
        return reader

    monkeypatch.setattr(EarlyStop, "read", measured)
    for now in range(1, 1200):
        # Looks at whole seconds come a little after the windows end.
        live = played.until(now + 0.2)
        if now % 50 == 7:
            taken.append(steps(lambda live=live: judge.look(live)))
        else:
            judge.look(live)
    assert played.wholes == 0
    cells, rows = np.array(sizes).T
    assert cells.max() <= 12
    assert rows.max() <= 250
    assert max(taken[16:]) <= 1.1 * max(taken[2:6])
