"""What a framework, or a worker of its own, records of one job: when it was started and finished, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from plg.dataclass import dataclass
from plg.queues.recipe import Slot, Word

State = Literal["waiting", "delayed", "running", "completed", "dead", "gone"]
"""``gone``: nothing is known under the id of the job. It was never written, was lost, or its record has expired."""
SETTLED = ("completed", "dead")
"""States that a job does not leave."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One job as recorded. Moments in seconds since the epoch, by the clock of the worker.

    ``started`` is when a worker first had it; None where no worker had, or where only a later start is known. ``began``
    and ``finished`` are of the last run. ``failures`` counts runs that failed, ``retries`` runs that were planned
    because of that, ``duplicates`` runs that nothing explains. ``worker`` names who ran it, as far as that is told.
    """

    state: State
    started: float | None = None
    began: float | None = None
    finished: float | None = None
    failures: int = 0
    retries: int = 0
    duplicates: int = 0
    worker: str = ""


GONE = Trace("gone")


STREAM = "plg:far:"
"""What the stream that workers with `plg.worker` tell of their jobs in is called, before the head of their ids."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """How it is learnt what became of the jobs of one kind: by what the framework records, and what workers tell.

    ``number`` is the id of a job; all of it before the number of the job is the ``head`` of their stream. ``questions``
    are put to the server for one id, and ``read`` gets the answers (errors as exceptions); None where the framework
    records nothing of a single job. A record is kept for ``keeps`` seconds after its job has ended; None: until
    somebody removes it. ``unless`` is the setting by which workers keep none; ``some`` where it may keep some of
    them. ``source`` names who keeps it. ``untold`` are the measures that only workers can tell of, with
    the reason.
    """

    number: Word
    questions: Callable[[bytes], Sequence[tuple[str | bytes | int | float, ...]]] | None = None
    read: Callable[[Sequence[Any]], Trace] | None = None
    source: str = "the workers' own records"
    keeps: float | None = None
    unless: str = ""
    some: bool = False
    untold: tuple[tuple[str, str], ...] = ()

    def id_of(self, seq: int) -> bytes:
        """The id of the job with this number."""
        return b"".join(_piece(piece, seq) for piece in self.number)

    @property
    def head(self) -> bytes:
        """What the ids of all jobs begin with."""
        pieces = []
        for piece in self.number:
            if not isinstance(piece, bytes):
                break
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def stream(self) -> str:
        """The stream in which workers tell of the jobs."""
        return STREAM + self.head.decode().removesuffix("-" if self._decimal else "")

    @property
    def _decimal(self) -> bool:
        return any(isinstance(piece, Slot) and piece.kind == "seq" for piece in self.number)

    def seq_of(self, number: bytes) -> int | None:
        """The number of the job whose id this is; None where it is no job of the kind."""
        digits = number[len(self.head) :]
        try:
            return int(digits) if self._decimal else int(digits[:12], 16)
        except ValueError:
            return None


def _piece(piece: Any, seq: int) -> bytes:
    if isinstance(piece, bytes):
        return piece
    assert isinstance(piece, Slot), "an id has no templates"
    return {"seq_hex": b"%012x" % seq, "seq": b"%d" % seq}.get(piece.kind, b"")
