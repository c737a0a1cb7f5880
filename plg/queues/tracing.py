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


@dataclass(frozen=True, slots=True)
class Tracing:
    """How to ask what is recorded of the jobs of one kind.

    ``number`` is the id of a job. ``questions`` are put to the server for one id, and ``read`` gets the answers (errors
    as exceptions). A record is kept for ``keeps`` seconds after its job has ended; None: until somebody removes it.
    ``source`` names who keeps it. ``untold`` are the measures that it does not give, each with the reason.
    """

    number: Word
    questions: Callable[[bytes], Sequence[tuple[str | bytes | int | float, ...]]]
    read: Callable[[Sequence[Any]], Trace]
    source: str
    keeps: float | None = None
    untold: tuple[tuple[str, str], ...] = ()

    def id_of(self, seq: int) -> bytes:
        """The id of the job with this number."""
        return b"".join(_piece(piece, seq) for piece in self.number)


def _piece(piece: Any, seq: int) -> bytes:
    if isinstance(piece, bytes):
        return piece
    assert isinstance(piece, Slot), "an id has no templates"
    return b"%012x" % seq if piece.kind == "seq_hex" else b"%d" % seq
