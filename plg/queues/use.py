"""The queues that a scenario's jobs go to, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from plg.dataclass import dataclass
from plg.queues.base import Format, Job, Question, Survey, Taking
from plg.queues.recipe import Measured, Spelled, Word
from plg.queues.registry import format_of

if TYPE_CHECKING:
    from plg.queues.traces import Traces


@dataclass(frozen=True, slots=True)
class QueueInUse:
    """One queue, its format and all kinds of ``jobs`` that go to it."""

    format: Format
    jobs: tuple[Job, ...]

    @property
    def key(self) -> str:
        """The key that workers take from."""
        return next(iter(self.keys))

    @property
    def taking(self) -> Taking | None:
        """See `Format.taking`."""
        return taking_of(self.format, self.jobs[0])

    @property
    def keys(self) -> Mapping[str, str]:
        """All keys that its jobs share, with their types."""
        return {key: kind for job in self.jobs for key, kind in self.format.keys(job).items()}

    def survey(self) -> Survey:
        """See `Format.survey`."""
        return self.format.survey(self.jobs)

    def census(self) -> Survey | None:
        """See `Format.census`."""
        return self.format.census(self.jobs)

    def announcement(self) -> list[Question]:
        """See `Format.announcement`."""
        return list(dict.fromkeys(command for job in self.jobs for command in self.format.announcement(job)))

    def traces(self, run_id: str) -> Traces | None:
        """See `Format.traces`; None also for a format of a package that was written before there was such a thing."""
        told = getattr(self.format, "traces", None)
        return None if told is None else told(self.jobs, run_id)

    def tellings(self, run_id: str) -> list[str]:
        """The streams in which workers tell of the jobs, as long as the run goes on."""
        asked = getattr(self.format, "tracing", None)
        told = [] if asked is None else [asked(job, run_id) for job in self.jobs]
        return list(dict.fromkeys(tracing.stream for tracing in told if tracing is not None))

    def rehearsal(self) -> list[Question]:
        """The commands that write a job, with nothing in the job: what a server is asked whether it would take."""
        return [*self.announcement(), *self._hollow_job()]

    def _hollow_job(self) -> list[Question]:
        return [tuple(map(_hollow, words)) for job in self.jobs[:1] for words in self.format.recipe(job, "").commands]


def _hollow(word: Word) -> bytes:
    if any(isinstance(piece, Spelled | Measured) for piece in word):
        return b""
    return b"".join(piece if isinstance(piece, bytes) else b"0" for piece in word)


def taking_of(form: Format, job: Job) -> Taking | None:
    """See `Format.taking`; as it usually is where the format's package was written before there was such a thing."""
    asked = getattr(form, "taking", None)
    return form.taken if asked is None else asked(job.queue)


class KeyConflict(ValueError):
    """One key would hold two types of value, or be pushed to at both ends."""


def queues_of(jobs: Sequence[Job]) -> tuple[QueueInUse, ...]:
    """The distinct queues of ``jobs``, in their order. Raises `KeyConflict`."""
    found: dict[tuple[str, str], list[Job]] = {}
    types: dict[str, str] = {}
    for job in jobs:
        keys = format_of(job.queue.kind).keys(job)
        for key, kind in keys.items():
            if types.setdefault(key, kind) != kind:
                raise KeyConflict(f"the key {key!r} is a {types[key]} to one job and a {kind} to another")
        found.setdefault((job.queue.kind, next(iter(keys))), []).append(job)
    for (kind, key), own in found.items():
        if len({taking_of(format_of(kind), job) for job in own}) > 1:
            raise KeyConflict(f"some jobs are pushed to the left of the list {key!r} and others to its right")
    return tuple(QueueInUse(format_of(kind), tuple(own)) for (kind, _), own in found.items())
