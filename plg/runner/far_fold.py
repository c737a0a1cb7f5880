"""What was read of the workers, counted into the cells of the run: histograms of times and counts, by due time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.measures import FAR, FAR_COUNTS
from plg.runner.cell_histogram import CellHistogram
from plg.runner.far_jobs import FarJobs
from plg.runner.far_side import FarReader
from plg.runner.recording import FAR_COUNTERS, FarRecord, Floats, Histograms, Ints, Recording
from plg.units import format_duration

Flags = npt.NDArray[np.bool_]
_SILENT = (
    "no worker told of its jobs: add plg.worker to the workers, which is one line; where they have it, their logs say "
    "whether they know what the jobs call"
)
_DROPPED = {
    "expired": "had expired before a worker began them",
    "revoked": "were revoked",
    "unknown": "were given up by workers that do not know what they call",
    "locked": "were given up because the lock of their task was held",
    "skipped": "were skipped by the workers' middleware",
}
"""What workers tell of jobs that they gave up, as the end of a clause."""
EARLY = 0.005
"""Seconds by which a worker's clock may show a start before the job was due: clocks differ by as much."""
MOST_STEPS = 4000
_MOST_FOUND = 10


def fold(recording: Recording, reader: FarReader, wall: float) -> Recording:
    """The recording with what the workers did. ``wall`` is the first moment of the run, in seconds since the epoch."""
    return _Fold(recording, reader.jobs, reader, wall + (reader.offset or 0.0)).recording()


def nobody_asked(recording: Recording, why: str) -> Recording:
    """The recording of a run of which nothing is known that the workers did."""
    return replace(recording, far=FarRecord(jobs=recording.total("acked"), untold=dict.fromkeys(FAR, why)))


