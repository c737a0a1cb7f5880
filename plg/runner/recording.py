"""What a run left behind, in columns.

The run is cut into *cells* by one sorted array of edges: the window grid, the grids the expectations ask for and the
seams of the phases. A window, a phase and the whole run are each a set of cells, so all of them come from one table.
The last cell is open: what is answered after the plan has ended belongs to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.guardrails.guard import Hit
from plg.histogram import BUCKETS, Distribution
from plg.measures import FAR_COUNTS, FAR_TIMES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Intervals = tuple[tuple[float, float], ...]

COUNTERS = ("planned", "sent", "shed", "late", "cancelled", "acked", "failed", "unknown", "held", "overdue")
"""Columns of counts per cell. planned, shed, late and cancelled stand at the due time, sent at the moment of sending,
acked, failed and unknown at the moment of the answer. ``held`` counts by due time what plg itself spoiled: arrivals it
was slow to send or dropped for that, and jobs whose answers it may have read late. ``overdue`` counts the arrivals of
these that were sent after all, at the moment of sending. The judge calls a run INVALID by these two."""
LIVE_COUNTERS = (*COUNTERS, "in_flight")
"""Those of a run that goes on: ``in_flight`` counts by due time the jobs that were sent and are not answered yet."""
TIMES = ("lag", "service_time", "latency")
"""Measures with a histogram per cell, by due time."""
FAR_HISTOGRAMS = (*FAR_TIMES, *(f"{name}_least" for name in FAR_TIMES))
"""Times of what the workers did, by due time, and what is known to be the least of them: a job that had not been
started at the last look has waited as long as that at least."""
FAR_COUNTERS = (*FAR_COUNTS, "traced", "unfinished")
"""Counts of what the workers did, per cell by due time. ``traced`` jobs were asked after; ``unfinished`` ones of
them had not ended at the last look."""


@dataclass(frozen=True, slots=True)
class FarRecord:
    """How it is known what the workers did.

    ``read`` of ``jobs`` were asked after, by ``source``, with so many ``questions``; the answers had ``size`` bytes. At
    the end of the watch ``waiting``, ``in_flight`` and ``delayed`` of these had not ended. ``workers`` were seen; None
    where they are not told apart. ``clock_offset_s`` is how far the server's clock was ahead of this machine's.
    ``untold`` says by measure why there is nothing to judge, ``doubt`` why the counts may be too low. ``found`` are
    sentences for people. ``started`` and ``completed`` count jobs in steps of ``step`` (s) of the run.
    """

    jobs: int = 0
    read: int = 0
    source: str = ""
    questions: int = 0
    size: int = 0
    waiting: int = 0
    in_flight: int = 0
    delayed: int = 0
    workers: int | None = None
    clock_offset_s: float | None = None
    untold: Mapping[str, str] = field(default_factory=dict)
    doubt: str = ""
    found: tuple[str, ...] = ()
    step: float = 1.0
    started: tuple[int, ...] = ()
    completed: tuple[int, ...] = ()

    @staticmethod
    def of_saved(saved: Mapping[str, Any] | None) -> FarRecord | None:
        """As it was saved."""
        if saved is None:
            return None
        lists = {name: tuple(saved[name]) for name in ("found", "started", "completed")}
        return FarRecord(**{**saved, **lists})


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """One histogram a cell in compressed rows: cell i owns ``buckets[offsets[i]:offsets[i+1]]`` and their counts."""

    offsets: Ints
    buckets: Ints
    counts: Ints
    sums: Floats
    minima: Floats
    maxima: Floats

    @staticmethod
    def joined(parts: Sequence[Histograms]) -> Histograms:
        """Those of the cells of all parts, one part behind the other."""
        sizes = [np.diff(part.offsets) for part in parts]
        columns = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("buckets", "counts", "sums", "minima", "maxima")
        )
        return Histograms(np.concatenate([[0], np.cumsum(np.concatenate(sizes))]), *columns)

    @staticmethod
    def empty(cells: int) -> Histograms:
        none = np.zeros(0, dtype=np.int64)
        return Histograms(
            np.zeros(cells + 1, dtype=np.int64), none, none.copy(),
            np.zeros(cells), np.full(cells, np.inf), np.full(cells, -np.inf),
        )  # fmt: skip

    def part(self, first: int, last: int) -> Histograms:
        """The histograms of the cells from the ``first`` to the one before ``last``; nothing is copied but offsets."""
        offsets = self.offsets[first : last + 1]
        rows = slice(int(offsets[0]), int(offsets[-1]))
        return Histograms(
            offsets - offsets[0], self.buckets[rows], self.counts[rows],
            self.sums[first:last], self.minima[first:last], self.maxima[first:last],
        )  # fmt: skip

    def over(self, cells: npt.NDArray[np.bool_]) -> Distribution:
        """The distribution over the cells marked True (a mask of one entry a cell)."""
        rows = np.repeat(cells, np.diff(self.offsets))
        dense = np.zeros(BUCKETS, dtype=np.int64)
        np.add.at(dense, self.buckets[rows], self.counts[rows])
        total = int(dense.sum())
        if total == 0:
            return Distribution.empty()
        return Distribution(
            dense, total, float(self.sums[cells].sum()),
            float(self.minima[cells].min()), float(self.maxima[cells].max()),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stall:
    """plg itself stood still from ``start_s`` to ``end_s`` of the run: its generator, or its reference ``workers``,
    which may also have ended.

    While a machine is suspended the clock of the run stands still too: such a stall has no length in the run, and
    ``suspended_s`` tells for how long the world went on.
    """

    start_s: float
    end_s: float
    suspended_s: float = 0.0
    workers: bool = False

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s + self.suspended_s


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The result of one run (or of several merged ones). Times in seconds from the start of the run.

    ``edges`` has one entry more than there are cells and its last is infinity. ``window`` is the width of the plain
    window grid. ``spans`` gives each phase its intervals. ``ended_s`` is when the last arrival was dealt with.

    Of the queue: ``start_depth`` is what lay there before; ``last_send_s`` the moment of the last send, None while jobs
    are to come or where none was sent. From then on, ``drain_s`` is when a look first found no more than
    ``start_depth``, ``drain_waited_s`` when one last found more (each None where no look did). ``end_depth`` and
    ``end_age_s`` are what the last look found: None where it failed, the age also where it cannot be told. Of the jobs
    that waited, ``start_untaken`` and ``end_untaken`` had been given to no consumer; None where that is not known.
    """

    edges: Floats
    window: float
    duration: float
    spans: Mapping[str, Intervals]
    counters: Mapping[str, Ints]
    histograms: Mapping[str, Histograms]
    sample_times: Floats
    samples: Mapping[str, Floats]
    """Each of `plg.measures.GAUGES` at the ``sample_times``; NaN where a sample could not be taken."""
    target_rate: Floats
    """Planned jobs a second per cell: the mean of the pattern's rate over the cell."""
    allowed_rate: Floats
    delayed_s: float = 0.0
    """Seconds after its sending at which the job is due that is delayed the longest."""
    hits: tuple[Hit, ...] = ()
    ended_s: float = 0.0
    start_depth: int | None = None
    end_depth: int | None = None
    end_age_s: float | None = None
    start_untaken: int | None = None
    end_untaken: int | None = None
    last_send_s: float | None = None
    drain_s: float | None = None
    drain_waited_s: float | None = None
    stop: str | None = None
    """None for a run that went to its end, else what ended it, by its name: one of `plg.stop.STOPS`."""
    stop_detail: str = ""
    """What stopped it: the expectation's own text, ``SIGINT`` or ``SIGTERM``, or a sentence."""
    stop_s: float | None = None
    """When that was, where others went on: of several generators ``ended_s`` is that of the last."""
    stop_by: str = ""
    """Who asked for the stop: an account, or another shard of the run; empty where the run itself found the reason. Of
    a signal that did not reach all shards, those that it did."""
    errors: tuple[tuple[str, int], ...] = field(default=())
    """Error texts of the target as it said them, with how often; bounded in number."""
    incomplete: str = ""
    """Why these measurements cannot stand for the whole run: shards that are missing, or did not start together."""
    lost: str = ""
    """Why jobs that the server confirmed may be lost: it was restarted, evicted keys, or they left the queue and nobody
    was seen to take them; empty where nothing tells."""
    taken: bool | None = None
    """Whether a job was taken from the queue by a worker, or may have been; None where that is not known."""
    sample_step: float | None = None
    """Seconds between the samples of one generator, where those of several stand side by side."""
    far: FarRecord | None = None
    """How it is known what the workers did; None where nobody asked them."""
    residue: int | None = None
    """Jobs of the run of which something was left in the target at its end; None where that is not known."""
    residue_said: str = ""
    """Why it is not known, or what was done about it; a clause."""
    stalls: tuple[Stall, ...] = ()
    """When plg itself stood still, in order of time; of very many the longest."""

    @property
    def cells(self) -> int:
        return len(self.edges) - 1

    @property
    def stopped_s(self) -> float:
        """When the run was stopped (s); its end where it was not."""
        return self.ended_s if self.stop_s is None else self.stop_s

    def whole(self) -> npt.NDArray[np.bool_]:
        """Mask of every cell."""
        return np.ones(self.cells, dtype=np.bool_)

    def within(self, intervals: Iterable[tuple[float, float]]) -> npt.NDArray[np.bool_]:
        """Mask of the cells inside the intervals; one that reaches the planned end takes the open last cell too."""
        middle = (self.edges[:-1] + np.minimum(self.edges[1:], self.edges[:-1] + 1e-6)) / 2
        mask = np.zeros(self.cells, dtype=np.bool_)
        for start, end in intervals:
            mask |= (middle >= start) & ((middle < end) | (end >= self.duration - slack(self.duration)))
        return mask

    def total(self, counter: str, cells: npt.NDArray[np.bool_] | Ints | None = None) -> int:
        """Sum of a counter over the cells (a mask, or their indices), or over the whole run."""
        column = self.counters[counter]
        return int(column.sum() if cells is None else column[cells].sum())

    def windows(self, width: float, intervals: Intervals | None = None) -> list[tuple[float, float]]:
        """The windows of ``width`` that tile each interval (default: the whole plan) up to where the run ended.

        A last piece shorter than half a window is joined to the one before it, so that no verdict hangs on a sliver.
        """
        tiles: list[tuple[float, float]] = []
        for start, end in intervals or ((0.0, self.duration),):
            starts, ends = tile(width, start, min(end, self.ended_s) if self.stop else end)
            tiles.extend(zip(starts.tolist(), ends.tolist(), strict=True))
        return tiles


