"""What plg itself held up, and which lines that leaves without a verdict.

A generator that stands still measures itself. So a line has a verdict only where plg held the schedule over the very
span that the line asks of, and a line that broke by what plg held up is no failure of the target.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.judge.aggregate import Reader
from plg.judge.breach import holds
from plg.judge.looks import BLIND
from plg.judge.windows import NoData, Windows, ended
from plg.judge.wording import where
from plg.measures import BACKLOG, MEASURES, QUEUE_GAUGES, RECKONED_FROM
from plg.runner.recording import Floats, Histograms, Recording, Stall
from plg.scenario import Expectation, Subject
from plg.units import format_duration, format_percent

Flags = npt.NDArray[np.bool_]
WHOLE = Subject("planned")

MAX_HELD = 0.01
"""Share of all arrivals that plg itself may hold up, and of those of any span that it may have to drop for that, before
nothing can be told."""
MAX_HELD_PART = 0.1
"""Share of the arrivals of a phase or a window that plg may send late: in a short one a few hundredths of a second are
soon more than one in a hundred."""
STALL = 0.2
"""A stall of so many seconds costs looks at the gauges."""
WORKERS = "plg's own reference workers"
_BY_WORKERS = (*QUEUE_GAUGES, "drain_time")
"""What the reference workers have a part in."""
_HELD = (*BACKLOG, "in_flight", "delayed", "drain_time", "backlog_slope")
"""What is read off the jobs that a queue holds."""


def held_share(recording: Recording) -> float:
    """Arrivals that plg itself held up, as a share of those dealt with; 0 where there were none."""
    lost = _losses(Reader(recording), WHOLE, None)
    return float(lost.held[0] / lost.due[0]) if lost.due[0] else 0.0


def too_late(recording: Recording) -> str:
    """Why the run as a whole says nothing about the target, or nothing."""
    begun = not recording.stop or recording.ended_s > 0
    return _too_much(Reader(recording), WHOLE) if begun else ""


def spoiled(reader: Reader, subject: Subject, width: float) -> tuple[Flags, Flags]:
    """In which windows plg itself spoiled too much to tell anything, and in which anything at all. Raises `NoData`."""
    losses = _losses(reader, subject, width)
    touched, windows = losses.any, reader.windows.get(subject.during, width, subject.measure)
    if subject.measure in QUEUE_GAUGES:
        for start, back in _aftermaths(reader.recording, subject.measure):
            touched[windows.owner[(windows.starts < back) & (windows.ends > start)]] = True
    return losses.too_much, touched


def unkept(recording: Recording, expectation: Expectation, verdict: str) -> bool:
    """Whether what the queue held tells nothing, as the server may have lost jobs.

    A queue that was too deep, too old or too slow to drain all the same was so without them.
    """
    asked, other = expectation.subject.measure, expectation.relative
    if not recording.lost or not (asked in _HELD or (other is not None and other.measure in _HELD)):
        return False
    return verdict != "fail" or other is not None or expectation.op not in ("<", "<=")


def excuse(reader: Reader, expectation: Expectation, verdict: str, value: float | None, bound: float | None) -> str:
    """Why a line has no verdict, whatever it reads: words for people, empty where it has one.

    ``verdict`` is what the line comes to by itself, ``value`` what it reads.
    """
    subject, relative = expectation.subject, expectation.relative
    lateness = MEASURES[subject.measure].lateness
    if relative is not None and "changes" in (lateness, MEASURES[relative.measure].lateness):
        lateness = "changes"
    if lateness == "none" or (lateness == "thins" and verdict == "fail"):
        return ""
    if subject.measure == "drain_time" and verdict == "no_data" and _asleep_in_the_end(reader.recording) > BLIND:
        return "plg itself stood still while the queue drained"
    try:
        told = _too_much(reader, subject) or (_too_much(reader, relative) if relative is not None else "")
        if told or verdict != "fail" or expectation.window is not None or value is None or bound is None:
            return told
        own = _could_hold(reader, subject, expectation.op, value, bound)
    except NoData:
        return ""
    return "it broke by what plg itself held up" if own else ""


# -- how much ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """What plg spoiled, one entry a window: arrivals that were ``due``, that it ``held`` up (or that fell into the
    window late), and of these ``dropped``; seconds for which it was ``blind`` for the gauges, for which its own workers
    took no jobs (``idle``), and for which the machine was ``suspended``; the length (s) of the window. ``limit`` is the
    share that may be held up."""

    due: Floats
    held: Floats
    dropped: Floats
    blind: Floats
    idle: Floats
    suspended: Floats
    lengths: Floats
    limit: float

    @property
    def too_much(self) -> Flags:
        return self.too_late | self.too_blind | self.too_idle | self.too_long_suspended

    @property
    def too_late(self) -> Flags:
        # One job that was sent late is no share.
        late = (self.held > self.limit * self.due) & (self.held > 1)
        return np.asarray(late | (self.dropped > MAX_HELD * self.due))

    @property
    def too_blind(self) -> Flags:
        return np.asarray(self.blind > np.minimum(BLIND, MAX_HELD_PART * self.lengths))

    @property
    def too_idle(self) -> Flags:
        return np.asarray(self.idle > np.minimum(BLIND, MAX_HELD_PART * self.lengths))

    @property
    def too_long_suspended(self) -> Flags:
        return np.asarray(self.suspended > MAX_HELD * (self.suspended + self.lengths))

    @property
    def any(self) -> Flags:
        return np.asarray((self.held > 0) | (self.blind > 0) | (self.idle > 0) | (self.suspended > 0))


def _losses(reader: Reader, subject: Subject, width: float | None) -> Losses:
    """What plg spoiled in each window of a subject. Raises `NoData`."""
    recording, windows = reader.recording, reader.windows.get(subject.during, width, subject.measure)
    cells = reader.cells(subject.during, width, subject.measure)
    due, cancelled, held, overdue, late = (
        cells.tally(recording.counters[name], windows.count)
        for name in ("planned", "cancelled", "held", "overdue", "late")
    )
    blind, idle, suspended = (np.zeros(windows.count) for _ in range(3))
    gauge = MEASURES[subject.measure].kind == "gauge"
    ends = np.where(windows.opens, np.inf, windows.ends)
    for stall in recording.stalls:
        if stall.workers:
            if subject.measure in _BY_WORKERS:
                _add_overlap(idle, windows, ends, stall)
            continue
        owner = windows.of_times(np.array([stall.start_s]))[0]
        if owner >= 0:
            suspended[owner] += stall.suspended_s
        if gauge and _unseen(recording, stall):
            _add_overlap(blind, windows, ends, stall)
    whole = width is None and subject.during is None
    return Losses(
        due - cancelled, np.maximum(held, overdue), np.minimum(held, late), blind, idle, suspended,
        windows.lengths, MAX_HELD if whole else MAX_HELD_PART,
    )  # fmt: skip


def _add_overlap(seconds: Floats, windows: Windows, ends: Floats, stall: Stall) -> None:
    overlap = np.minimum(ends, stall.end_s) - np.maximum(windows.starts, stall.start_s)
    np.add.at(seconds, windows.owner, np.maximum(overlap, 0.0))


def _unseen(recording: Recording, stall: Stall) -> bool:
    """Whether nobody looked at the gauges during a stall: another generator, or a thread beside the schedule, may."""
    if stall.end_s - stall.start_s < STALL:
        return False
    times = recording.sample_times
    return not bool(np.any((times > stall.start_s + STALL / 2) & (times < stall.end_s - STALL / 2)))


def _too_much(reader: Reader, subject: Subject) -> str:
    """What plg spoiled in the span of a subject, in words, where that is too much."""
    losses, place = _losses(reader, subject, None), where(subject)
    if losses.too_idle[0]:
        return f"{WORKERS} took no jobs for {format_duration(round(float(losses.idle[0]), 3))}{place}"
    if losses.too_late[0] and not losses.due[0]:
        return f"plg itself sent {losses.held[0]:,.0f} jobs late, and so{place}, where none was due"
    due = max(1.0, float(losses.due[0]))
    held, dropped = (format_percent(min(1.0, float(part[0]) / due)) for part in (losses.held, losses.dropped))
    if losses.dropped[0] > MAX_HELD * losses.due[0] and losses.limit != MAX_HELD:
        most = format_percent(MAX_HELD)
        return f"plg itself held up {held} of the arrivals{place} and had to drop {dropped} (at most {most} may be)"
    if losses.too_late[0]:
        return f"plg itself held up {held} of the arrivals{place} (at most {format_percent(losses.limit)} may be)"
    if losses.too_long_suspended[0]:
        return f"the machine was suspended for {format_duration(round(float(losses.suspended[0]), 3))}{place}"
    if losses.too_blind[0]:
        return f"plg itself stood still for {format_duration(round(float(losses.blind[0]), 3))}{place} and saw nothing"
    return ""


# -- whether a breach is plg's own ------------------------------------------------------------------------------------


def _could_hold(reader: Reader, subject: Subject, op: str, value: float, bound: float) -> bool:
    """Whether the line would have held, had plg held up nothing."""
    if subject.measure == "drain_time":
        idle = sum(stall.length_s for stall in reader.recording.stalls if stall.workers)
        return _fits(op, value - _asleep_in_the_end(reader.recording) - idle, value, bound)
    kind = MEASURES[subject.measure].kind
    if subject.measure in RECKONED_FROM:
        return False
    if kind == "gauge" and not reader.recording.stalls:
        return False
    if kind == "gauge":
        could = op not in ("<", "<=") or _fits(op, value - raised(reader.recording, subject.measure), value, bound)
        return could and _apart(op, _calm_samples(reader, subject), bound)
    if not any(float(reader.counter(name, subject)[0]) for name in ("held", "overdue")):
        return False
    if kind == "time":
        return _apart(op, Reader(_undisturbed(reader.recording)).read(subject).values, bound)
    return _fits(op, *_range(reader, subject, value), bound)


def _apart(op: str, values: Floats, bound: float) -> bool:
    return bool(np.isnan(values[0]) or holds(op, values[:1], bound)[0])


def _fits(op: str, low: float, high: float, bound: float) -> bool:
    """Whether any value from ``low`` to ``high`` satisfies the line."""
    return bool(holds(op, np.array([low, high, min(max(bound, low), high)]), bound).any())


def _range(reader: Reader, subject: Subject, value: float) -> tuple[float, float]:
    """From which value to which a count or figure may have been, had each job that plg held up come in its time."""
    held, overdue = (float(reader.counter(name, subject)[0]) for name in ("held", "overdue"))
    if subject.measure == "late":
        return max(0.0, value - held), value
    if subject.measure == "throughput":
        length = float(reader.windows.get(subject.during).lengths[0])
        return value - overdue / length, value + held / length
    if subject.measure == "deviation":
        planned, acked = (float(reader.counter(name, subject)[0]) for name in ("planned", "acked"))
        edges = sorted(abs(each - planned) / planned for each in (acked - overdue, acked + held))
        return 0.0 if acked - overdue <= planned <= acked + held else edges[0], edges[1]
    return value - overdue, value + held


def _disturbed(recording: Recording) -> Flags:
    """The cells in which plg held up anything, or stood still."""
    found = (recording.counters["held"] > 0) | (recording.counters["overdue"] > 0)
    for stall in recording.stalls:
        if stall.workers:
            continue
        found |= (recording.edges[:-1] < stall.end_s) & (recording.edges[1:] > stall.start_s)
    return np.asarray(found)


def _undisturbed(recording: Recording) -> Recording:
    """The recording without the times of its disturbed cells."""
    calm = ~_disturbed(recording)
    return replace(recording, histograms={name: _only(h, calm) for name, h in recording.histograms.items()})


def _only(h: Histograms, cells: Flags) -> Histograms:
    sizes = np.diff(h.offsets)
    rows = np.repeat(cells, sizes)
    return Histograms(
        np.concatenate([[0], np.cumsum(np.where(cells, sizes, 0))]), h.buckets[rows], h.counts[rows],
        np.where(cells, h.sums, 0.0), np.where(cells, h.minima, np.inf), np.where(cells, h.maxima, -np.inf),
    )  # fmt: skip


def _calm_samples(reader: Reader, subject: Subject) -> Floats:
    """What a gauge reads without the samples between a stall and its return to where it was before."""
    recording = reader.recording
    times = recording.sample_times
    values = recording.samples[subject.measure].copy()
    for start, back in _aftermaths(recording, subject.measure):
        values[(times >= start) & (times < back)] = np.nan
    calm = replace(recording, samples={**recording.samples, subject.measure: values})
    return Reader(calm).read(subject).values


def _aftermaths(recording: Recording, gauge: str) -> list[tuple[float, float]]:
    """From when to when each stall shows in a gauge: until it is back to where it was before; infinity where never."""
    times, values = recording.sample_times, recording.samples[gauge]
    found = []
    for stall in recording.stalls:
        before = values[(times < stall.start_s) & ~np.isnan(values)]
        level = before[-1] if len(before) else 0.0
        back = times[(times >= stall.end_s) & (values <= level)]
        found.append((stall.start_s, float(back[0]) if len(back) else math.inf))
    return found


def raised(recording: Recording, gauge: str) -> float:
    """By how much the stalls can have raised a gauge at most: an age by their length, a depth by the jobs that came
    together after them; where plg's own workers stood still, by any number."""
    if gauge == "workers":
        return 0.0
    if gauge == "queue_age":
        return math.fsum(stall.length_s for stall in recording.stalls)
    if any(stall.workers for stall in recording.stalls):
        return math.inf
    return float(max(recording.total("held"), recording.total("overdue")))


def idle_in(recording: Recording, start: float, end: float) -> float:
    """Seconds of a stretch for which plg or its own workers stood still."""
    return sum(
        max(0.0, min(stall.end_s, end) - max(stall.start_s, start)) + stall.suspended_s
        for stall in recording.stalls
        if stall.start_s < end and stall.end_s >= start
    )


def _asleep_in_the_end(recording: Recording) -> float:
    """Seconds for which plg stood still after it sent the last job."""
    last = ended(recording) if recording.last_send_s is None else recording.last_send_s
    return sum(max(0.0, stall.end_s - max(stall.start_s, last)) for stall in recording.stalls if not stall.workers)