@dataclass(slots=True)
class _Fold:
    """``zero`` is the first moment of the run by the server's clock."""

    run: Recording
    jobs: FarJobs
    reader: FarReader
    zero: float

    def recording(self) -> Recording:
        jobs, cells = self.jobs, self._cells()
        jobs.correct(self.offsets)
        written = ~jobs.are(None, "gone")
        counters = {name: np.zeros(self.run.cells, dtype=np.int64) for name in FAR_COUNTERS}
        for name, amounts in (
            ("completed", jobs.are("completed")), ("dead", jobs.are("dead")), ("job_failures", jobs.failures),
            ("retried", jobs.retries), ("duplicates", jobs.duplicates), ("traced", written),
            ("unfinished", written & ~jobs.are("completed", "dead")),
        ):  # fmt: skip
            np.add.at(counters[name], cells, amounts.astype(np.int64))
        # What Redis confirmed and nobody has: lost where nothing is left out, and in any case not known.
        missing = self._missing(cells, counters["traced"])
        if jobs.all_of_them:
            unread = np.bincount(cells[jobs.are(None)], minlength=self.run.cells)
            counters["lost"] = np.maximum(missing - unread, 0)
        counters["traced"] += missing
        histograms = self._histograms(cells)
        return replace(
            self.run,
            counters={**self.run.counters, **counters},
            histograms={**self.run.histograms, **histograms},
            far=self._record(written, int(counters["lost"].sum())),
        )

    def _missing(self, cells: Ints, written: Ints) -> Ints:
        """By cell, of how many of the jobs that were asked after and that Redis confirmed nothing is known."""
        accepted = _accepted(self.run)
        if self.jobs.all_of_them:
            return np.asarray(np.maximum(accepted - written, 0))
        # Of a sample it is not known which of them Redis refused: as many as of all.
        asked = np.bincount(cells[self.jobs.traceable], minlength=self.run.cells)
        planned = self.run.counters["planned"]
        refused = np.ceil(asked * np.maximum(planned - accepted, 0) / np.maximum(planned, 1)).astype(np.int64)
        return np.asarray(np.maximum(asked - refused - written, 0))

    @property
    def offsets(self) -> Mapping[str, float]:
        """How far the server's clock is ahead of each worker's, of those that told of their jobs themselves."""
        return {} if self.reader.hooks is None else self.reader.hooks.offsets

    def _cells(self) -> Ints:
        edges = self.run.edges
        return np.clip(np.searchsorted(edges, self.jobs.due, side="right") - 1, 0, self.run.cells - 1)

    def _histograms(self, cells: Ints) -> dict[str, Histograms]:
        jobs, now = self.jobs, self.reader.looked + self.zero
        ended, running = jobs.are("completed", "dead"), jobs.are("running")
        unstarted = jobs.are("waiting", "delayed") & np.isnan(jobs.started) & (jobs.retries == 0)
        due = self.zero + jobs.asked_for
        times = {
            "queue_wait": (jobs.started - due, unstarted, now - due),
            "run_time": (np.where(ended, jobs.finished - jobs.began, np.nan), running, now - jobs.began),
            "end_to_end": (np.where(ended, jobs.finished - due, np.nan), running | unstarted, now - due),
        }
        found = {}
        for name, (known, still, least) in times.items():
            found[name] = self._histogram(cells, known)
            found[f"{name}_least"] = self._histogram(cells, np.where(still, least, known))
        return found

    def _histogram(self, cells: Ints, times: Floats) -> Histograms:
        """Of the times that are known, with their cells."""
        # A job that ends before it begins is one of a clock that was set: how long it took is not known.
        histogram, known = CellHistogram(self.run.cells), times >= -EARLY
        order = np.argsort(cells[known], kind="stable")
        if known.any():
            histogram.add(cells[known][order], np.maximum(times[known][order], 0.0))
        return histogram.histograms()

    def _record(self, written: Flags, lost: int) -> FarRecord:
        jobs, reader = self.jobs, self.reader
        step, started, completed = self._flow()
        untold = self._untold()
        return FarRecord(
            jobs=jobs.planned, read=int(np.count_nonzero(jobs.state)), source=self._source(),
            questions=reader.questions,
            size=reader.size + (reader.hooks.size if reader.hooks is not None else 0),
            waiting=int(jobs.are("waiting").sum()),
            in_flight=int(jobs.are("running").sum()), delayed=int(jobs.are("delayed").sum()),
            workers=len(jobs.workers) or None, clock_offset_s=reader.offset, untold=untold,
            doubt=self._doubt(), found=self._found(lost), step=step, started=started, completed=completed,
        )  # fmt: skip

    def _source(self) -> str:
        own = dict.fromkeys(t.source for t in self.jobs.tracings if t is not None and t.read is not None)
        told = ["the workers' own records"] if self.jobs.hooked.any() or not own else []
        return " and ".join([*own, *told])

    def _untold(self) -> dict[str, str]:
        """Why measures have no data, where what is recorded does not give them and no worker told of its jobs."""
        jobs, silent = self.jobs, dict[str, str]()
        ways = "; no worker told of its jobs (plg.worker)" + (f": {self.reader.deaf}" if self.reader.deaf else "")
        for kind, tracing in enumerate(jobs.tracings):
            if tracing is None:
                continue
            if (jobs.hooked & (jobs.kind == kind)).any():
                deaf = int(((jobs.kind == kind) & jobs.are("completed", "dead") & ~jobs.hooked).sum())
                many = f"; {deaf:,} job{'s' * (deaf != 1)} ran in workers without plg.worker"
                silent |= {name: f"{why}{many}" for name, why in tracing.untold if deaf and name in FAR_COUNTS}
                continue
            silent |= {name: f"{why}{ways}" for name, why in tracing.untold}
            there = (jobs.kind == kind) & ~jobs.are("waiting", "delayed")
            if tracing.read is None and there.any():
                silent |= dict.fromkeys(FAR, _SILENT)
        if early := self._early():
            silent |= dict.fromkeys(("queue_wait", "end_to_end"), early)
        return silent

    def _early(self) -> str:
        """Why starts cannot be compared with due times, where the clocks of the workers are behind the server's."""
        jobs = self.jobs
        # Neither before it was due nor before a look that still found it waiting can a job have been started.
        ahead = self.zero + np.fmax(jobs.asked_for, jobs.unstarted) - jobs.started
        worst = float(np.nanmax(ahead)) if np.any(~np.isnan(ahead)) else 0.0
        if worst <= EARLY:
            return ""
        by = format_duration(round(worst, 3))
        return f"a worker's clock is at least {by} behind the server's: a job was started before that can have been"

    def _doubt(self) -> str:
        """Why the counts may be too low."""
        jobs, reader = self.jobs, self.reader
        unread = int((~jobs.are("completed", "dead", "waiting", "delayed", "running", "gone")).sum())
        untraceable = int((~jobs.traceable).sum())
        if len(jobs) < jobs.planned:
            return f"{len(jobs):,} of {jobs.planned:,} jobs were asked after"
        if untraceable:
            return f"{untraceable:,} of {jobs.planned:,} jobs leave no record"
        if why := jobs.doubt or (reader.hooks.missed if reader.hooks is not None else ""):
            return why
        if reader.fault or reader.odd:
            return f"not all jobs could be asked after: {reader.fault or reader.odd}"
        if unread:
            return f"{unread:,} of {jobs.planned:,} jobs were not asked after"
        if unknown := self.run.total("unknown"):
            return f"of {unknown:,} jobs it is not known whether Redis took them"
        if jobs.parts > 1 and (~jobs.recorded & jobs.are("waiting", "delayed", "running", "gone")).any():
            return "what is left in the queue is of all generators, and it is not known which jobs are whose"
        keeps = min((tracing.keeps for tracing in jobs.tracings if tracing and tracing.keeps), default=None)
        if keeps is not None and self.run.ended_s > keeps / 2 and jobs.are("gone").any():
            return (
                f"records are kept for {format_duration(keeps)} after a job has ended, and some may have expired unread"
            )
        return ""

    def _found(self, lost: int) -> tuple[str, ...]:
        again = int(self.jobs.duplicates.sum())
        found = []
        if lost:
            found.append(f"{lost:,} job{'s' * (lost != 1)} that Redis confirmed can be found nowhere{self._where_to()}")
        if again:
            left = sum(bool(runs) and self.jobs.settled(place) for place, runs in self.jobs.begun.items())
            why = f": {left:,} of them after a worker that began them and never finished" if left else ""
            found.append(f"jobs were run {again:,} time{'s' * (again != 1)} more often than their retries explain{why}")
        for worker, offset in self.offsets.items():
            if offset:
                side = "behind" if offset > 0 else "ahead of"
                by = format_duration(round(abs(offset), 3))
                found.append(f"the clock of worker {worker} is {by} {side} the server's, which is corrected")
        return tuple(found[:_MOST_FOUND])

    def _where_to(self) -> str:
        """What may have become of jobs that are lost, as the end of a sentence."""
        jobs = self.jobs
        gone, dropped = jobs.are("gone"), Counter(why for p, why in jobs.dropped.items() if not jobs.settled(p))
        begun = int((gone & jobs.hooked).sum()) - dropped.total()
        known = [f"{count:,} of them {_DROPPED.get(why, f'were dropped ({why})')}" for why, count in dropped.items()]
        known += [f"{begun:,} of them a worker began and never finished"] if begun > 0 else []
        known += [f"{len(jobs.unwritten):,} of them still stand in the queue without their record"] * bool(
            jobs.unwritten
        )
        evicted, expired = jobs.forgotten.evicted, jobs.forgotten.expired
        known += [f"the server evicted {evicted:,} key{'s' * (evicted != 1)} during the run"] * bool(evicted)
        if known:
            return f": {', '.join(known)}"
        may = f"; {expired:,} key{'s' * (expired != 1)} expired there during the run, which may be why" * bool(expired)
        if bool((gone & ~jobs.recorded).any()):
            return f", unless a worker without plg.worker ran them{may}"
        return f", unless their records were removed, or expired, before they were read{may}"

    def _flow(self) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
        """Jobs started and ended by the moment of it, in steps of the run; of a sample as many as all would be."""
        jobs = self.jobs
        started, ended = (column - self.zero for column in (jobs.started, jobs.finished))
        known = np.concatenate([started[~np.isnan(started)], ended[~np.isnan(ended)]])
        if not len(known):
            return self.run.window, (), ()
        until = max(float(known.max()), 0.0) + self.run.window
        step = self.run.window * max(1, int(np.ceil(until / self.run.window / MOST_STEPS)))
        edges = np.arange(0, int(np.ceil(until / step)) + 1) * step
        share = jobs.planned / max(1, len(jobs))

        def counted(moments: Floats) -> tuple[int, ...]:
            counts, _ = np.histogram(np.clip(moments[~np.isnan(moments)], 0.0, until), edges)
            return tuple(np.round(counts * share).astype(int).tolist())

        return step, counted(started), counted(ended)


def _accepted(recording: Recording) -> Ints:
    """Jobs that Redis confirmed, by due time."""
    of = recording.histograms["latency"]
    rows = np.concatenate([[0], np.cumsum(of.counts)])
    return np.diff(rows[of.offsets])
