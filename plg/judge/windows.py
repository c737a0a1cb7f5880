"""Where an expectation looks: the stretches of the run whose cells, samples and hits are read together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import field
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.judge.looks import stays, watched_until
from plg.measures import QUEUE_GAUGES
from plg.runner.recording import Floats, Intervals, Ints, Recording, slack, tile

_SNAP = 0.01
"""How far a window's start may lie from the nearest edge of a cell, as a fraction of the window."""
_MIN_SNAP = 1e-6


class NoData(Exception):
    """Nothing can be said of a subject; the message says why, to people."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """``count`` disjoint spans of the run, each of one or several pieces, the pieces in order of time.

    ``starts`` and ``ends`` (s) and ``owner`` (the window) have one entry a piece, ``opens`` marks the pieces that take
    everything after their start, and ``lengths`` (s) has one entry a window. ``cut`` is the window in which the run was
    stopped, or -1.
    """

    count: int
    starts: Floats
    ends: Floats
    owner: Ints
    opens: npt.NDArray[np.bool_]
    lengths: Floats
    cut: int = -1

    def part(self, first: int, last: int) -> Windows:
        """The windows from ``first`` up to ``last``, which is not among them."""
        span = slice(first, last)
        return Windows(
            last - first, self.starts[span], self.ends[span], self.owner[span] - first, self.opens[span],
            self.lengths[span],
        )  # fmt: skip

    def of_times(self, times: Floats) -> Ints:
        """The window of each moment, -1 outside of all."""
        if not len(self.starts):
            return np.full(len(times), -1, dtype=np.int64)
        piece = np.searchsorted(self.starts, times, side="right") - 1
        inside = (piece >= 0) & ((times < self.ends[piece]) | self.opens[piece])
        return np.where(inside, self.owner[piece], -1)

    def reach(self, edges: Floats) -> tuple[int, int]:
        """Of the cells with these edges the first and the one after the last that any window may hold."""
        if not len(self.starts):
            return 0, 0
        first = int(np.searchsorted(edges, self.starts.min(), side="right")) - 1
        last = len(edges) - 1 if self.opens.any() else int(np.searchsorted(edges, self.ends.max(), side="left"))
        return max(first, 0), min(max(first, last, 0), len(edges) - 1)

    def of_cells(self, edges: Floats) -> Ints:
        """Region of each cell, by a moment just after the cell's start."""
        return self.of_times(edges[:-1] + np.minimum(np.diff(edges), 1e-6) / 2)


def merge(intervals: Intervals) -> list[tuple[float, float]]:
    """The intervals in order of time, overlapping ones as one; touching ones stay apart, each has its own windows."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if merged and start < merged[-1][1] - slack(merged[-1][1]):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif end > start:
            merged.append((start, end))
    return merged


def ended(recording: Recording) -> float:
    """When the part of the run that is judged ended: where it was stopped, else at the end of the plan or later."""
    return recording.ended_s if recording.stop else max(recording.duration, recording.ended_s)


def lasted(recording: Recording) -> float:
    """How long the run lasted (s): a limit that sheds the rest of a plan ends it too, without a stop."""
    return min(ended(recording), recording.ended_s) if recording.ended_s > 0 else ended(recording)


def intervals_of(recording: Recording, during: str | None) -> list[tuple[float, float]]:
    """The stretches of a phase, or the whole plan. Raises `NoData` for a phase unknown to the run or never reached."""
    if recording.stop and recording.ended_s <= 0:
        raise NoData("the run ended before anything was sent")
    if during is None:
        return [(0.0, recording.duration)]
    if during not in recording.spans:
        raise NoData(f"the run has no phase named {during}")
    stretches = merge(recording.spans[during])
    if not stretches:
        raise NoData(f"{during} lasts no time in this run")
    if recording.stop and all(start >= recording.ended_s for start, _ in stretches):
        raise NoData(f"the run ended before {during} began")
    return stretches


def queue_intervals(recording: Recording, during: str | None, gauge: str) -> list[tuple[float, float]]:
    """The same for a gauge of the queue: with the watch after the last send, in which a phase has the stretches while
    its jobs wait (`plg.judge.looks.stays`)."""
    stretches = intervals_of(recording, during)
    if during is None:
        until = watched_until(recording)
        return [(0.0, until if recording.stop else max(until, recording.duration))]
    stop = recording.ended_s if recording.stop else np.inf
    own = [(start, min(end, stop)) for start, end in stretches if start < stop]
    joined: list[tuple[float, float]] = []
    for start, end in sorted([*own, *stays(recording, gauge, during)]):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def queue_span(recording: Recording, during: str | None, gauge: str) -> Windows:
    """One span for a gauge of the queue."""
    starts, ends = (np.array(side) for side in zip(*queue_intervals(recording, during, gauge), strict=True))
    closed = np.zeros(len(starts), dtype=np.bool_)
    return Windows(1, starts, ends, closed.astype(np.int64), closed, np.array([float((ends - starts).sum())]))


def queue_windows(recording: Recording, during: str | None, gauge: str, width: float) -> Windows:
    """Windows of ``width`` seconds, those of the watch too."""
    tiles = [tile(width, start, end) for start, end in queue_intervals(recording, during, gauge)]
    starts, ends = (np.concatenate(side) for side in zip(*tiles, strict=True))
    closed = np.zeros(len(starts), dtype=np.bool_)
    return Windows(len(starts), starts, ends, np.arange(len(starts), dtype=np.int64), closed, ends - starts)


def span(recording: Recording, during: str | None) -> Windows:
    """One span: a phase with all of its stretches, or the whole run with what was answered after the plan's end."""
    stretches = intervals_of(recording, during)
    opens = np.array([end >= recording.duration - slack(recording.duration) for _, end in stretches], dtype=np.bool_)
    starts, ends = (np.array(side, dtype=np.float64) for side in zip(*stretches, strict=True))
    until = np.minimum(ends, recording.ended_s) if recording.stop else ends
    length = float(np.maximum(until - starts, 0.0).sum())
    return Windows(1, starts, ends, np.zeros(len(starts), dtype=np.int64), opens, np.array([length]))


