"""Departures made ahead against the rule they follow, worked out one arrival at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plg.pacing import PACINGS
from plg.plan.arrivals import Chunk
from plg.runner.prepared import DENSE, MOST, exhaust, prepare
from plg.runner.schedule import AHEAD, Schedule
from plg.targets.encoding import PAUSE, Command

TICK = PACINGS["economical"].tick


def schedule_of(due, kept=None):
    due = np.asarray(due, dtype=np.float64)
    kept = np.ones(len(due), dtype=bool) if kept is None else np.asarray(kept, dtype=bool)

    def chunks(size=7):
        for at in range(0, len(due), size):
            part = slice(at, at + size)
            yield Chunk(np.arange(len(due))[part], due[part], np.zeros(len(due[part]), dtype=np.intp), kept[part])

    return Schedule(chunks())


def spell(batch, ends, walls):
    """One command a part, which holds the sequence numbers; with pauses, as an encoder may make them."""
    for start, end in pairwise([0, *ends]):
        yield PAUSE
        yield [Command([repr(batch.seq[start:end].tolist()).encode()], batch.due[start:end], 0, "q")]


def stretch_of(schedule, *, room=10**6, earliest=0.0, until=1.0, passed=0, timed_from=0.0):
    return exhaust(
        prepare(
            schedule, spell, room, passed=passed, earliest=earliest, until=until, pacing=PACINGS["economical"],
            timed_from=timed_from, wall=1000.0,
        )
    )  # fmt: skip


dues = st.lists(st.floats(0, 0.02), min_size=1, max_size=120).map(sorted) | st.builds(
    lambda start, apart, count: [start + k * apart for k in range(count)],  # something at every tick, and then not
    st.floats(0, 0.01),
    st.floats(0.00005, 0.0012),
    st.integers(1, 120),
)


@settings(deadline=None, max_examples=200)
@given(dues, st.floats(0, 0.01), st.floats(0.001, 0.03), st.integers(0, 20), st.data())
def test_each_departure_takes_all_that_are_due_within_a_tick_of_its_first(due, earliest, until, passed, data):
    kept = data.draw(st.lists(st.booleans(), min_size=len(due), max_size=len(due)))
    schedule = schedule_of(due, kept)
    stretch = stretch_of(schedule, earliest=earliest, until=until, passed=passed)
    left = [(n, t) for n, (t, k) in enumerate(zip(due, kept, strict=True)) if n >= passed and k]
    expected = []
    while left:
        first = left[0][1]
        together = [(n, t) for n, t in left if (t <= earliest if first < earliest else t - first < TICK - 1e-6)]
        moment = max(earliest, together[-1][1])
        if moment > until:
            break
        expected.append((moment, [n for n, _ in together]))
        left = left[len(together) :]
    if stretch is None:
        assert expected == []
        return
    found = [(d.moment, eval(d.data)) for d in stretch.departures]
    assert found == [(pytest.approx(moment), seqs) for moment, seqs in expected]
    assert [d.replies for d in stretch.departures] == [1] * len(found)
    assert schedule.taken == 0
    for departures in range(1, len(found) + 1):
        batch, shed = stretch.dealt_with(departures)
        until_now = found[departures - 1][1][-1] + 1 if departures < len(found) else passed + len(stretch.batch)
        assert batch.seq.tolist() == list(range(passed, until_now))
        assert shed.tolist() == [t for t, k in list(zip(due, kept, strict=True))[passed:until_now] if not k]


@given(st.integers(1, 60))
@settings(deadline=None)
def test_no_more_leave_than_there_is_room_for(room):
    due = np.arange(200) * 0.0001
    stretch = stretch_of(schedule_of(due), room=room, until=0.05)
    assert stretch is not None
    assert 1 <= len(stretch.kept) <= room
    gone = len(stretch.kept)
    # A departure that is cut short is left for the next look, unless it is the only one.
    assert len(stretch.departures) == 1 or due[gone] > stretch.end


def test_answers_are_timed_as_often_as_the_pacing_says():
    due = np.arange(800) * 0.0001
    stretch = stretch_of(schedule_of(due), until=0.04, timed_from=0.005)
    timed = [d.moment for d in stretch.departures if d.timed]
    assert timed[0] == pytest.approx(0.005, abs=TICK)
    assert min(b - a for a, b in pairwise(timed)) >= PACINGS["economical"].timing - 1e-9
    assert stretch.timings[-1] == pytest.approx(timed[-1] + PACINGS["economical"].timing)


def test_answers_are_timed_before_every_lull():
    due = np.cumsum([0, 0.001, 0.001, 0.0013, 0.001, 0.0005, 0.0007, 0.01, 0.001])
    stretch = stretch_of(schedule_of(due), until=0.04, timed_from=1.0)
    assert [eval(d.data) for d in stretch.departures] == [[0], [1], [2], [3], [4, 5], [6], [7], [8]]
    assert [eval(d.data)[-1] for d in stretch.departures if d.timed] == [2, 3, 6, 8]


def test_what_is_too_dense_is_left_to_single_steps():
    assert stretch_of(schedule_of(np.arange(20 * DENSE) * (TICK / DENSE / 2))) is None


def test_a_stretch_and_the_one_behind_it_can_be_seen_at_once():
    due = np.arange(4 * AHEAD) * (TICK / 300)
    schedule = schedule_of(due)
    first = stretch_of(schedule, until=10.0)
    second = stretch_of(schedule, passed=len(first.batch), earliest=first.end + TICK, until=20.0)
    assert len(first.batch) <= MOST
    seqs = [n for s in (first, second) for d in s.departures for n in eval(d.data)]
    assert seqs == list(range(len(seqs)))
    assert len(second.batch) > MOST / 2


@given(st.lists(st.integers(0, 9), max_size=30), st.lists(st.integers(0, 5), max_size=60))
def test_the_schedule_gives_every_arrival_once_however_it_is_asked(sizes, steps):
    counts = np.cumsum([0, *sizes])
    chunks = (
        Chunk(np.arange(a, b), np.arange(a, b) / 10, np.zeros(b - a, dtype=np.intp), np.arange(a, b) % 3 > 0)
        for a, b in pairwise(counts.tolist())
    )
    schedule, seen = Schedule(chunks), []
    for step in steps:
        ahead = schedule.ahead(np.inf, step)
        if ahead is not None:
            assert len(ahead) <= step
            seen += ahead.seq.tolist()
            shed, kept = ahead.split()
            assert len(shed) + len(kept) == len(ahead)
            schedule.skip(len(ahead))
    while (rest := schedule.take(np.inf, 1000)) is not None:
        seen += rest.seq.tolist()
    assert seen == list(range(int(counts[-1])))
    assert schedule.head == np.inf
    assert schedule.taken == len(seen)
