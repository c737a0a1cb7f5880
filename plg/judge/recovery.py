"""Lines with a deadline: when the queue was drained, or a measure came to its bound, after a phase or within it.

A gauge that is not aggregated is followed from look to look; times and aggregates are read in windows from the moment
on that the line counts from. What was not seen is never taken for what did not happen, nor the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from plg.dataclass import dataclass
from plg.judge.aggregate import Aggregates, Flags, Reader
from plg.judge.breach import decided, holds
from plg.judge.looks import BLIND, gaps, known, step_of, why_unseen
from plg.judge.windows import NoData, Windows, intervals_of
from plg.judge.wording import counted, figure, subject_text
from plg.measures import FAR, MEASURES
from plg.outcome import RecoveryResult
from plg.plan.watching import MARGIN, deadlines, hold_of
from plg.runner.live import Live
from plg.runner.recording import Floats, Recording
from plg.scenario import Expectation, Subject

_MOST_WINDOWS = 100_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """Whether one line came true after one place of its phase, ``verdict``, with the moment (``at``, s of the run; None
    where it did not), what was read then or at best before, until when (s) it was looked for, and why there is no
    data."""

    start: float
    deadline: float
    verdict: str
    at: float | None = None
    value: float | None = None
    until: float = 0.0
    why: str = ""

    @property
    def took(self) -> float:
        """Seconds from the start until it came true, or for how long it had not."""
        return (self.until if self.at is None else self.at) - self.start


def arrivals(reader: Reader, line: Expectation, bound: float) -> list[Arrival]:
    """When a line came true, each time that its phase stands. ``bound`` is in the unit of its measure. Raises
    `NoData`."""
    recovery, recording = line.recovery, reader.recording
    assert recovery is not None, "a line without a deadline is judged otherwise"
    if recovery.kind == "drained":
        if recording.start_depth is None:
            raise NoData("what waited before the run is not known")
        if not recording.total("sent"):
            raise NoData("nothing was sent, so nothing had to drain")
        bound += recording.start_depth
    places = deadlines(recovery, intervals_of(recording, recovery.phase))
    if recording.stop and places[-1][0] > recording.ended_s:
        edge = "was over" if recovery.since == "end" else "began"
        raise NoData(f"the run ended before {recovery.phase} {edge}")
    sampled = MEASURES[line.subject.measure].kind == "gauge" and line.subject.aggregate is None
    find = _by_looks if sampled else _by_windows
    return [find(reader, line, bound, start, end) for start, end in places]


def worst(found: Iterable[Arrival]) -> Arrival:
    """What stands for all: a failure before what is not known, and that before the one that took longest."""
    order = {"fail": 2, "no_data": 1, "pass": 0}
    return max(found, key=lambda arrival: (order[arrival.verdict], arrival.took))


def _by_looks(reader: Reader, line: Expectation, bound: float, start: float, deadline: float) -> Arrival:
    """Of a bare gauge: the first look that shows it, and where it has to return, goes on showing it."""
    recording, subject = reader.recording, line.subject
    times, values = known(recording, subject.measure)
    # Before the last delayed job is due nothing is drained.
    drained = line.recovery is not None and line.recovery.kind == "drained"
    after = times >= start + (recording.delayed_s if drained else 0.0)
    times, values = times[after], values[after]
    if not len(times):
        return Arrival(start, deadline, "no_data", why=_nothing_seen(recording, subject, start))
    good = holds(line.op, values, bound)
    if line.recovery is not None and line.recovery.kind == "returns":
        good &= _held(times, good, hold_of(line), gaps(recording, subject.measure))
    place = np.flatnonzero(good)
    until = float(times[-1])
    best = float(values.max() if line.op in (">", ">=") else values.min())
    if len(place) and times[place[0]] <= deadline:
        at = float(times[place[0]])
        return Arrival(start, deadline, "pass", at, float(values[place[0]]), at)
    unseen = _unseen(recording, subject.measure, start, deadline)
    if unseen:
        return Arrival(start, deadline, "no_data", value=best, until=until, why=unseen)
    if len(place):
        at = float(times[place[0]])
        return Arrival(start, deadline, "fail", at, float(values[place[0]]), at)
    if until < deadline - max(2 * step_of(recording, subject.measure), 0.05):
        why = f"it was looked at for {figure(round(until - start, 1), 's')} only"
        return Arrival(start, deadline, "no_data", value=best, until=until, why=why)
    last = float(values[-1]) if line.recovery is not None and line.recovery.kind == "drained" else best
    return Arrival(start, deadline, "fail", value=last, until=until)


def _held(times: Floats, good: Flags, hold: float, unseen: tuple[Floats, Floats]) -> Flags:
    """From which looks on all of them are good for ``hold`` seconds, in which it was looked all the time."""
    bad = np.append(times[~good], np.inf)
    following = bad[np.searchsorted(bad, times, side="left")]
    last = times[-1]
    held = (following >= times + hold) & (times + hold <= last + 0.15)
    for start, end in zip(*unseen, strict=True):
        held &= np.minimum(end, times + hold) - np.maximum(start, times) <= BLIND / 2
    return np.asarray(held)


def _nothing_seen(recording: Recording, subject: Subject, start: float) -> str:
    if not len(known(recording, subject.measure)[0]):
        return f"no {subject.measure} samples"
    return f"{subject.measure} was not looked at after {figure(round(start, 1), 's')}"


def _unseen(recording: Recording, gauge: str, start: float, end: float) -> str:
    """Why it cannot be told what a gauge did in a stretch; empty where it was seen all the time."""
    starts, ends = gaps(recording, gauge)
    inside = (starts < end) & (ends > start)
    last = known(recording, gauge)[0]
    # That nobody looks any more once all is known is no gap.
    inside &= starts < (float(last[-1]) if len(last) else np.inf)
    long = np.minimum(ends, end) - np.maximum(starts, start) > BLIND / 2
    return why_unseen(recording, gauge) if bool((inside & long).any()) else ""


def _by_windows(reader: Reader, line: Expectation, bound: float, start: float, deadline: float) -> Arrival:
    """Of a time, or an aggregate: the first window that shows it."""
    subject, recording = line.subject, reader.recording
    windows = windows_after(recording, line, start, deadline)
    if not windows.count:
        return Arrival(start, deadline, "no_data", why=f"no job was due after {figure(round(start, 1), 's')}")
    own = Reader(recording)
    own.windows.put(subject.during, hold_of(line), windows, subject.measure)
    read = own.read(subject, hold_of(line))
    good = holds(line.op, read.values, bound) & ~_untold(read, line, bound)
    place = np.flatnonzero(good)
    until = float(windows.ends[-1])
    if len(place) and windows.starts[place[0]] <= deadline:
        at = float(windows.starts[place[0]])
        return Arrival(start, deadline, "pass", at, float(read.values[place[0]]), at)
    open_ones = _untold(read, line, bound) & ~read.idle
    if read.idle.all() or bool(open_ones.any()) or until < min(deadline, start + line_length(line)):
        return Arrival(start, deadline, "no_data", until=until, why=_why_untold(line, read, open_ones, until - start))
    seen = read.values[~np.isnan(read.values)]
    best = float(seen.max() if line.op in (">", ">=") else seen.min())
    return Arrival(start, deadline, "fail", value=best, until=until)


def line_length(line: Expectation) -> float:
    """Seconds for which a line is looked at: its deadline, less the window that begins last."""
    assert line.recovery is not None, "a line without a deadline is judged otherwise"
    return line.recovery.within - hold_of(line)


def windows_after(recording: Recording, line: Expectation, start: float, deadline: float) -> Windows:
    """The windows from ``start`` on that begin before the deadline and that were seen whole: of times, while the
    traffic lasts, of gauges, as long as was looked."""
    width = hold_of(line)
    end = recording.ended_s if recording.stop else recording.duration
    if MEASURES[line.subject.measure].kind == "gauge":
        seen = known(recording, line.subject.measure)[0]
        end = float(seen[-1]) if len(seen) else start
    count = int(min((deadline - start) / width + 1, (end - start) / width + 1e-6, _MOST_WINDOWS))
    starts = start + np.arange(max(0, count), dtype=np.float64) * width
    ends = starts + width
    opens = ends >= recording.duration - 1e-6 if MEASURES[line.subject.measure].kind == "time" else ends < starts
    whole = np.full(len(starts), width)
    return Windows(len(starts), starts, ends, np.arange(len(starts)), np.asarray(opens), whole)


def _untold(read: Aggregates, line: Expectation, bound: float) -> Flags:
    """Windows of which nothing can be told: a percentile of too few samples is, where all of them agree."""
    doubtful = read.thin & (holds(line.op, read.low, bound) != holds(line.op, read.high, bound))
    sure = decided(line.subject, line.op, read.values, bound)
    if line.subject.measure in FAR and line.op in ("<", "<="):
        sure |= ~holds(line.op, read.values, bound)  # what is known of jobs that have not ended is the least they take
    return np.asarray(np.isnan(read.values) | doubtful | (read.blind & ~sure))


def _why_untold(line: Expectation, read: Aggregates, untold: Flags, length: float) -> str:
    name, width = subject_text(line.subject), figure(hold_of(line), "s")
    if read.idle.all():
        return "no job was due then"
    if untold.any():
        many = f"{int(untold.sum()):,} of {counted(len(read.values), 'window')} of {width}"
        return f"{many} had too few samples for {name}: write a wider one, such as `in every 5s`"
    return f"the traffic ended {figure(round(length, 1), 's')} later"


# -- what is said of it -----------------------------------------------------------------------------------------------


def told(line: Expectation, arrival: Arrival, bound: float) -> str:
    """The sentence of every report: ``drained 12.4s after stampede (bound 90s)``."""
    recovery, unit = line.recovery, MEASURES[line.subject.measure].unit
    assert recovery is not None, "a line without a deadline is judged otherwise"
    to = "after" if recovery.since == "end" else "into"
    within = figure(recovery.within, "s")
    took = f"{figure(_rounded(arrival.took), 's')} {to} {recovery.phase} (bound {within})"
    value = "" if arrival.value is None else figure(arrival.value, unit)
    name = subject_text(line.subject)
    if recovery.kind == "drained":
        if arrival.at is not None:
            return f"drained {took}"
        return f"not drained by {took}" + (f": {counted(int(arrival.value), 'job')} left" if arrival.value else "")
    verb = "came" if recovery.kind == "reaches" else "returned"
    if arrival.at is not None:
        return f"{name} {verb} to {value} {took}"
    asked = figure(bound, unit) if recovery.kind == "returns" else f"{line.op} {figure(bound, unit)}"
    best = f", {value} at best" if value else ""
    return f"{name} had not {'come' if verb == 'came' else verb} to {asked} by {took}{best}"


def _rounded(seconds: float) -> float:
    """A moment as fine as looks are: to a tenth of a second from ten seconds on."""
    return round(seconds, 1 if seconds >= 10 else 2)


def result_of(line: Expectation, arrival: Arrival, bound: float) -> RecoveryResult:
    """What charts draw of it."""
    assert line.recovery is not None, "a line without a deadline is judged otherwise"
    measure = MEASURES[line.subject.measure]
    return RecoveryResult(
        line.recovery.kind, measure.name, measure.unit, bound, line.recovery.phase, arrival.start, arrival.deadline,
        arrival.at,
    )  # fmt: skip


# -- while the run goes on --------------------------------------------------------------------------------------------


def recovering(
    lines: Iterable[Expectation], bound_of: Callable[[Reader, Expectation], float]
) -> Callable[[Live], bool] | None:
    """Whether a run has to be watched for a line that is not decided yet; None where it never has to be."""
    left = [line for line in lines if line.recovery is not None and MEASURES[line.subject.measure].kind == "gauge"]
    if not left:
        return None

    def look(live: Live) -> bool:
        reader = Reader(replace(live.recording(), stop=None))
        left[:] = [line for line in left if _is_open(reader, line, live.now, bound_of)]
        return bool(left)

    return look


def _is_open(reader: Reader, line: Expectation, now: float, bound_of: Callable[[Reader, Expectation], float]) -> bool:
    if not len(known(reader.recording, line.subject.measure)[0]):
        return False  # nobody can see it here: waiting tells nothing
    try:
        found = arrivals(reader, line, bound_of(reader, line))
    except NoData:
        return False
    return any(arrival.verdict != "pass" and now < arrival.deadline + MARGIN for arrival in found)