def windows(recording: Recording, during: str | None, width: float) -> Windows:
    """Windows of ``width`` seconds. A stopped run has windows up to its stop, the last of which takes
    whatever was still answered after it."""
    starts, ends, opens, cut = [], [], [], -1
    tiled = 0
    for start, end in intervals_of(recording, during):
        stopped = bool(recording.stop) and recording.ended_s < end
        first, last = tile(width, start, recording.ended_s if stopped else end)
        open_end = np.zeros(len(first), dtype=np.bool_)
        if len(first) and (stopped or end >= recording.duration - slack(recording.duration)):
            open_end[-1] = True
        starts.append(first)
        ends.append(last)
        opens.append(open_end)
        tiled += len(first)
        if stopped:
            cut = tiled - 1 if len(first) else cut
            break
    begin, finish = np.concatenate(starts), np.concatenate(ends)
    return Windows(
        len(begin), begin, finish, np.arange(len(begin), dtype=np.int64), np.concatenate(opens), finish - begin, cut
    )


def check_fit(recording: Recording, windows: Windows, width: float) -> None:
    """Raise `NoData` when windows do not fall on the recorded cells, as may happen when a saved run is judged anew."""
    edges = recording.edges[:-1]
    after = np.clip(np.searchsorted(edges, windows.starts), 1, max(1, len(edges) - 1))
    nearest = np.minimum(
        np.abs(edges[np.minimum(after, len(edges) - 1)] - windows.starts), np.abs(windows.starts - edges[after - 1])
    )
    if len(nearest) and float(nearest.max()) > max(_MIN_SNAP, _SNAP * width):
        raise NoData("the run was not recorded finely enough for these windows")


def watched_gauge(measure: str) -> str:
    """The gauge of the queue that a measure reads until the watch is over; empty where it reads none, or while the plan
    lasts alone."""
    return "workers" if measure == "flaps" else measure if measure in QUEUE_GAUGES else ""


@dataclass(slots=True)
class WindowCache:
    """The windows of one recording, built once for all the expectations that ask for them."""

    recording: Recording
    _built: dict[tuple[str | None, float | None, str], Windows] = field(default_factory=dict)

    def put(self, during: str | None, width: float | None, windows: Windows, measure: str = "") -> None:
        """Read a measure, or all but the gauges of the queue, in these windows."""
        self._built[during, width, watched_gauge(measure)] = windows

    def get(self, during: str | None, width: float | None = None, measure: str = "") -> Windows:
        """The windows that a measure is read in; only those of a gauge of the queue differ."""
        gauge = watched_gauge(measure)
        key = (during, width, gauge)
        if key not in self._built:
            self._built[key] = self._build(during, width, gauge)
        return self._built[key]

    def _build(self, during: str | None, width: float | None, gauge: str) -> Windows:
        if not gauge:
            return span(self.recording, during) if width is None else windows(self.recording, during, width)
        if width is None:
            return queue_span(self.recording, during, gauge)
        return queue_windows(self.recording, during, gauge, width)


def phase_at(spans: Mapping[str, Intervals], t: float) -> str | None:
    """The phase that ``t`` falls into, the shortest where several overlap; None outside of all."""
    found = [(end - start, name) for name, pieces in spans.items() for start, end in pieces if start <= t < end]
    return min(found)[1] if found else None


class PhaseIndex:
    """`phase_at` for who asks of many moments: each is found without a look at every phase."""

    def __init__(self, spans: Mapping[str, Intervals]) -> None:
        pieces = sorted((start, end, name) for name, all_of in spans.items() for start, end in all_of if end > start)
        self._seams = sorted({seam for start, end, _ in pieces for seam in (start, end)})
        self._names: list[str | None] = []
        open_ones: list[tuple[float, str, float]] = []
        place = 0
        for seam in self._seams:
            while place < len(pieces) and pieces[place][0] <= seam:
                start, end, name = pieces[place]
                heappush(open_ones, (end - start, name, end))
                place += 1
            while open_ones and open_ones[0][2] <= seam:
                heappop(open_ones)
            self._names.append(open_ones[0][1] if open_ones else None)

    def at(self, t: float) -> str | None:
        """See `phase_at`."""
        place = bisect_right(self._seams, t) - 1
        return self._names[place] if place >= 0 else None