def slack(duration: float) -> float:
    """How far apart (s) two moments may be and still count as one, in a plan of this ``duration`` (s)."""
    return 1e-9 * min(1.0, duration)


def sample_step(recording: Recording) -> float:
    """Seconds between two samples of one generator, most of the time; 0 where there are not two."""
    if recording.sample_step is not None:
        return recording.sample_step
    times = recording.sample_times
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def tile(width: float, start: float, until: float) -> tuple[Floats, Floats]:
    """Starts and ends of the windows of ``width`` from ``start`` to ``until``, the last half to one and a half long.

    A stretch shorter than half a window is one window; an empty one is none.
    """
    slack = 1e-9 + 4 * float(np.spacing(until)) / width
    # Half a window stands by itself, whichever window it comes after: `round` would look at whether that is even.
    count = max(1, math.floor((until - start) / width + 0.5 + slack)) if until > start else 0
    starts = start + np.arange(count, dtype=np.float64) * width
    return starts, np.append(starts[1:], float(until))[:count]


def cell_edges(duration: float, window: float, cuts: Iterable[float]) -> Floats:
    """Sorted edges of the cells: multiples of ``window`` and the other ``cuts`` within the plan, then infinity."""
    grid = np.arange(0, int(np.ceil(duration / window - 1e-9)) + 1) * window
    inner = np.concatenate([grid, np.fromiter(cuts, dtype=np.float64)])
    inner = np.sort(inner[(inner >= 0) & (inner < duration - slack(duration))])
    keep = np.ones(len(inner), dtype=np.bool_)
    keep[1:] = np.diff(inner) > slack(duration)
    return np.concatenate([inner[keep], [duration, np.inf]])
