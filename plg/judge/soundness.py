"""What plg itself held up, and which lines that leaves without a verdict.

A generator that stands still measures itself. So a line has a verdict only where plg held the schedule over the very
span that the line asks of, and a line that broke by what plg held up is no failure of the target.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from plg.judge.breach import holds
from plg.judge.readings import Reader, tally
from plg.judge.regions import NoData, Regions, ended
from plg.judge.wording import where
from plg.measures import MEASURES
from plg.runner.recording import Floats, Histograms, Recording, Stall
from plg.scenario import Expectation, Subject
from plg.units import format_duration, format_percent

Flags = npt.NDArray[np.bool_]

MAX_HELD = 0.01
"""Share of the arrivals (of the time, for what is sampled) that plg itself may spoil before nothing can be told."""
BLIND = 0.2
"""A stall of so many seconds costs samples."""
UNSEEN = 1.0
"""A stall of so many seconds hides when the queue had drained."""


def held_share(recording: Recording) -> float:
    """Arrivals that plg itself held up, as a share of those dealt with; 0 where there were none."""
    return float(_held(Reader(recording), Subject("planned"), None)[0]) if recording.total("planned") else 0.0


def too_late(recording: Recording) -> str:
    """Why the run as a whole says nothing about the target, or nothing."""
    return _too_much(Reader(recording), Subject("planned")) if _begun(recording) else ""


def spoiled(reader: Reader, subject: Subject, width: float | None) -> Floats:
    """Of each region the share that plg itself spoiled. Raises `NoData`."""
    if MEASURES[subject.measure].lateness == "none":
        return np.zeros(_regions(reader, subject, width).count)
    parts = [_held(reader, subject, width), _suspended(reader, subject, width)]
    if MEASURES[subject.measure].kind == "gauge":
        parts.append(_blind(reader, subject, width))
    return np.asarray(np.max(parts, axis=0))


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
    if subject.measure == "drain_time" and verdict == "no_data" and _asleep_in_the_end(reader.recording) > UNSEEN:
        return "plg itself stood still while the queue drained"
    try:
        told = _too_much(reader, subject) or (_too_much(reader, relative) if relative is not None else "")
        if told or verdict != "fail" or expectation.window is not None or value is None or bound is None:
            return told
        own = _could_hold(reader, subject, expectation.op, value, bound)
    except NoData:
        return ""
    return "it broke by what plg itself held up" if own else ""


def _regions(reader: Reader, subject: Subject, width: float | None) -> Regions:
    return reader.regions.get(subject.during, width, subject.measure)


def _begun(recording: Recording) -> bool:
    return not recording.stop or recording.ended_s > 0


# -- how much ---------------------------------------------------------------------------------------------------------


def _too_much(reader: Reader, subject: Subject) -> str:
    """What plg spoiled in the span of a subject, in words, where that is too much."""
    held, suspended = (float(part(reader, subject, None)[0]) for part in (_held, _suspended))
    at_most = f"(at most {format_percent(MAX_HELD)} may be)"
    if held > MAX_HELD:
        return f"plg itself held up {format_percent(min(1.0, held))} of the arrivals{where(subject)} {at_most}"
    if suspended > MAX_HELD:
        lost = sum(stall.suspended_s for stall in _within(reader, subject))
        return f"the machine was suspended for {format_duration(round(lost, 3))}{where(subject)}"
    blind = float(_blind(reader, subject, None)[0]) if MEASURES[subject.measure].kind == "gauge" else 0.0
    if blind > MAX_HELD:
        return f"plg itself stood still for {format_percent(min(1.0, blind))} of the time{where(subject)} {at_most}"
    return ""


def _held(reader: Reader, subject: Subject, width: float | None) -> Floats:
    """Of each region the share of its arrivals that plg held up, or of arrivals of another time that fell into it."""
    regions = _regions(reader, subject, width)
    cells = regions.of_cells(reader.recording.edges)
    held, overdue, planned, cancelled = (
        tally(cells[cells >= 0], reader.recording.counters[name][cells >= 0], regions.count)
        for name in ("held", "overdue", "planned", "cancelled")
    )
    worst, due = np.maximum(held, overdue), planned - cancelled
    return np.asarray(np.divide(worst, due, out=np.where(worst > 0, np.inf, 0.0), where=due > 0))


def _suspended(reader: Reader, subject: Subject, width: float | None) -> Floats:
    """Of each region the share of real time for which the machine was suspended."""
    regions = _regions(reader, subject, width)
    stalls = [stall for stall in reader.recording.stalls if stall.suspended_s > 0]
    lost = np.zeros(regions.count)
    if stalls:
        owner = regions.of_times(np.array([stall.start_s for stall in stalls]))
        np.add.at(lost, owner[owner >= 0], np.array([stall.suspended_s for stall in stalls])[owner >= 0])
    return lost / np.maximum(lost + regions.lengths, 1e-12)


def _within(reader: Reader, subject: Subject) -> list[Stall]:
    inside = _regions(reader, subject, None).of_times(np.array([s.start_s for s in reader.recording.stalls]))
    return [stall for stall, owner in zip(reader.recording.stalls, inside.tolist(), strict=True) if owner >= 0]


def _blind(reader: Reader, subject: Subject, width: float | None) -> Floats:
    """Of each region the share of its time in which plg stood still and nobody looked at the gauges."""
    recording, regions = reader.recording, _regions(reader, subject, width)
    times = recording.sample_times
    lost = np.zeros(regions.count)
    ends = np.where(regions.opens, np.inf, regions.ends)
    for stall in recording.stalls:
        length = stall.end_s - stall.start_s
        # Another generator of the run, or a thread beside the schedule, may have looked meanwhile.
        looks = np.count_nonzero((times > stall.start_s + BLIND / 2) & (times < stall.end_s - BLIND / 2))
        if length >= BLIND and not looks:
            overlap = np.minimum(ends, stall.end_s) - np.maximum(regions.starts, stall.start_s)
            np.add.at(lost, regions.owner, np.maximum(overlap, 0.0))
    return lost / np.maximum(np.maximum(regions.lengths, lost), 1e-12)


# -- whether a breach is plg's own ------------------------------------------------------------------------------------


def _could_hold(reader: Reader, subject: Subject, op: str, value: float, bound: float) -> bool:
    """Whether the line would have held, had plg held up nothing."""
    if subject.measure == "drain_time":
        return _fits(op, value - _asleep_in_the_end(reader.recording), value, bound)
    kind = MEASURES[subject.measure].kind
    if kind == "gauge" and not reader.recording.stalls:
        return False
    if kind == "gauge":
        return _apart(op, _calm_samples(reader, subject), bound)
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
        length = float(reader.regions.get(subject.during).lengths[0])
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
    for stall in recording.stalls:
        before = values[(times < stall.start_s) & ~np.isnan(values)]
        level = before[-1] if len(before) else 0.0
        back = times[(times >= stall.end_s) & (values <= level)]
        values[(times >= stall.start_s) & (times < (back[0] if len(back) else np.inf))] = np.nan
    calm = replace(recording, samples={**recording.samples, subject.measure: values})
    return Reader(calm).read(subject).values


def _asleep_in_the_end(recording: Recording) -> float:
    """Seconds for which plg stood still after it sent the last job."""
    last = ended(recording) if recording.last_send_s is None else recording.last_send_s
    return sum(max(0.0, stall.end_s - max(stall.start_s, last)) for stall in recording.stalls)
